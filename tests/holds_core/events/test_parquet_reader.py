"""Parquet's types become what the same event would be in JSON."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from holds_core.events.errors import UnreadableFileError
from holds_core.events.importer import import_file
from holds_core.events.json_text import Number
from holds_core.events.readers import Record, open_reader

# Imported this way since it has no type hints.
pa: Any = importlib.import_module("pyarrow")
pq: Any = importlib.import_module("pyarrow.parquet")

ID = UUID("0b0e1c2e-6c1f-4d7a-9c3b-2f5d8e7a1b01")
WHEN = datetime(2026, 11, 20, 10, 0, 0, 123456)  # noqa: DTZ001  a naive time is one of the cases


def read(path: Path, **columns: Any) -> list[Record]:
    """Write a table of the columns, one of event types added, and read it."""
    rows = len(next(iter(columns.values())))
    pq.write_table(pa.table({"event_type": ["t"] * rows, **columns}), path)
    with open_reader(path) as reader:
        return list(reader)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([WHEN], pa.timestamp("us")), "2026-11-20T10:00:00.123456"),
        (pa.array([WHEN], pa.timestamp("ms")), "2026-11-20T10:00:00.123000"),
        (pa.array([1795168800123456789], pa.timestamp("ns")), "2026-11-20T10:00:00.123456"),
        (pa.array([1795168800123456789], pa.timestamp("ns", "UTC")), "2026-11-20T10:00:00.123456+00:00"),
        (pa.array([WHEN], pa.timestamp("us", "America/New_York")), "2026-11-20T10:00:00.123456+00:00"),
        (pa.array([date(2026, 11, 20)]), "2026-11-20"),
        (pa.array(["2026-11-20 10:00:00+00"]), "2026-11-20 10:00:00+00"),
        (pa.array([1795168800]), 1795168800),
    ],
    ids=["naive", "ms", "ns", "ns utc", "zone", "date", "text", "integer"],
)
def test_times_become_iso_8601(tmp_path: Path, column: Any, expected: object) -> None:
    """Typed ones, to the microsecond; integers stay integers, which are no readable times."""
    (record,) = read(tmp_path / "x.parquet", occurred_at=column)

    assert record.content == {"event_type": "t", "occurred_at": expected}


@pytest.mark.parametrize(
    "column",
    [pa.array([ID.bytes], pa.binary(16)), pa.array([ID.bytes]), pa.array([str(ID)]), pa.array([ID.bytes], pa.uuid())],
    ids=["16 bytes", "binary", "text", "uuid"],
)
def test_uuids_are_read_in_every_type(tmp_path: Path, column: Any) -> None:
    """Sixteen bytes are a UUID; in other columns they are text."""
    (record,) = read(tmp_path / "x.parquet", id=column)

    assert record.content == {"event_type": "t", "id": str(ID)}


def test_context_may_be_text_a_struct_or_a_map(tmp_path: Path) -> None:
    """Whatever is in it becomes JSON; a struct's null members are absent, a map's null items are not."""
    timing = pa.struct([("totalMs", pa.float64()), ("plannerMs", pa.decimal128(9, 3))])
    struct = pa.struct(
        [("timing", timing), ("at", pa.timestamp("ms", "UTC")), ("tables", pa.list_(pa.binary())), ("n", pa.int64())]
    )
    value = {
        "timing": {"totalMs": 1.5, "plannerMs": Decimal("2.500")},
        "at": WHEN.replace(tzinfo=UTC),
        "tables": [b"T1", b"\xff", None],
        "n": None,
    }
    expected = {
        "timing": {"totalMs": 1.5, "plannerMs": Number("2.500")},
        "at": "2026-11-20T10:00:00.123000+00:00",
        "tables": ["T1", "/w==", None],
    }

    (as_struct,) = read(tmp_path / "struct.parquet", context=pa.array([value], struct))
    (as_map, empty) = read(
        tmp_path / "map.parquet",
        context=pa.array([[("a", "1"), ("b", None)], []], pa.map_(pa.string(), pa.string())),
    )
    (as_text, *no_json) = read(tmp_path / "text.parquet", context=['{"a":1.50}', "{", ""])

    assert as_struct.content == {"event_type": "t", "context": expected}
    assert as_map.content == {"event_type": "t", "context": {"a": "1", "b": None}}
    assert empty.content == {"event_type": "t", "context": {}}
    assert as_text.content == {"event_type": "t", "context": {"a": Number("1.50")}}
    assert str(no_json[0].content).startswith("context: no JSON")
    assert no_json[1].content == {"event_type": "t", "context": None}


def test_nulls_are_absent_and_categories_are_texts(tmp_path: Path) -> None:
    """As pandas writes them."""
    records = read(
        tmp_path / "x.parquet",
        severity=pa.array(["info", None]).dictionary_encode(),
        retried=pa.array([True, None]),
        share=pa.array([0.25, None], pa.float32()),
    )

    assert records[0].content == {"event_type": "t", "severity": "info", "retried": True, "share": 0.25}
    assert records[1].content == {"event_type": "t"}


def test_cells_that_cannot_be_read_cost_their_row_alone(tmp_path: Path) -> None:
    """No UTF-8 in a text, and a time beyond Python's calendar."""
    bad_text = pa.array([b"fine", b"\xff"], pa.binary()).view(pa.string())
    texts = read(tmp_path / "text.parquet", source=bad_text)
    times = read(tmp_path / "time.parquet", occurred_at=pa.array([0, 2**62], pa.timestamp("us")))

    assert texts[0].content == {"event_type": "t", "source": "fine"}
    assert str(texts[1].content).startswith("the column source cannot be read")
    assert times[0].content == {"event_type": "t", "occurred_at": "1970-01-01T00:00:00"}
    assert str(times[1].content).startswith("the column occurred_at cannot be read")


def test_rejected_rows_are_written_as_json(
    tmp_path: Path, connection: psycopg.Connection, read_rejects: Callable[..., list[dict[str, Any]]]
) -> None:
    """NaN cannot be stored; the row's number and content say where it is."""
    now = datetime.now(UTC)
    table = pa.table(
        {
            "event_type": ["t", "t", None],
            "occurred_at": [now, now, now],
            "id": [ID.bytes, None, None],
            "context": [{"a": 1.0}, {"a": float("nan")}, {"a": 2.0}],
        }
    )
    pq.write_table(table, tmp_path / "x.parquet")

    report = import_file(connection, tmp_path / "x.parquet")
    nan, missing = read_rejects(report)

    assert (report.imported, report.rejected) == (1, 2)
    assert nan["line_number"] == 2
    assert "NaN" in nan["reason"]
    assert json.loads(missing["line"]) == {"occurred_at": now.isoformat(), "context": {"a": 2.0}}


def test_file_that_is_damaged_inside_is_said_to_be_damaged(tmp_path: Path) -> None:
    """The footer is fine, the data is not."""
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"event_type": [f"type {number}" for number in range(20_000)]}), path, compression="snappy")
    content = bytearray(path.read_bytes())
    content[4:4000] = b"\xff" * 3996
    path.write_bytes(content)

    with open_reader(path) as reader, pytest.raises(UnreadableFileError, match="is damaged"):
        list(reader)


def test_columns_are_checked_before_reading(tmp_path: Path) -> None:
    """One error for the whole file."""
    pq.write_table(pa.table({"id": ["x"]}), tmp_path / "none.parquet")
    pq.write_table(pa.table([["x"], ["y"]], names=["event_type", "event_type"]), tmp_path / "two.parquet")

    with pytest.raises(UnreadableFileError, match="no column event_type"):
        open_reader(tmp_path / "none.parquet")
    with pytest.raises(UnreadableFileError, match="two columns 'event_type'"):
        open_reader(tmp_path / "two.parquet")
