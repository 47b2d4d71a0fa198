"""A dirty export of 60,000 lines: every line gets the verdict that was decided when it was made up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from holds_core.events.importer import ImportReport, import_file
from tests.fixtures.dirty_events import DirtyLine, Outcome, count_outcomes, dirty_export

LINES = 60_000

CREATE_EXPECTED = """
create temporary table expected (
    id uuid, occurred_at timestamptz, environment text, source text, event_type text, severity text,
    restaurant_id uuid, booking_id uuid, context jsonb
)
"""

# The importer may add keys that begin with an underscore; an id that the line does not have is the importer's to make.
STORED = """
select
    case when events.id in (select id from expected) then events.id end, occurred_at, environment, source, event_type,
    severity, restaurant_id, booking_id, context - '_source_id' - '_invalid' - '_extra'
from holds.observability_events as events
"""


def test_every_line_gets_its_verdict(
    connection: psycopg.Connection, tmp_path: Path, read_rejects: Callable[[ImportReport], list[dict[str, Any]]]
) -> None:
    """Counts, rejects and rows are those expected, and the same file again imports nothing."""
    lines = dirty_export(LINES, datetime.now(UTC))
    path = tmp_path / "dirty.jsonl"
    path.write_bytes(b"\n".join(line.raw for line in lines))

    report = import_file(connection, path)
    rejects = read_rejects(report)

    assert counts_of(report) == count_outcomes(lines)
    assert [reject["line_number"] for reject in rejects] == [
        number for number, line in enumerate(lines, start=1) if line.outcome is Outcome.REJECTED
    ]
    assert not [reject for reject in rejects if reject["reason"].startswith("the database refused it")]
    assert differences(connection, lines) == ([], [])

    again = import_file(connection, path)
    assert counts_of(again) == counts_of(report) | {
        "imported": 0,
        "duplicates": report.imported + report.duplicates,
    }
    assert read_rejects(again) == rejects


def counts_of(report: ImportReport) -> dict[str, int]:
    """Return the four counts under their names."""
    return {name: getattr(report, name) for name in ("read", "imported", "duplicates", "rejected")}


def differences(connection: psycopg.Connection, lines: list[DirtyLine]) -> tuple[list[Any], list[Any]]:
    """Return rows that are expected but not stored, and those stored but not expected; each as often as it is."""
    connection.execute(CREATE_EXPECTED)
    with connection.cursor() as cursor, cursor.copy("copy expected from stdin") as copy:
        for line in lines:
            if line.event is not None:
                copy.write_row(astuple(line.event))
    missing = connection.execute(f"table expected except all {STORED} limit 3").fetchall()
    surplus = connection.execute(f"{STORED} except all table expected limit 3").fetchall()
    return missing, surplus
