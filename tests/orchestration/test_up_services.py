"""Programs that a command keeps running: what ends them, and that nothing of them is left."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from orchestration.dagster_services import choose_port
from orchestration.services import ServiceError, Services, running

# A program that starts another one, and says both ids once both are there.
FAMILY = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
print(os.getpid(), child.pid, flush=True)
time.sleep(600)
"""

STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + FAMILY

SUPERVISOR = f"""
import os, signal, sys, time
from pathlib import Path
from typing import TypeVar
from orchestration.services import running
# Whatever has started these tests in the background may have had SIGINT ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
with running(os.environ, Path(sys.argv[1])) as services:
    services.start("family", [sys.executable, "-S", "-c", {FAMILY!r}])
    services.wait()
"""


T = TypeVar("T")


def wait_for(condition: Callable[[], T], seconds: float = 30) -> T:
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)
    return result


def ids(log: Path) -> list[int]:
    """The ids that the family has said, once both are there."""
    words = log.read_text("utf-8").split() if log.exists() else []
    return [int(word) for word in words] if len(words) == 2 else []


def is_running(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def start_family(services: Services, program: str = FAMILY) -> list[int]:
    service = services.start("family", [sys.executable, "-S", "-c", program])
    return wait_for(lambda: ids(service.log))


def test_leaving_the_block_ends_children_and_grandchildren(tmp_path: Path) -> None:
    """Nothing that was started is left, and its output is in a log of its name."""
    with running(os.environ, tmp_path / "logs") as services:
        family = start_family(services)
        assert all(is_running(pid) for pid in family)
    assert not any(is_running(pid) for pid in family)
    assert (tmp_path / "logs" / "family.log").read_text().split() == [str(pid) for pid in family]


def test_one_that_ignores_the_signal_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that does not listen is ended all the same, after a grace."""
    monkeypatch.setattr("orchestration.services._STOP_SECONDS", 0.5)
    with running(os.environ, tmp_path) as services:
        family = start_family(services, STUBBORN)
    assert not any(is_running(pid) for pid in family)


def test_one_that_ends_is_an_error_with_the_end_of_its_log(tmp_path: Path) -> None:
    """Waiting ends, and says who ended, how, and with what words; the others are stopped."""
    with running(os.environ, tmp_path) as services:
        family = start_family(services)
        services.start("short one", [sys.executable, "-S", "-c", "import sys; print('It was not to be.'); sys.exit(3)"])
        with pytest.raises(ServiceError, match=r"(?s)The short one has ended with status 3.*It was not to be\."):
            services.wait()
    assert not any(is_running(pid) for pid in family)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=lambda number: number.name)
def test_nothing_outlives_the_process_that_started_it(number: signal.Signals, tmp_path: Path) -> None:
    """Not even where that is killed with no chance to clean up."""
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(tmp_path)], stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        family = wait_for(lambda: ids(tmp_path / "family.log"))
    finally:
        supervisor.send_signal(number)
        supervisor.wait(30)
    wait_for(lambda: not any(is_running(pid) for pid in family))


def test_port_that_is_wanted_and_taken_is_refused() -> None:
    """One that was asked for is not silently replaced; without a wish there is always one."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServiceError, match=f"Port {port} is taken"):
            choose_port(port)
    assert 1 <= choose_port(None) <= 65535
