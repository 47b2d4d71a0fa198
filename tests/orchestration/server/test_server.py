"""The embedded server: shared, stopped by the last one out, and whole again after every way to die."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from orchestration.errors import ServerError
from orchestration.server.layout import ServerLayout
from orchestration.server.lease import ServerLease


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state folder of this test's own; whatever runs from it is stopped afterwards."""
    folder = tmp_path / ".holdwatch"
    folder.mkdir()
    yield folder
    lease = ServerLease(folder)
    lease.server.stop()
    if ServerLayout.of(folder).user is not None:
        shutil.rmtree(ServerLayout.of(folder).home, ignore_errors=True)


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def postmaster_pid(state: Path) -> int:
    """The pid of the server that runs from this state folder."""
    return int((ServerLayout.of(state).data / "postmaster.pid").read_text().splitlines()[0])


def processes_using(state: Path) -> list[str]:
    """The command lines of all processes that name this state's data directory or folder."""
    names = (str(ServerLayout.of(state).data), str(state))
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if any(name in line for name in names):
                found.append(line)
    return found


def holdwatch(state: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a holdwatch command on this state folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOLDWATCH_")}
    return subprocess.Popen(
        [sys.executable, "-c", "from orchestration.cli import main; main()", *arguments],
        env=environment | {"HOLDWATCH_STATE_DIR": str(state)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for a command; return its exit status, standard output and standard error."""
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def test_server_is_private_and_durable(state: Path) -> None:
    """Loopback only, a password everywhere, fsync on, nothing readable by others."""
    with ServerLease(state).held() as server, psycopg.connect(server.url()) as connection:
        shown = {
            name: connection.execute("select current_setting(%s)", (name,)).fetchone()
            for name in ("listen_addresses", "fsync", "synchronous_commit", "timezone")
        }
        assert shown == {
            "listen_addresses": ("127.0.0.1",),
            "fsync": ("on",),
            "synchronous_commit": ("on",),
            "timezone": ("UTC",),
        }
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(server.url().replace("holdwatch:", "holdwatch:not", 1))
        layout = ServerLayout.of(state)
        socket_url = (
            f"postgresql://holdwatch:{layout.password()}@/holdwatch?host={layout.sockets}&port={connection.info.port}"
        )
        with psycopg.connect(socket_url) as through_socket:
            assert through_socket.execute("select 1").fetchone() == (1,)
        for path in (layout.password_file, layout.pointer, layout.data, layout.sockets):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_last_one_out_stops_it(state: Path) -> None:
    """Two users, one server; it stops with the second."""
    first, second = ServerLease(state), ServerLease(state)
    with first.held() as server:
        with second.held():
            pid = postmaster_pid(state)
        assert server.is_running()
        assert postmaster_pid(state) == pid
    assert not server.is_running()
    assert processes_using(state) == []


def test_kept_server_stays_until_it_is_stopped(state: Path) -> None:
    """`db start` keeps it up; `db stop` ends it, with the last user if there is one."""
    lease = ServerLease(state)
    assert lease.keep()
    assert not lease.keep()
    with lease.held() as server:
        pass
    assert server.is_running()
    with lease.held():
        assert not lease.release()
        assert server.is_running()
    assert not server.is_running()


def test_killed_server_starts_again_with_its_data(state: Path) -> None:
    """kill -9 of the server loses nothing that was committed."""
    lease = ServerLease(state)
    with lease.held() as server:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("create table kept (id integer)")
            connection.execute("insert into kept values (1)")
        os.kill(postmaster_pid(state), signal.SIGKILL)
        wait_for(lambda: not server.is_running())
    with lease.held() as server, psycopg.connect(server.url()) as connection:
        assert connection.execute("select id from kept").fetchall() == [(1,)]


def test_unreadable_pointer_costs_no_data(state: Path) -> None:
    """A file cut short by a power failure is written anew; nothing else is touched."""
    lease = ServerLease(state)
    with lease.held() as server, psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("create table precious (id integer)")
        ServerLayout.of(state).pointer.write_text("")
        with ServerLease(state).held() as again, psycopg.connect(again.url()) as other:
            assert other.execute("select count(*) from precious").fetchone() == (0,)
    ServerLayout.of(state).pointer.write_text("{")
    with lease.held() as server, psycopg.connect(server.url()) as connection:
        assert connection.execute("select count(*) from precious").fetchone() == (0,)


def test_pid_of_a_stranger_is_left_alone(state: Path) -> None:
    """After a kill the pid may be another process's: it is not taken for the server, and not stopped."""
    lease = ServerLease(state)
    with lease.held() as server:
        pid_file = ServerLayout.of(state).data / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
        os.kill(int(lines[0]), signal.SIGKILL)
        wait_for(lambda: not server.is_running())
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]))
        assert not server.is_running()
        assert not server.stop()
        with lease.held() as server, psycopg.connect(server.url()) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
        assert stranger.poll() is None
    finally:
        stranger.communicate(b"\n")


def test_interrupted_first_start_leaves_nothing_broken(state: Path) -> None:
    """A half-made data directory is made anew."""
    layout = ServerLayout.of(state)
    layout.prepare()
    partial = layout.home / "data.partial"
    partial.mkdir()
    (partial / "PG_VERSION").write_text("1")

    with ServerLease(state).held() as server, psycopg.connect(server.url()) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    assert not partial.exists()


def test_data_of_another_version_is_left_alone(state: Path) -> None:
    """A clear error, and the data as it was."""
    with ServerLease(state).held():
        pass
    version = ServerLayout.of(state).data / "PG_VERSION"
    version.write_text("12\n")

    with pytest.raises(ServerError, match="is of PostgreSQL 12"), ServerLease(state).held():
        pass
    assert version.exists()


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_command_leaves_no_process(state: Path, signal_number: signal.Signals) -> None:
    """The command ends by the usual status, says so in one line, and takes the server with it."""
    process = holdwatch(state, "soak", "--requests", "20000", "--concurrency", "50", "--connections", "5")

    def is_loading() -> bool:
        server = ServerLease(state).server
        if process.poll() is not None or not server.is_running():
            return False
        try:
            with psycopg.connect(server.url()) as connection:
                row = connection.execute("select count(*) from holds.table_holds").fetchone()
        except psycopg.Error:
            return False
        return row is not None and row[0] > 0

    wait_for(is_loading, 60)
    process.send_signal(signal_number)
    status, _, err = finish(process)

    assert status == {signal.SIGINT: 130, signal.SIGTERM: 143}[signal_number]
    assert "Traceback" not in err
    assert err.strip().splitlines()[-1] in ("holdwatch: Interrupted.", "holdwatch: Terminated.")
    assert processes_using(state) == []
    status, out, err = finish(holdwatch(state, "db", "migrate"))
    assert (status, err) == (0, "")
    assert "Nothing to do" in out


def test_killed_command_leaves_a_server_that_the_next_one_stops(state: Path) -> None:
    """kill -9 of a command cannot stop anything; the next command's end does."""
    process = holdwatch(state, "soak", "--requests", "20000", "--concurrency", "50", "--connections", "5")
    wait_for((ServerLayout.of(state).data / "postmaster.pid").exists)
    server = ServerLease(state).server
    wait_for(server.is_running)
    process.kill()
    finish(process)

    status, _, err = finish(holdwatch(state, "db", "migrate"))
    assert (status, err) == (0, "")
    assert processes_using(state) == []


def test_second_start_at_the_same_time_shares(state: Path) -> None:
    """Many commands at once on a fresh folder: one initdb, one server, all succeed, none is left."""
    commands = [holdwatch(state, "db", "migrate", "--json") for _ in range(3)]

    assert [finish(command)[0] for command in commands] == [0, 0, 0]
    assert processes_using(state) == []


def test_unreachable_real_server_is_one_clear_line(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No traceback, no password."""
    environment = os.environ | {"HOLDWATCH_DATABASE_URL": "postgresql://me:secret@127.0.0.1:1/none"}
    done = subprocess.run(
        [sys.executable, "-c", "from orchestration.cli import main; main()", "db", "migrate"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "secret" not in done.stderr
