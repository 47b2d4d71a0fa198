"""Long-running programs that a command starts, watches and stops, with all that they start in turn."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from holds_core.errors import HoldsError
from orchestration import watchdog

_STOP_SECONDS = 15.0
_POLL_SECONDS = 0.1
_LOG_TAIL_LINES = 15


class ServiceError(HoldsError):
    """A program that should keep running has ended, or does not come up."""


@dataclass(frozen=True)
class Service:
    """A program in a session, and so a process group, of its own: a Ctrl-C in the terminal does not reach it.

    Attributes:
        name: For people.
        process: The program; its id is also that of its group.
        log: Where its output goes.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def require_running(self) -> None:
        """Raise if it has ended.

        Raises:
            ServiceError: It has; the message holds the end of its log.
        """
        status = self.process.poll()
        if status is not None:
            raise ServiceError(
                f"The {self.name} has ended with status {status}. The end of {self.log}:\n{self._tail()}"
            )

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program and to all that it has started."""
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            return

    def is_gone(self) -> bool:
        """Tell whether nothing of it is left: neither the program nor what it has started."""
        self.process.poll()  # else it would stay as a zombie, and keep its group
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:  # macOS says so of a group of zombies
            return self.process.returncode is not None
        return False

    def _tail(self) -> str:
        return "\n".join(self.log.read_text("utf-8", errors="replace").splitlines()[-_LOG_TAIL_LINES:])


class Services:
    """Services that end together: in order with the block of :func:`running`, or at once with this process."""

    def __init__(self, environment: Mapping[str, str], logs: Path) -> None:
        self._environment = dict(environment)
        self._logs = logs
        self._services: list[Service] = []
        # Run as a file: it needs nothing but the standard library, and starts in no time.
        self._watchdog = subprocess.Popen(
            [sys.executable, "-I", "-S", watchdog.__file__], stdin=subprocess.PIPE, start_new_session=True
        )

    def start(self, name: str, command: Sequence[str]) -> Service:
        """Start a program; its output goes to a log of its own, begun anew."""
        log = self._logs / f"{name.replace(' ', '-')}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        service = Service(name, process, log)
        self._services.append(service)
        assert self._watchdog.stdin is not None
        self._watchdog.stdin.write(f"{process.pid}\n".encode())
        self._watchdog.stdin.flush()
        return service

    def require_running(self) -> None:
        """Raise if one of them has ended; see :meth:`Service.require_running`."""
        for service in self._services:
            service.require_running()

    def wait(self) -> None:
        """Return never: wait until one of them ends, which is an error, or a signal arrives.

        Raises:
            ServiceError: One of them has ended.
        """
        while True:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
            self.require_running()
            if self._watchdog.poll() is not None:
                raise ServiceError("The watchdog has ended, which would stop the services after a kill.")
            if ended is not None:
                os.waitpid(ended.si_pid, 0)  # some other child; taken off, so that the next one is waited for

    def stop(self) -> None:
        """Stop them, the last one started first, and wait until nothing of them is left."""
        for service in reversed(self._services):
            service.signal(signal.SIGTERM)
            if not _wait_until_gone(service):
                service.signal(signal.SIGKILL)
                _wait_until_gone(service)
        self._services.clear()
        self._watchdog.communicate(b"done\n")


@contextmanager
def running(environment: Mapping[str, str], logs: Path) -> Iterator[Services]:
    """Give a set of services that has been stopped when the block is left, whatever the reason."""
    logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    services = Services(environment, logs)
    try:
        yield services
    finally:
        with _undisturbed():
            services.stop()


def _wait_until_gone(service: Service) -> bool:
    deadline = time.monotonic() + _STOP_SECONDS
    while not service.is_gone():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)  # grandchildren are not announced
    return True


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let a second Ctrl-C or SIGTERM not interrupt the clean-up that the first one caused."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
