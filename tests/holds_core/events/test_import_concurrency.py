"""Imports at once queue up where they meet; what they tell adds up."""

from __future__ import annotations

import json
import random
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import psycopg

from holds_core.events.importer import ImportReport, import_file

EVENTS = 1500
IMPORTS = 3


def test_imports_of_the_same_events_at_once_import_each_once(
    database_url: str, connection: psycopg.Connection, tmp_path: Path
) -> None:
    """Each in another order, which without a global one deadlocks; every line is counted once by every import."""
    now = datetime.now(UTC)
    lines = [
        json.dumps(
            {
                "id": str(UUID(int=number)),
                "event_type": "t",
                "occurred_at": (now - timedelta(hours=number % 48)).isoformat(),
                "context": {"pad": "x" * 300},
            }
        )
        for number in range(EVENTS)
    ]
    barrier = threading.Barrier(IMPORTS)
    reports: list[ImportReport] = []
    failures: list[BaseException] = []

    def run(number: int) -> None:
        path = tmp_path / f"{number}.jsonl"
        path.write_text("\n".join(random.Random(number).sample([*lines, "no"], k=EVENTS + 1)))
        try:
            barrier.wait()
            reports.append(import_file(database_url, path, batch_lines=500))
        except BaseException as error:  # noqa: BLE001  a thread's failure is asserted on below
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(IMPORTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert sum(report.imported for report in reports) == EVENTS
    assert [(report.read, report.rejected) for report in reports] == [(EVENTS + 1, 1)] * IMPORTS
    assert connection.execute("select count(*) from holds.observability_events").fetchone() == (EVENTS,)


def test_two_imports_of_one_file_keep_their_rejects_apart(database_url: str, tmp_path: Path) -> None:
    """Neither writes into the other's partial file; the last one's rejects are whole, and no partial file is left."""
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join(f"no {number}" for number in range(2000)))
    barrier = threading.Barrier(2)
    reports: list[ImportReport] = []

    def run() -> None:
        barrier.wait()
        reports.append(import_file(database_url, path, batch_lines=50))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [report.rejected for report in reports] == [2000, 2000]
    rejects = (tmp_path / "x.jsonl.rejected.jsonl").read_text().splitlines()
    assert [json.loads(reject)["line"] for reject in rejects] == path.read_text().splitlines()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["x.jsonl", "x.jsonl.rejected.jsonl"]
