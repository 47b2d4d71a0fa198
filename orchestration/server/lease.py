"""Who is using the embedded server: the first one in starts it, the last one out stops it.

Every command that uses the server holds a shared lock on ``lease.lock``. The kernel drops it with the process, however
that ends, so a command that was killed never keeps the server up for ever: the next one out stops it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from orchestration.server.embedded import EmbeddedServer
from orchestration.server.layout import ServerLayout


class ServerLease:
    """Starts and stops the server of one state folder on behalf of many commands."""

    def __init__(self, state: Path, settings: Mapping[str, str] | None = None) -> None:
        """Share the server whose pointer, password and locks are in ``state``."""
        self._state = state
        self.server = EmbeddedServer(ServerLayout.of(state), settings)

    @contextmanager
    def held(self) -> Iterator[EmbeddedServer]:
        """Keep the server up within the block; stop it afterwards unless another command, or ``keep``, needs it."""
        with _open(self._state / "lease.lock") as lease:
            with self._transition():
                fcntl.flock(lease, fcntl.LOCK_SH)
                self.server.start()
            try:
                yield self.server
            finally:
                with self._transition():
                    fcntl.flock(lease, fcntl.LOCK_UN)
                    if not self.is_kept() and self._is_last(lease):
                        self.server.stop()

    def keep(self) -> bool:
        """Start the server and leave it up until :meth:`release`; return whether it was started by this call."""
        with self._transition():
            was_started = self.server.start()
            self._keep_file.touch()
            return was_started

    def release(self) -> bool:
        """Stop the server now, or with the last command that uses it; return whether it is stopped now."""
        with _open(self._state / "lease.lock") as lease, self._transition():
            self._keep_file.unlink(missing_ok=True)
            if not self._is_last(lease):
                return False
            self.server.stop()
            return True

    def is_kept(self) -> bool:
        """Tell whether ``holdwatch db start`` asked for the server to stay up."""
        return self._keep_file.exists()

    @property
    def _keep_file(self) -> Path:
        return self._state / "keep-server"

    @contextmanager
    def _transition(self) -> Iterator[None]:
        """One start or stop at a time."""
        with _open(self._state / "transition.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _is_last(self, lease: int) -> bool:
        try:
            fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        fcntl.flock(lease, fcntl.LOCK_UN)
        return True


@contextmanager
def _open(path: Path) -> Iterator[int]:
    # Not inherited (Python's default): a child that outlives the command must not keep its lock.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
