"""An import's memory does not grow with its file."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

MAX_MEGABYTES = 300

# VmHWM begins anew with exec. ru_maxrss does not: it would count the 500 MB that a test process with Dagster loaded has
# at the moment of the fork.
IMPORT = """
import re, sys
from pathlib import Path
from holds_core.events.importer import import_file
report = import_file(sys.argv[1], sys.argv[2])
kilobytes = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
print(report.imported, kilobytes * 1024 // 1_000_000)
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read from /proc")
def test_a_million_lines_fit_the_memory_we_promise(
    database_url: str, connection: psycopg.Connection, tmp_path: Path
) -> None:
    """The peak of a process that imports 1,000,000 lines of some 450 bytes, every hundredth of them a reject."""
    lines = 1_000_000
    path = tmp_path / "events.jsonl"
    first = datetime.now(UTC) - timedelta(days=89)
    with path.open("w") as stream:
        for number in range(lines):
            event = {
                "id": str(UUID(int=number * 2**96 + number)),
                "occurred_at": (first + timedelta(seconds=7 * number)).isoformat(),
                "environment": "prod",
                "source": "capacity.selector",
                "event_type": "capacity.selector.assignment" if number % 100 else "",
                "restaurant_id": str(UUID(int=number % 200)),
                "booking_id": str(UUID(int=number)),
                "context": {"timing": {"totalMs": number / 8, "plannerMs": number / 16}, "note": f"{number:0100}"},
            }
            stream.write(json.dumps(event) + "\n")

    ran = subprocess.run(
        [sys.executable, "-c", IMPORT, database_url, str(path)], check=True, capture_output=True, text=True
    )
    imported, megabytes = map(int, ran.stdout.split())

    assert imported == lines - lines // 100
    print(f"{megabytes} MB at the peak")
    assert megabytes < MAX_MEGABYTES
    connection.execute("truncate holds.observability_events")


def test_importing_needs_psycopg_and_little_else() -> None:
    """The importer comes up without pyarrow, pandas, typer and rich: a platform embeds it."""
    heavy = "{'pyarrow', 'pandas', 'numpy', 'typer', 'rich', 'dbt', 'dagster', 'orchestration'}"
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys, holds_core.events.importer; print({heavy} & set(sys.modules))"],
        check=True,
        capture_output=True,
        text=True,
    )

    assert ran.stdout.strip() == "set()"
