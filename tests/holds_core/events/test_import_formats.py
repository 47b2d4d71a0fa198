"""The same events give the same rows, whatever file they come in."""

from __future__ import annotations

import csv
import gzip
import importlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from holds_core.events.importer import import_file

pa: Any = importlib.import_module("pyarrow")
pq: Any = importlib.import_module("pyarrow.parquet")

NAMES = (
    "id",
    "occurred_at",
    "created_at",
    "environment",
    "source",
    "event_type",
    "severity",
    "restaurant_id",
    "booking_id",
    "context",
    "shard",
)


@pytest.fixture(scope="module")
def events() -> list[dict[str, Any]]:
    """Events of both dialects, with and without ids, with odd ids, odd texts, odd numbers, and some rejects."""
    now = datetime.now(UTC)
    made: list[dict[str, Any]] = []
    for number in range(60):
        at = (now - timedelta(hours=number)).isoformat()
        event: dict[str, Any] = {"event_type": "capacity.selector.assignment", "severity": ["info", "odd"][number % 2]}
        event["created_at" if number % 3 == 0 else "occurred_at"] = at
        if number % 4:
            event["id"] = str(uuid4()) if number % 4 < 3 else f"order-{number}"
        if number % 5:
            event["restaurant_id"] = str(uuid4()) if number % 5 < 4 else "nowhere"
        if number % 7:
            event["context"] = {"n": number, "text": 'line\nbreak, "quote" \\ é', "restaurantId": str(uuid4())}
        if number % 11 == 10:
            event["shard"] = f"s{number}"
        made.append(event)
    made.append({"event_type": "t"})
    made.append({"occurred_at": now.isoformat()})
    made.append({"event_type": "t", "occurred_at": "soon"})
    made.append({"event_type": "t", "occurred_at": now.isoformat(), "context": {"a": "\0"}})
    made.append(dict(made[1]))
    return made


def context_text(event: dict[str, Any]) -> str | None:
    """Return the context as a cell holds it."""
    return json.dumps(event["context"]).replace("}", ',"latency":12.50}') if "context" in event else None


def write_jsonl(path: Path, events: list[dict[str, Any]]) -> None:
    """Write lines; the number in each context is one that Python would shorten."""
    lines = [
        json.dumps({**event, "context": "here"} if "context" in event else event).replace(
            '"here"', context_text(event) or ""
        )
        for event in events
    ]
    opener: Callable[..., Any] = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", encoding="utf-8") as stream:
        stream.write("\n".join(lines))


def write_csv(path: Path, events: list[dict[str, Any]]) -> None:
    """Write records; what an event lacks is an empty cell."""
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(NAMES)
        for event in events:
            writer.writerow([context_text(event) if name == "context" else event.get(name) for name in NAMES])


def write_parquet(path: Path, events: list[dict[str, Any]]) -> None:
    """Write rows of texts; what an event lacks is null."""
    columns = {name: [event.get(name) for event in events] for name in NAMES}
    columns["context"] = [context_text(event) for event in events]
    pq.write_table(pa.table({name: pa.array(column, pa.string()) for name, column in columns.items()}), path)


WRITERS = {"x.jsonl": write_jsonl, "x.jsonl.gz": write_jsonl, "x.csv": write_csv, "x.parquet": write_parquet}


def everything(connection: psycopg.Connection) -> list[tuple[Any, ...]]:
    """Return the stored events; the context as text, so that 12.50 and 12.5 differ."""
    return connection.execute(
        "select id, occurred_at, environment, source, event_type, severity, restaurant_id, booking_id, context::text"
        " from holds.observability_events order by occurred_at, id"
    ).fetchall()


@pytest.mark.parametrize("name", ["x.jsonl.gz", "x.csv", "x.parquet"])
def test_every_format_gives_the_same_rows(
    connection: psycopg.Connection, events: list[dict[str, Any]], tmp_path: Path, name: str
) -> None:
    """Derived ids included: imported from another kind of file, the events are all duplicates."""
    for each in ("x.jsonl", name):
        WRITERS[each](tmp_path / each, events)
    first = import_file(connection, tmp_path / "x.jsonl")
    rows = everything(connection)

    again = import_file(connection, tmp_path / name)
    assert (first.imported, first.duplicates, first.rejected) == (60, 1, 4)
    assert (again.imported, again.duplicates, again.rejected) == (0, 61, 4)

    connection.execute("delete from holds.observability_events")
    import_file(connection, tmp_path / name)
    assert everything(connection) == rows
    assert sum("12.50" in row[-1] for row in rows) > 40
