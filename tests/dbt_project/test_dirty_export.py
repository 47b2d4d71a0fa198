"""A dirty export, from the file to the views: the importer and dbt together, against what was known of every line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from holds_core.database.connections import connect
from tests.dbt_project.oracle import Oracle, ReadEvent
from tests.dbt_project.test_views_against_oracle import assert_same, read
from tests.fixtures.dirty_events import count_outcomes, dirty_export

LINES = 60_000


def import_file(url: str, file: Path) -> dict[str, int]:
    """Run the command as a user would; return its counts."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "holdwatch"), "events", "import", "--json", str(file)],
        check=True,
        env=os.environ | {"HOLDWATCH_DATABASE_URL": url},
        stdout=subprocess.PIPE,
    )
    report = json.loads(done.stdout)
    return {name: report[name] for name in ("read", "imported", "duplicates", "rejected")}


@pytest.mark.slow
def test_a_dirty_export_arrives_in_every_view(new_views_database: Callable[[], str], tmp_path: Path) -> None:
    """Counted right, imported once however often it is read, and every row of every view right."""
    url = new_views_database()
    lines = dirty_export(LINES, datetime.now(UTC), seed=5)
    file = tmp_path / "export.jsonl"
    file.write_bytes(b"".join(line.raw + b"\n" for line in lines))
    counts = count_outcomes(lines)
    assert import_file(url, file) == counts
    again = counts | {"imported": 0, "duplicates": counts["imported"] + counts["duplicates"]}
    assert import_file(url, file) == again
    with connect(url) as connection, connection.transaction():
        connection.execute("set transaction isolation level repeatable read")
        row = connection.execute("select now()").fetchone()
        assert row is not None
        oracle = Oracle([ReadEvent(line.event, row[0]) for line in lines if line.event is not None], row[0])
        assert_same(read(connection, "assignment_success_rate"), oracle.assignment_success_rate())
        assert_same(read(connection, "reservation_latency_ms"), oracle.reservation_latency_ms())
        assert_same(read(connection, "hold_retry_exhaustion"), oracle.hold_retry_exhaustion())
        assert_same(read(connection, "cutoff_triggers"), oracle.cutoff_triggers())
        assert_same(read(connection, "error_taxonomy"), oracle.error_taxonomy())
