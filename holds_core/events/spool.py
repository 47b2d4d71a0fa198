"""Events that the database could not take, kept on disk until it can.

A folder for each database, shared by all processes of a machine::

    waiting.jsonl         appended to, a line per event
    draining-<id>.jsonl   moved aside by whoever drains; deleted once its events are committed
    rejected.jsonl        what nobody can store, each line with its reason

A line is an event in the dialect that ``holdwatch events import`` reads. Identity is (id, occurred_at): an event that
is drained twice, by a crash between the commit and the deletion, is stored once.
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import json
import logging
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import psycopg
from psycopg.conninfo import conninfo_to_dict

from holds_core.database.queries import query
from holds_core.database.severing import severed_after
from holds_core.errors import HoldsError
from holds_core.events.record import Event, event_from

WAITING = "waiting.jsonl"
REJECTED = "rejected.jsonl"
_LONGEST_NAME = 100
_BATCH = 500
_BATCH_SECONDS = 30.0
"""A database that has not taken a batch by then has gone silent; nobody waits for it for ever."""

_log = logging.getLogger("holds_core")


@dataclass(frozen=True)
class DrainReport:
    """What a drain did.

    Attributes:
        drained: Events that are in the database now.
        rejected: Lines that cannot be read, and events that no database can store; kept in ``rejected.jsonl``.
        postponed: Events that the database refuses for now, for example since their table is locked; they wait on.
    """

    drained: int
    rejected: int
    postponed: int = 0


class EventRefusedError(HoldsError):
    """The database does not store this event.

    Attributes:
        is_for_good: Whether it never will: its content is at fault, or its time.
    """

    def __init__(self, reason: str, code: str | None) -> None:
        """Say why: the database's SQLSTATE, or None where the event cannot even be sent to it."""
        super().__init__(reason)
        # Data exception, a limit exceeded, a field missing, a time without a partition, or what no driver can send.
        # Whatever else it is, somebody may mend.
        self.is_for_good = code is None or code.startswith(("22", "54")) or code in ("23502", "23514")


def spool_root(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of this machine's user in which each database has one.

    ``HOLDWATCH_SPOOL_DIRECTORY``, else ``holdwatch/spool`` under ``XDG_STATE_HOME``, else under ``~/.local/state``;
    where there is no home, a new folder for temporary files, which nobody else has made before.
    """
    if directory := environ.get("HOLDWATCH_SPOOL_DIRECTORY"):
        return Path(directory)
    if state := environ.get("XDG_STATE_HOME"):
        return Path(state) / "holdwatch" / "spool"
    if home := environ.get("HOME"):
        return Path(home) / ".local" / "state" / "holdwatch" / "spool"
    return Path(tempfile.mkdtemp(prefix="holdwatch-spool-"))


def default_spool(url: str | None, environ: Mapping[str, str] = os.environ) -> EventSpool:
    """Return the spool of one database: its folder below :func:`spool_root`, so that no event gets into another one.

    Args:
        url: The database's, or that of Supabase's API; what libpq takes. Host, port and database name the folder, user
            and password do not. None: nobody knows to which database these events belong.
        environ: Where the root is named, and what a URL leaves out.
    """
    return EventSpool(spool_root(environ) / ("unknown" if url is None else _folder_of(url, environ)))


def other_spools(own: EventSpool, environ: Mapping[str, str] = os.environ) -> list[EventSpool]:
    """Return where events wait for other databases, or under another address of this one, or have since older releases.

    Releases before this one had a single folder for all databases, the root: nobody can tell whose its events are.
    """
    root = spool_root(environ)
    folders = (root, *(folder for folder in sorted(root.glob("*")) if folder.is_dir()))
    spools = (EventSpool(folder) for folder in folders if folder != own.directory)
    return [spool for spool in spools if spool.depth() > 0]


def _folder_of(url: str, environ: Mapping[str, str]) -> str:
    if url.startswith(("http://", "https://")):
        parts = urlsplit(url)
        host, port = parts.hostname or "", str(parts.port or ("443" if parts.scheme == "https" else "80"))
        database = parts.path.strip("/")
    else:
        said = conninfo_to_dict(url)
        service = said.get("service") or environ.get("PGSERVICE")
        host = str(said.get("host") or said.get("hostaddr") or environ.get("PGHOST") or service or "local")
        port = str(said.get("port") or environ.get("PGPORT") or 5432)
        user = said.get("user") or environ.get("PGUSER")
        database = str(said.get("dbname") or environ.get("PGDATABASE") or user or "postgres")
    name = f"{host}_{port}_{database}"
    folder = re.sub(r"[^a-z0-9_.-]", "_", name)[:_LONGEST_NAME]
    if folder == name and "_" not in host:
        return folder
    # Two databases never share a folder: not even those whose names differ in what a file's name cannot say.
    return f"{folder}-{hashlib.sha256(repr((host, port, database)).encode()).hexdigest()[:12]}"


class EventSpool:
    """A folder of waiting events. Safe between threads and between processes.

    Attributes:
        directory: Made when the first event comes, for its owner alone.
        dropped: Events that this process could not even spool.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.dropped = 0
        self._drops = itertools.count(1)  # never a lock: a fork would copy it locked

    def append(self, event: Event) -> bool:
        """Keep an event, on disk when this returns; return whether that worked.

        Never raises: where the disk is full or the folder cannot be written, the event is counted in ``dropped`` and a
        warning says how many there are by now.
        """
        try:
            self._append(WAITING, _line_of(event))
        except (OSError, TypeError, ValueError) as error:
            self.drop(error)
            return False
        return True

    def drop(self, why: object) -> None:
        """Count an event that is not kept, and warn of how many there are by now."""
        self.dropped = next(self._drops)
        if _is_worth_saying(self.dropped):
            _log.warning("%d events could not be spooled to %s: %s", self.dropped, self.directory, why)

    def depth(self) -> int:
        """Return how many events wait."""
        return sum(len(_lines(content)) for content in self._waiting_contents())

    def oldest_at(self) -> datetime | None:
        """Return when the oldest waiting event happened; None where none waits."""
        times = [
            event.occurred_at
            for content in self._waiting_contents()
            for line in _lines(content)
            if isinstance(event := _event_of(line), Event)
        ]
        return min(times, default=None)

    def rejected(self) -> int:
        """Return how many lines were set aside."""
        try:
            return len(_lines((self.directory / REJECTED).read_bytes()))
        except FileNotFoundError:
            return 0

    def drain(self, connection: psycopg.Connection[Any]) -> DrainReport:
        """Bring what waits into the database, and delete it here once that is committed.

        Two drains at once are safe, and so is a crash at any point: what another one has in hand is left to it, and
        what a crashed one left behind is taken up.

        Args:
            connection: In autocommit mode, as a role that may execute ``holds.record_event``.

        Raises:
            psycopg.Error: The database cannot be written to; everything that is not stored yet stays.
        """
        return self._drain(lambda events: _store(connection, events))

    def drain_one_by_one(self, store: Callable[[Event], None]) -> DrainReport:
        """The same where there is no connection to the database: over whatever stores an event.

        Args:
            store: Raises EventRefusedError where the database does not store it, anything else where nobody knows.
        """
        return self._drain(lambda events: _store_each(store, events))

    def _drain(self, store: Callable[[Sequence[Event]], dict[UUID, EventRefusedError]]) -> DrainReport:
        drained = rejected = postponed = 0
        self._move_aside()
        for path in sorted(self.directory.glob("draining-*.jsonl")):
            with _locked(path) as file:
                if file is None:
                    continue  # in another one's hands, or drained by it
                for lines in _batches(_lines(file.read())):
                    read = [(line, _event_of(line)) for line in lines]
                    refusals = store([event for _, event in read if isinstance(event, Event)])
                    for line, event in read:
                        refusal = refusals.get(event.id) if isinstance(event, Event) else None
                        if isinstance(event, str):
                            rejected += 1
                            self._append(REJECTED, _rejection(line, event))
                        elif refusal is None:
                            drained += 1
                        elif refusal.is_for_good:
                            rejected += 1
                            self._append(REJECTED, _rejection(line, str(refusal)))
                        else:
                            postponed += 1
                            self._append(WAITING, line + b"\n")
                path.unlink()
        return DrainReport(drained, rejected, postponed)

    def _waiting_contents(self) -> Iterator[bytes]:
        for pattern in ("draining-*.jsonl", WAITING):
            for path in sorted(self.directory.glob(pattern)):
                with suppress(FileNotFoundError):  # drained since, or moved aside
                    yield path.read_bytes()

    def _move_aside(self) -> None:
        waiting = self.directory / WAITING
        with _locked(waiting, is_patient=True) as file:
            if file is not None and os.fstat(file.fileno()).st_size > 0:
                waiting.rename(self.directory / f"draining-{uuid4().hex}.jsonl")

    def _append(self, name: str, line: bytes) -> None:
        """Append a line to one of the files, whole or not at all, and wait until the disk has it."""
        path = self.directory / name
        while True:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if not _is_still(path, descriptor):
                    continue  # moved aside between opening and locking
                size = os.fstat(descriptor).st_size
                # What a crash has torn off stays a line of its own, and is set aside when it is drained.
                torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
                _write_whole(descriptor, (b"\n" if torn else b"") + line, size)
                return
            finally:
                os.close(descriptor)


def _write_whole(descriptor: int, data: bytes, size_before: int) -> None:
    try:
        written = 0
        while written < len(data):
            written += os.write(descriptor, data[written:])
        os.fsync(descriptor)
    except OSError:
        # A full disk may have taken half of it.
        with suppress(OSError):
            os.ftruncate(descriptor, size_before)
        raise


@contextmanager
def _locked(path: Path, *, is_patient: bool = False) -> Iterator[IO[bytes] | None]:
    """Open and lock a file for the block; None where it is gone, or locked by another and there is no patience."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        yield None
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if is_patient else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield file if _is_still(path, file.fileno()) else None


def _is_still(path: Path, descriptor: int) -> bool:
    """Tell whether the path still names the file that was opened."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _store(connection: psycopg.Connection[Any], events: Sequence[Event]) -> dict[UUID, EventRefusedError]:
    """Store a batch in one transaction; return what is refused, by the event's id."""
    refusals: dict[UUID, EventRefusedError] = {}
    with severed_after(connection, _BATCH_SECONDS), connection.transaction():
        for event in events:
            try:
                with connection.transaction():
                    connection.execute(query("store_event"), event.parameters())
            except (TypeError, ValueError, psycopg.DataError) as error:
                code = error.sqlstate if isinstance(error, psycopg.Error) else None
                refusals[event.id] = EventRefusedError(str(error), code)
            except psycopg.Error as error:
                if connection.broken or error.sqlstate is None:
                    raise
                refusals[event.id] = EventRefusedError(error.diag.message_primary or str(error), error.sqlstate)
    return refusals


def _store_each(store: Callable[[Event], None], events: Sequence[Event]) -> dict[UUID, EventRefusedError]:
    refusals: dict[UUID, EventRefusedError] = {}
    for event in events:
        try:
            store(event)
        except EventRefusedError as refusal:
            refusals[event.id] = refusal
    return refusals


def _batches(lines: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(lines), _BATCH):
        yield lines[start : start + _BATCH]


def _lines(content: bytes) -> list[bytes]:
    return [line for line in content.split(b"\n") if line.strip()]


def _line_of(event: Event) -> bytes:
    fields = {
        "id": str(event.id),
        "occurred_at": event.occurred_at.isoformat(),
        "event_type": str(event.event_type),
        "severity": str(event.severity),
        "source": event.source,
        "restaurant_id": None if event.restaurant_id is None else str(event.restaurant_id),
        "booking_id": None if event.booking_id is None else str(event.booking_id),
        "context": dict(event.context),
    }
    return json.dumps(fields, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _event_of(line: bytes) -> Event | str:
    """Read a line back; a text says why it cannot be."""
    try:
        return event_from(json.loads(line))
    except (ValueError, KeyError, TypeError, AttributeError, HoldsError) as error:
        return f"it cannot be read ({type(error).__name__}: {error}); as a rule a crash has cut it off"


def _rejection(line: bytes, reason: str) -> bytes:
    return json.dumps({"reason": reason, "line": line.decode(errors="replace")}).encode() + b"\n"


def _is_worth_saying(count: int) -> bool:
    """Tell whether a count is 1, 10, 100, …: a log must not drown in what it warns of."""
    return str(count).rstrip("0") == "1"
