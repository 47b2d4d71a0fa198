"""Imports a file of events: read, normalise, write in batches, and account for every line.

Every line that is not blank ends up in exactly one of three places: in the event table, counted as a duplicate of what
is there, or in ``FILE.rejected.jsonl`` with the reason. Repeating an import is harmless, and imports nothing.

The database stores one batch (in a thread of its own) while the next is read; three batches at most are in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from holds_core.database.connections import connect
from holds_core.database.migrations import ensure_event_partitions
from holds_core.database.settings import Settings
from holds_core.events.copy_text import copy_line
from holds_core.events.errors import EventImportError, LineRejectedError, UnreadableFileError
from holds_core.events.normalising import ImportRules, normalise
from holds_core.events.notices import ImportNotices
from holds_core.events.readers import EventReader, Raw, Record, open_reader
from holds_core.events.rejects import Reject, RejectsFile
from holds_core.events.writer import EventWriter, WriteResult

BATCH_LINES = 10_000
BATCH_BYTES = 8 * 1024 * 1024
"""A batch ends with whichever is reached first: many lines, or a few large ones."""


GRACE_SECONDS = 5
"""How long a batch being written may take after an interrupt. Then it is cancelled: a lock may be in its way."""


@dataclass(frozen=True)
class ImportReport:
    """What an import did.

    Attributes:
        path: The file.
        imported: Events that are new in the database.
        duplicates: Lines whose (id, occurred_at) was there already, from another import or an earlier line.
        rejected: Lines that are no events.
        rejects_path: Where those are, each with its reason; None if there are none.
        notices: What a person should know of those that are events.
    """

    path: Path
    imported: int = 0
    duplicates: int = 0
    rejected: int = 0
    rejects_path: Path | None = None
    notices: ImportNotices = field(default_factory=ImportNotices, compare=False)

    @property
    def read(self) -> int:
        """Lines read; blank ones are not."""
        return self.imported + self.duplicates + self.rejected

    def summary(self) -> str:
        """Return the counts as part of a sentence."""
        return f"{self.imported:,} imported, {self.duplicates:,} duplicates, {self.rejected:,} rejected"


class ImportFailedError(EventImportError):
    """An import ended early; ``report`` is what it had done by then, which stays. Repeating it is harmless."""

    def __init__(self, message: str, report: ImportReport) -> None:
        super().__init__(
            f"{message} Of {report.path.name}, before that: {report.summary()}. That stays; repeating the import is "
            "harmless."
        )
        self.report = report


def import_file(
    database: psycopg.Connection | str,
    path: Path | str,
    *,
    environment: str | None = None,
    now: datetime | None = None,
    batch_lines: int = BATCH_LINES,
    on_progress: Callable[[int], None] = lambda bytes_read: None,
    on_interrupt: Callable[[ImportReport], None] = lambda report: None,
) -> ImportReport:
    """Import a ``.jsonl``, ``.jsonl.gz``, ``.csv`` or ``.parquet`` file of events.

    Args:
        database: An autocommit connection, or a URL to open one at, whose user owns the event table.
        path: The file. Its rejects go beside it, to ``FILE.rejected.jsonl``.
        environment: For events that name none; by default ``HOLDWATCH_ENVIRONMENT``.
        now: Ages are reckoned from here (a time with a zone); by default the clock.
        batch_lines: Lines to a transaction.
        on_progress: Called after every batch with the bytes of the file read so far.
        on_interrupt: Called when Ctrl-C, or an exit, ends the import early, with what was done by then. That stays;
            repeating the import is harmless. What interrupted it is raised on.

    Raises:
        EventImportError: The file cannot be read at all, or its rejects cannot be written; nothing was imported.
        ImportFailedError: The file turned out damaged, or the database went away; has the report so far.
        SettingsError: ``HOLDWATCH_ENVIRONMENT`` makes no sense.
        psycopg.OperationalError: The database cannot be reached.
    """
    path = Path(path)
    rules = ImportRules.at(now or datetime.now(UTC), environment or Settings.from_environ().environment.value)
    with ExitStack() as stack:
        reader = stack.enter_context(open_reader(path))
        connection = stack.enter_context(connect(database)) if isinstance(database, str) else database
        ensure_event_partitions(connection)
        writer = stack.enter_context(EventWriter(connection))
        rejects = RejectsFile(path)
        run = _Run(writer, rejects, batch_lines)
        try:
            with rejects:
                run.import_all(reader, rules, on_progress)
        except (EventImportError, OSError, psycopg.Error) as error:
            raise ImportFailedError(_what_happened(path, error), run.report(path)) from error
        except (KeyboardInterrupt, SystemExit):
            on_interrupt(run.report(path))
            raise
        return run.report(path)


def import_records(
    writer: EventWriter,
    reader: EventReader,
    rules: ImportRules,
    rejects: RejectsFile,
    on_progress: Callable[[int], None] = lambda bytes_read: None,
) -> tuple[int, int]:
    """Import what a reader gives that is no file; returns how many events are new, and how many were there already.

    Raises:
        psycopg.Error: The database cannot be written to. What was written by then stays.
    """
    run = _Run(writer, rejects, BATCH_LINES)
    run.import_all(reader, rules, on_progress, is_complete=False)
    return run.imported, run.duplicates


@dataclass
class _Batch:
    """Lines on their way: those to be written as COPY lines, with where they come from, and those rejected already.

    The parsed mappings are let go: tens of thousands of them alive would keep Python's garbage collector busy, at a
    third of the speed.
    """

    lines: list[bytes] = field(default_factory=list)
    origins: list[tuple[int, Raw]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    size: int = 0
    notices: ImportNotices = field(default_factory=ImportNotices)

    def __len__(self) -> int:
        return len(self.lines) + len(self.rejects)

    def take(self, record: Record, rules: ImportRules) -> None:
        """Add the record, as an event or as a reject."""
        line_number, raw, content = record
        self.size += len(raw)
        if isinstance(content, str):
            self.rejects.append(Reject(line_number, content, raw))
            return
        try:
            row = normalise(content, rules)
            line = copy_line(row, line_number)
        except LineRejectedError as error:
            self.rejects.append(Reject(line_number, str(error), raw))
            return
        self.notices.note(content, row)
        self.lines.append(line)
        self.origins.append((line_number, raw))
        self.size += len(line)

    def refuse(self, index: int, reason: str) -> None:
        """Add what was to be written, at that index, to the rejects."""
        line_number, raw = self.origins[index]
        self.rejects.append(Reject(line_number, reason, raw))


class _Run:
    """One import under way: at most one batch is being written while the next is read."""

    def __init__(self, writer: EventWriter, rejects: RejectsFile, batch_lines: int) -> None:
        self._writer = writer
        self._rejects = rejects
        self._batch_lines = batch_lines
        self.imported = 0
        self.duplicates = 0
        self._notices = ImportNotices()
        self._batch = _Batch(notices=self._notices)
        self._pending: tuple[_Batch, Future[WriteResult]] | None = None

    def report(self, path: Path) -> ImportReport:
        """Return what was done so far."""
        return ImportReport(
            path=path,
            imported=self.imported,
            duplicates=self.duplicates,
            rejected=self._rejects.count,
            rejects_path=self._rejects.path if self._rejects.count else None,
            notices=self._notices,
        )

    def import_all(
        self,
        reader: EventReader,
        rules: ImportRules,
        on_progress: Callable[[int], None],
        *,
        is_complete: bool = True,
    ) -> None:
        """Import what the reader gives; however that ends, what was begun is finished and counted."""
        with ThreadPoolExecutor(max_workers=1) as executor:
            try:
                self._read_all(executor, reader, rules, on_progress)
            except BaseException:
                self._wind_up()
                raise
        if is_complete:
            self._rejects.complete()

    def _read_all(
        self,
        executor: ThreadPoolExecutor,
        reader: EventReader,
        rules: ImportRules,
        on_progress: Callable[[int], None],
    ) -> None:
        damage: UnreadableFileError | None = None
        try:
            for record in reader:
                self._batch.take(record, rules)
                if len(self._batch) >= self._batch_lines or self._batch.size >= BATCH_BYTES:
                    self._submit(executor)
                    on_progress(reader.bytes_read())
        except UnreadableFileError as error:
            # The file is damaged further on; what was read of it before is as good as ever.
            damage = error
        self._submit(executor)
        self._settle()
        on_progress(reader.bytes_read())
        if damage is not None:
            raise damage

    def _submit(self, executor: ThreadPoolExecutor) -> None:
        """Have the batch written, after the one before it, and begin the next."""
        self._settle()
        self._pending = self._batch, executor.submit(self._writer.write, self._batch.lines)
        self._batch = _Batch(notices=self._notices)

    def _settle(self) -> None:
        """Wait until the batch that is being written is stored; count it, and write down its rejects."""
        if self._pending is None:
            return
        batch, future = self._pending
        wait([future])  # an interrupt here leaves it pending, to be waited for again
        self._pending = None
        try:
            result = future.result()
            self.imported += result.imported
            self.duplicates += result.duplicates
            for index, reason in result.refused:
                batch.refuse(index, reason)
        finally:
            self._rejects.write(batch.rejects)

    def _wind_up(self) -> None:
        """After an interrupt or an error: let the batch that is being written end, and keep all rejects found."""
        if self._pending is not None and wait([self._pending[1]], timeout=GRACE_SECONDS).not_done:
            self._writer.cancel()
        # What ended the import is told; that the last batch was not stored either shows in the counts.
        with suppress(psycopg.Error):
            self._settle()
        self._rejects.write(self._batch.rejects)


def _what_happened(path: Path, error: Exception) -> str:
    if isinstance(error, EventImportError):
        return str(error)
    words = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if isinstance(error, psycopg.Error):
        return f"The database ended the import of {path.name}: {words}."
    return f"The import of {path.name} failed: {words}."
