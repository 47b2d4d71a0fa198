"""Whatever a file holds, every line is counted once, and nothing that was read is lost."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holds_core.events.errors import EventImportError
from holds_core.events.importer import ImportReport, import_file

SETTINGS = settings(
    deadline=None,
    max_examples=60,
    # The database is one for all examples: what one example stored must not matter to the next, and does not.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

ANY_TEXT = st.text(st.characters(), max_size=12)  # lone surrogates and NUL among it
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)
TIMES = st.sampled_from([datetime.now(UTC).isoformat(), "2001-01-01", "soon", "9999-12-31T23:59:59-12:00"])
KEYS = st.sampled_from(
    ["id", "environment", "source", "severity", "restaurant_id", "booking_id", "context", "created_at", "_extra", "x"]
)
EVENTS = st.builds(
    lambda event_type, time, members: {**members, "event_type": event_type, "occurred_at": time},
    st.just("t") | JSON,
    TIMES | JSON,
    st.dictionaries(KEYS, JSON, max_size=5),
)
LINES = st.lists(
    st.one_of(
        EVENTS.map(lambda event: json.dumps(event).encode()),
        JSON.map(lambda value: json.dumps(value).encode()),
        st.binary(max_size=40),
    ),
    max_size=12,
)


def import_bytes(
    connection: psycopg.Connection, name: str, content: bytes
) -> tuple[ImportReport, list[dict[str, Any]]]:
    """Import a file of that content; return the report and the rejects."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        report = import_file(connection, path, batch_lines=5)
        rejects = report.rejects_path.read_text("utf-8").splitlines() if report.rejects_path else []
        return report, [json.loads(reject) for reject in rejects]


def count_events(connection: psycopg.Connection) -> int:
    """Return how many events are stored."""
    row = connection.execute("select count(*) from holds.observability_events").fetchone()
    assert row is not None
    return int(row[0])


@SETTINGS
@given(lines=LINES)
def test_every_line_is_counted_once(connection: psycopg.Connection, lines: list[bytes]) -> None:
    """Bytes and JSON of every kind: the counts add up, the table agrees, and again nothing is imported."""
    content = b"\n".join(lines)
    filled = [
        number
        for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1)
        if line.strip()
    ]
    before = count_events(connection)

    report, rejects = import_bytes(connection, "x.jsonl", content)
    again, rejects_again = import_bytes(connection, "x.jsonl", content)

    assert report.read == len(filled)
    assert report.imported == count_events(connection) - before
    assert report.rejected == len(rejects)
    assert [reject["line_number"] for reject in rejects] == sorted({reject["line_number"] for reject in rejects})
    assert {reject["line_number"] for reject in rejects} <= set(filled)
    assert (again.imported, again.duplicates) == (0, report.imported + report.duplicates)
    assert rejects_again == rejects


@SETTINGS
@given(event=EVENTS)
def test_nothing_that_was_read_is_lost(connection: psycopg.Connection, event: dict[str, Any]) -> None:
    """Every value of an imported event is in its row; every other event is in the rejects, word for word."""
    connection.execute("delete from holds.observability_events")
    line = json.dumps(event)

    report, rejects = import_bytes(connection, "x.jsonl", line.encode())

    if report.rejected:
        assert [reject["line"] for reject in rejects] == [line]
        return
    stored = connection.execute("select to_jsonb(event)::text from holds.observability_events as event").fetchone()
    assert stored is not None
    found = leaves(read_exactly(stored[0]))
    for key, value in read_exactly(line).items():
        if key not in ("occurred_at", "id", "restaurant_id", "booking_id"):
            assert [leaf for leaf in leaves(value) if leaf not in found and leaf not in (None, "")] == []


def read_exactly(text: str) -> Any:
    """Parse JSON; its numbers as they are written, where a float would be the nearest binary one."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def leaves(value: Any) -> list[Any]:
    """Return the scalars in a value, keys among them."""
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in [key, *leaves(inner)]]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner)]
    return [value]


@SETTINGS
@given(content=st.binary(max_size=200) | st.text('",\n\r a{}\0é', max_size=60).map(str.encode))
def test_csv_of_anything_does_not_crash(connection: psycopg.Connection, content: bytes) -> None:
    """Quotes, commas and line ends in every order; no byte of a record is lost."""
    header = b"event_type,occurred_at,context\n"

    report, rejects = import_bytes(connection, "x.csv", header + content)

    assert report.read == report.rejected == len(rejects)
    kept = b"".join(line.encode() for reject in rejects for line in [reject["line"]] if "line_base64" not in reject)
    if all("line_base64" not in reject for reject in rejects):
        assert squeezed(kept) == squeezed(content)


def squeezed(content: bytes) -> bytes:
    """Return what is left without line ends and blanks."""
    return bytes(byte for byte in content if byte not in b" \t\r\n\v\f\x1c\x1d\x1e\x1f")


@pytest.mark.parametrize("name", ["x.jsonl.gz", "x.parquet"])
@SETTINGS
@given(content=st.binary(max_size=60))
def test_files_of_anything_end_in_one_clear_error(connection: psycopg.Connection, name: str, content: bytes) -> None:
    """What is no such file at all is never a traceback of somebody else's."""
    if name == "x.jsonl.gz" and not content:
        return
    with pytest.raises(EventImportError, match=name):
        import_bytes(connection, name, content)
