"""``holdwatch up``: the UI answers, the schedule is on, and nothing is left when it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestration.dbt_manifest import manifest_path

pytestmark = [pytest.mark.timeout(300), pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc")]

PROGRAM = "import sys; from orchestration.cli import main; sys.argv = ['holdwatch', 'up', *sys.argv[1:]]; main()"


class Up:
    """One ``holdwatch up``, with a state folder of its own by which its processes are known."""

    def __init__(self, state: Path, url: str) -> None:
        self.state = state
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "--port", str(self.port)],
            env=os.environ | {"HOLDWATCH_DATABASE_URL": url, "HOLDWATCH_STATE_DIR": str(state)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_until_it_says_so(self) -> str:
        """Return the first line that it prints, which it does when the UI answers."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read() if self.process.stderr is not None else ""
        return line

    def processes(self) -> list[int]:
        """All processes, however distant, that were started with its state folder."""
        mark = f"HOLDWATCH_STATE_DIR={self.state}".encode()
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdecimal():
                try:
                    if mark in (folder / "environ").read_bytes().split(b"\0"):
                        found.append(int(folder.name))
                except OSError:
                    continue
        return found

    def ask(self, query: str) -> Any:
        """Return what the UI's own interface answers."""
        request = urllib.request.Request(
            f"{self.address}/graphql", json.dumps({"query": query}).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["data"]

    def wait_until_gone(self) -> None:
        """Wait until none of its processes is left."""
        deadline = time.monotonic() + 30
        while self.processes():
            assert time.monotonic() < deadline, self.processes()
            time.sleep(0.1)


@pytest.fixture
def start(tmp_path: Path, database_url: str) -> Iterator[Callable[[], Up]]:
    """Start ``holdwatch up``, any number of times, on one state folder."""
    manifest_path()
    started: list[Up] = []

    def start_one() -> Up:
        if not (tmp_path / "dbt").exists():
            shutil.copytree(manifest_path().parent, tmp_path / "dbt")
        started.append(Up(tmp_path, database_url))
        return started[-1]

    yield start_one
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()
        one.wait_until_gone()


def test_up_answers_with_the_schedule_on_and_ctrl_c_ends_it_all(start: Callable[[], Up]) -> None:
    """What it prints is true when it prints it; Ctrl-C is the ordinary end."""
    up = start()
    assert up.address in up.wait_until_it_says_so()
    with urllib.request.urlopen(up.address, timeout=60) as page:
        assert b"Dagster" in page.read()
    answer = up.ask(
        "{ repositoriesOrError { ... on RepositoryConnection { nodes { "
        "schedules { name scheduleState { status } } sensors { name sensorState { status } } } } } }"
    )
    (repository,) = answer["repositoriesOrError"]["nodes"]
    states = {item["name"]: item["scheduleState"]["status"] for item in repository["schedules"]}
    states |= {item["name"]: item["sensorState"]["status"] for item in repository["sensors"]}
    expected = (
        "retention_every_day",
        "refresh_every_five_minutes",
        "pipeline_every_half_hour",
        "sweep_holds_every_minute",
        "reconcile_days_every_night",
        "sync_events_every_five_minutes",
        "guard_rollouts",
        "pipeline_when_nothing_is_built",
        "push_to_datadog",
        "record_failure",
        "record_success",
        "refresh_when_events_wait",
    )
    assert states == dict.fromkeys(expected, "RUNNING")
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(60) == 0
    assert up.processes() == []


@pytest.mark.slow
def test_up_ends_clean_on_sigterm_and_starts_again_after_a_kill(start: Callable[[], Up]) -> None:
    """Killed with no chance to clean up it leaves nothing; the next one comes up, and ends in order on SIGTERM."""
    first = start()
    first.wait_until_it_says_so()
    first.process.kill()
    first.process.wait(30)
    first.wait_until_gone()
    second = start()
    assert second.address in second.wait_until_it_says_so()
    second.process.send_signal(signal.SIGTERM)
    assert second.process.wait(60) == 143
    assert second.processes() == []


@pytest.mark.slow
def test_up_says_which_program_has_ended(start: Callable[[], Up]) -> None:
    """A daemon that is gone is no small matter: it ends with 1, the name, and the place of the log."""
    up = start()
    up.wait_until_it_says_so()
    (daemon,) = [pid for pid in up.processes() if b"dagster._daemon" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(daemon, signal.SIGKILL)
    _, said = up.process.communicate(timeout=60)
    assert up.process.returncode == 1
    assert "The daemon has ended" in said
    assert "daemon.log" in said
    assert up.processes() == []
