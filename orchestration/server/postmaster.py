"""What ``postmaster.pid`` says of a running server, and whether it is true."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Postmaster:
    """The main process of a running server.

    Attributes:
        pid: Its process.
        port: Where it listens.
        is_ready: Whether it takes connections, or is still starting.
    """

    pid: int
    port: int
    is_ready: bool

    @classmethod
    def of(cls, data: Path) -> Postmaster | None:
        """Return the server that runs on a data directory, or None.

        A file that a killed server left behind may name a pid that belongs to another process by now. The server's own
        working directory is its data directory; where that can be looked up, it decides.
        """
        found = _read(data)
        return found if found is not None and _runs_in(found.pid, data) else None


def forget_stale_pid(data: Path) -> None:
    """Remove a ``postmaster.pid`` whose pid belongs to another process by now: PostgreSQL would believe that one.

    One whose process is gone is left for PostgreSQL, which then makes sure that no orphan of it uses the data still.
    """
    found = _read(data)
    if found is not None and _exists(found.pid) and not _runs_in(found.pid, data):
        (data / "postmaster.pid").unlink(missing_ok=True)


def _read(data: Path) -> Postmaster | None:
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        return Postmaster(int(lines[0]), int(lines[3]), is_ready=len(lines) > 7 and lines[7].strip() == "ready")
    except (FileNotFoundError, IndexError, ValueError):
        return None  # none, or one that is just being written or removed


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's
    return True


def _runs_in(pid: int, data: Path) -> bool:
    if not _exists(pid):
        return False
    try:
        return Path(f"/proc/{pid}/cwd").resolve(strict=True) == data.resolve()
    except FileNotFoundError:
        return not Path("/proc/self").exists()  # gone just now; or a system without /proc, which has to be believed
    except PermissionError:
        return False  # a server of ours would let us look
