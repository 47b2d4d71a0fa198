"""Events out to Parquet files, one folder per UTC day: for Spark, DuckDB, pandas, or for keeping.

All days of one export are of one snapshot. A second export into the same folder writes only the days that events have
come in for since; whole days are replaced, so whoever reads a day reads all of it.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from holds_core.database.queries import query
from holds_core.errors import HoldsError
from holds_core.events.errors import MissingReaderError

MANIFEST = "_export.json"
"""What the folder holds: of which server, up to which position, and the events of each day."""

FILE = "events.parquet"

_BATCH = 10_000


class ExportError(HoldsError):
    """Events could not be exported."""


@dataclass(frozen=True)
class ExportReport:
    """What an export did.

    Attributes:
        directory: The folder.
        days_written: The UTC days that were written, oldest first.
        days_removed: Days that the folder had and that have no events any more.
        events: Events in the days that were written.
        position: Every event up to this position of arrival is in the folder.
    """

    directory: Path
    days_written: tuple[date, ...]
    days_removed: tuple[date, ...]
    events: int
    position: int


def export_events(
    connection: psycopg.Connection[Any],
    directory: Path,
    *,
    on_day: Callable[[date, int, int], None] = lambda day, number, total: None,
) -> ExportReport:
    """Export what has changed since the last export into the folder; all of it into an empty one.

    Columns are those of ``holds.observability_events``; ids and context are text. Files are
    ``day=YYYY-MM-DD/events.parquet``, each written apart and then put in its place.

    Args:
        connection: Autocommit, of a user who reads the event table.
        directory: Made if it is not there.
        on_day: Called before each day with the day, its number and the number of days.

    Raises:
        ExportError: The folder holds something else, or cannot be written.
        MissingReaderError: pyarrow is not installed.
    """
    try:
        arrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingReaderError("pipeline", "Writing Parquet") from error
    try:
        directory.mkdir(parents=True, exist_ok=True)
        last = _read_manifest(directory)
        with connection.transaction():
            connection.execute("set transaction isolation level repeatable read, read only")
            server_id, position = _where(connection)
            since = last["position"] if last["server_id"] == server_id else -1
            counts: dict[str, int] = {}
            days = _days(connection, since)
            for number, day in enumerate(days, 1):
                on_day(day, number, len(days))
                counts[f"{day}"] = _write_day(connection, arrow, parquet, directory, day)
            kept = {f"{day}" for day in _days(connection, -1)}
        held = counts if since == -1 else {**last["days"], **counts}
        removed = _remove(directory, {path.name for path in directory.glob("day=*")} - {f"day={day}" for day in kept})
        manifest = {
            "server_id": server_id,
            "position": position,
            "days": {day: count for day, count in sorted(held.items()) if day in kept},
        }
        _replace(directory / MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode())
    except OSError as error:
        raise ExportError(f"{directory} cannot be written: {error.strerror or error}.") from error
    return ExportReport(directory, tuple(days), removed, sum(counts.values()), position)


def exported_days(directory: Path) -> dict[date, int]:
    """Return the UTC days that an export holds, each with the number of its events.

    Raises:
        ExportError: The folder holds no export, or what it says of itself cannot be read.
    """
    path = directory / MANIFEST
    if not path.is_file():
        raise ExportError(f"{directory} holds no export (no {MANIFEST}); make one: holdwatch events export {directory}")
    return {date.fromisoformat(day): count for day, count in _parse_manifest(path)["days"].items()}


def as_json(report: ExportReport) -> dict[str, Any]:
    """Return the report as JSON has it."""
    return {
        **asdict(report),
        "directory": str(report.directory),
        "days_written": [f"{day}" for day in report.days_written],
        "days_removed": [f"{day}" for day in report.days_removed],
    }


def _read_manifest(directory: Path) -> dict[str, Any]:
    path = directory / MANIFEST
    if not path.exists():
        if any(directory.iterdir()):
            raise ExportError(f"{directory} holds something else (no {MANIFEST}); name an empty or a new folder.")
        # From the first moment on it is ours, so that an export that was broken off can be taken up again.
        _replace(path, b'{"server_id": 0, "position": -1, "days": {}}\n')
    return _parse_manifest(path)


def _parse_manifest(path: Path) -> dict[str, Any]:
    try:
        read = json.loads(path.read_bytes())
        days = {f"{date.fromisoformat(day)}": int(count) for day, count in read["days"].items()}
        return {"server_id": int(read["server_id"]), "position": int(read["position"]), "days": days}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ExportError(f"{path} cannot be read; delete it and the folders day=… to export anew.") from error


def _where(connection: psycopg.Connection[Any]) -> tuple[int, int]:
    row = connection.execute(query("export_position")).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def _days(connection: psycopg.Connection[Any], since: int) -> list[date]:
    return [row[0] for row in connection.execute(query("days_with_events"), {"since": since})]


def _write_day(connection: psycopg.Connection[Any], arrow: Any, parquet: Any, directory: Path, day: date) -> int:
    """Write a day's file; return how many events it has."""
    schema = arrow.schema(
        [
            ("id", arrow.string()),
            ("occurred_at", arrow.timestamp("us", tz="UTC")),
            ("recorded_at", arrow.timestamp("us", tz="UTC")),
            ("environment", arrow.string()),
            ("source", arrow.string()),
            ("event_type", arrow.string()),
            ("severity", arrow.string()),
            ("restaurant_id", arrow.string()),
            ("booking_id", arrow.string()),
            ("context", arrow.string()),
            ("ingest_pos", arrow.int64()),
        ]
    )
    folder = directory / f"day={day}"
    folder.mkdir(exist_ok=True)
    target, temporary = folder / FILE, folder / f".{FILE}.writing"
    begins = datetime.combine(day, time(), UTC)
    count = 0
    try:
        with (
            parquet.ParquetWriter(temporary, schema, compression="zstd") as writer,
            connection.cursor(name="export_day") as cursor,
        ):
            cursor.execute(query("events_of_a_day"), {"begins": begins, "ends": begins + timedelta(days=1)})
            for rows in _batches(cursor):
                count += len(rows)
                columns = zip(*rows, strict=True)
                arrays = [arrow.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
                writer.write_batch(arrow.record_batch(arrays, schema=schema))
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return count


def _batches(cursor: psycopg.ServerCursor[TupleRow]) -> Iterator[Sequence[TupleRow]]:
    while rows := cursor.fetchmany(_BATCH):
        yield rows


def _remove(directory: Path, names: set[str]) -> tuple[date, ...]:
    for name in names:
        (directory / name / FILE).unlink(missing_ok=True)
        (directory / name).rmdir()
    return tuple(sorted(date.fromisoformat(name.removeprefix("day=")) for name in names))


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.writing")
    temporary.write_bytes(content)
    temporary.replace(path)
