"""``python -m tests.benchmarks.scrape --events N``: what a scrape of Prometheus costs the database.

Over a history of ninety days that is rolled up but for the newest 1,000 events. Measured is the time that the processor
works for the exporter's connection, which does not depend on what else the machine has to do; beside it, how long the
scrape waits.
"""

from __future__ import annotations

import argparse
import statistics
import time
from datetime import UTC, datetime, timedelta

import psutil

from dashboards.metrics_reader import MetricsReader
from holds_core.database.connections import connect
from orchestration.database import open_database
from orchestration.dbt import run_dbt
from orchestration.history import History, write_history
from tests.benchmarks.history import HOT_EVENTS
from tests.benchmarks.results import Result, report, scratch_database

READINGS = 50
GOAL_MS = 50


def processor_seconds(url: str) -> float:
    """Return how long the process of the exporter's connection has worked."""
    with connect(url) as connection:
        row = connection.execute(
            "select pid from pg_stat_activity"
            " where application_name = 'holdwatch-metrics' and datname = current_database()"
        ).fetchone()
    assert row is not None
    times = psutil.Process(row[0]).cpu_times()
    return float(times.user + times.system)


def measure(url: str) -> tuple[float, float, float]:
    """Return milliseconds: of the first reading, which plans; of the processor and of waiting for each one after it."""
    reader = MetricsReader(url, cache_seconds=0, timeout_seconds=60)
    first = reader.snapshot()
    assert first.rows
    for _ in range(3):
        reader.snapshot()
    worked = processor_seconds(url)
    waits = [reader.snapshot().seconds * 1000 for _ in range(READINGS)]
    worked = processor_seconds(url) - worked
    reader.close()
    return first.seconds * 1000, worked / READINGS * 1000, statistics.median(waits)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.scrape", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="events of 90 days")
    options = parser.parse_args()
    with open_database(migrated=False) as database, scratch_database(database.url) as url:
        now = datetime.now(UTC)
        with connect(url) as connection:
            began = time.monotonic()
            write_history(connection, History(options.events, 90, now - timedelta(minutes=1)))
            result = run_dbt(url, "run")
            assert result.is_successful, result.problems
            connection.execute("vacuum analyze")
            print(f"{options.events:,} events written and rolled up in {time.monotonic() - began:.0f} s")
            write_history(connection, History(HOT_EVENTS, 1, now, seed=300))
        first, worked, waited = measure(url)
    print(f"first reading, planned: {first:.0f} ms; then {worked:.1f} ms of the processor, {waited:.0f} ms to wait")
    size = f"{options.events // 1_000_000}m" if options.events >= 1_000_000 else f"{options.events // 1_000}k"
    report([Result(f"scrape_{size}_database_ms", worked, "ms", GOAL_MS, is_at_most=True)])


if __name__ == "__main__":
    main()
