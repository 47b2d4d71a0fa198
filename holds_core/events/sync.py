"""Follows the event table of another database, for example the one behind a running Supabase project.

Where that table counts arrivals (``ingest_pos``, as ours does), every row is read once, however late its time. Where it
has only times, each sync looks at the last stretch again (the overlap): a row that comes in with a time further back
than that is not found. What was read before is a duplicate, and harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import psycopg
from psycopg import sql

from holds_core.database.connections import connect
from holds_core.database.migrations import ensure_event_partitions
from holds_core.database.queries import query
from holds_core.errors import HoldsError
from holds_core.events.importer import import_records
from holds_core.events.normalising import ImportRules
from holds_core.events.readers.records import Record, read_object
from holds_core.events.rejects import RejectsFile
from holds_core.events.writer import EventWriter

SLICE_ROWS = 50_000
"""Rows between two notes of how far it has come: so much is read again after a sync that was broken off."""

_FETCHED_AT_ONCE = 5_000
_ARRIVAL_COLUMN = "ingest_pos"
_TIME_COLUMNS = ("recorded_at", "created_at", "occurred_at")


class SyncError(HoldsError):
    """Another database's events cannot be followed."""


@dataclass
class SyncReport:
    """What a sync did.

    Attributes:
        source: The table that was followed: host, port, database, name.
        imported: Events that are new here.
        duplicates: Rows that were here already, from the overlap or another way.
        rejected: Rows that are no events.
        rejects_path: Where those are, each with its reason; None if there are none.
    """

    source: str
    imported: int = 0
    duplicates: int = 0
    rejected: int = 0
    rejects_path: Path | None = None


@dataclass(frozen=True)
class _Source:
    """The table to follow, and by which column."""

    connection: psycopg.Connection[Any]
    name: str
    table: sql.Composable
    column: str

    @property
    def counts_arrivals(self) -> bool:
        return self.column == _ARRIVAL_COLUMN

    def slices(self, after: Any, until: Any) -> Iterator[tuple[Any, Any]]:
        """Give stretches of some ``SLICE_ROWS`` rows each, as (after, until]; rows of one value stay together."""
        column = sql.Identifier(self.column)
        end_of_slice = sql.SQL(
            "select max({column}) from (select {column} from {table} where {column} > %s and {column} <= %s"
            " order by {column} limit {rows}) as slice"
        ).format(column=column, table=self.table, rows=sql.Literal(SLICE_ROWS))
        while True:
            row = self.connection.execute(end_of_slice, (after, until)).fetchone()
            if row is None or row[0] is None:
                return
            yield after, row[0]
            after = row[0]

    def rows(self, after: Any, until: Any) -> Iterator[str]:
        """Give the rows of a stretch, each as JSON."""
        column = sql.Identifier(self.column)
        statement = sql.SQL(
            # When and in which order it came in there says nothing here.
            "select (to_jsonb(events) - '{{ingest_pos,recorded_at}}'::text[])::text"
            " from {table} as events where {column} > %s and {column} <= %s order by {column}"
        ).format(column=column, table=self.table)
        with self.connection.cursor(name="holdwatch_sync") as cursor:
            cursor.execute(statement, (after, until))
            while rows := cursor.fetchmany(_FETCHED_AT_ONCE):
                yield from (row[0] for row in rows)


class _Rows:
    """A stretch of rows, as what the importer reads."""

    def __init__(self, rows: Iterator[str]) -> None:
        self._rows = rows
        self._bytes = 0

    def __iter__(self) -> Iterator[Record]:
        for number, text in enumerate(self._rows, start=1):
            self._bytes += len(text)
            yield Record(number, text, read_object(text))

    def bytes_read(self) -> int:
        return self._bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing to close: the rows end with their transaction."""


def sync_events(
    connection: psycopg.Connection[Any],
    source_url: str,
    *,
    rejects_directory: Path,
    environment: str,
    table: str = "holds.observability_events",
    overlap: timedelta = timedelta(hours=1),
    on_progress: Callable[[SyncReport], None] = lambda report: None,
) -> SyncReport:
    """Bring the rows of another database's event table here that have come in there since the last time.

    The other database is only read, in transactions that could not write. Broken off, it goes on from its last note the
    next time; a second one at once is harmless.

    Args:
        connection: Autocommit, of a user who owns the event table here.
        source_url: The other database.
        rejects_directory: Where rows go that are no events.
        environment: For rows that name none.
        table: The table there: ours, or one with the columns that an import takes.
        overlap: How far back rows are looked at again, where the table has only times.
        on_progress: Called after each slice.

    Raises:
        SyncError: There is no such table, or none that can be followed.
        psycopg.OperationalError: A database cannot be reached.
    """
    rules = ImportRules.at(datetime.now(UTC), environment)
    with _open_source(source_url, table) as source:
        report = SyncReport(source.name)
        after, until = _stretch(connection, source, overlap)
        ensure_event_partitions(connection)
        rejects_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        rejects = RejectsFile(rejects_directory / f"{datetime.now(UTC):%Y%m%dT%H%M%S}")
        with rejects, EventWriter(connection) as writer:
            for begins, ends in source.slices(after, until):
                with source.connection.transaction():
                    imported, duplicates = import_records(writer, _Rows(source.rows(begins, ends)), rules, rejects)
                report.imported += imported
                report.duplicates += duplicates
                report.rejected = rejects.count
                _note(connection, source, ends)
                on_progress(report)
            if source.counts_arrivals:
                _note(connection, source, until)
            rejects.complete()
        report.rejects_path = rejects.path if rejects.count else None
        return report


@contextmanager
def _open_source(url: str, table: str) -> Iterator[_Source]:
    with connect(url, application_name="holdwatch-sync") as connection:
        connection.execute("set default_transaction_read_only = on")
        connection.execute("set timezone = 'UTC'")
        columns = {row[0] for row in connection.execute(query("source_table_columns"), {"table": table})}
        if not columns:
            raise SyncError(f"There is no table {table} that this user may see in that database; name it with --table.")
        column = next((name for name in (_ARRIVAL_COLUMN, *_TIME_COLUMNS) if name in columns), None)
        if column is None or "event_type" not in columns:
            raise SyncError(
                f"The table {table} cannot be followed: it needs event_type, and one of ingest_pos, recorded_at, "
                f"created_at and occurred_at; it has {', '.join(sorted(columns))}."
            )
        where = connection.info
        name = f"{where.host}:{where.port}/{where.dbname}/{table}"
        yield _Source(connection, name, sql.Identifier(*table.split(".")), column)


def _stretch(connection: psycopg.Connection[Any], source: _Source, overlap: timedelta) -> tuple[Any, Any]:
    """Return after which value of its column the source is to be read, and up to which."""
    row = connection.execute(query("read_sync_state"), {"source": source.name}).fetchone()
    position, read_until = row or (None, None)
    snapshot = source.connection.execute(query("source_snapshot")).fetchone()
    assert snapshot is not None
    if source.counts_arrivals:
        # Transactions from here on may still write rows with a lower position than those that are there.
        last = int(snapshot[0]) - 1
        # Further than the source has come: it was restored from a dump, and counts anew.
        return (-1 if position is None or position > last else position), last
    begin = datetime.now(UTC) - timedelta(days=400) if read_until is None else read_until - overlap
    return begin, snapshot[1] + timedelta(days=1)


def _note(connection: psycopg.Connection[Any], source: _Source, value: Any) -> None:
    connection.execute(
        query("write_sync_state"),
        {
            "source": source.name,
            "position": value if source.counts_arrivals else None,
            "read_until": None if source.counts_arrivals else value,
        },
    )
