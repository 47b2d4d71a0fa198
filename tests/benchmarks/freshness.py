"""``python -m tests.benchmarks.freshness``: how long after its commit an event is in every view, under load.

Writers keep up a rate of events, the rollups are refreshed as Dagster would (every five minutes, and as soon as 20,000
events wait), and a prober commits an event of a restaurant of its own and asks each view for it until it is there. Then
the same through a burst. What a view takes to answer is part of it.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import uuid4

import psycopg

from holds_core.database.connections import connect
from orchestration.database import open_database
from orchestration.dbt import run_dbt
from orchestration.history import History, write_history
from orchestration.rollups import REFRESH_AT_EVENTS, refresh_rollups, waiting_events
from tests.benchmarks.results import Result, report, scratch_database

WRITERS = 4
REFRESH_SECONDS = 300
VIEWS = (
    "assignment_success_rate",
    "reservation_latency_ms",
    "hold_retry_exhaustion",
    "error_taxonomy",
    "cutoff_triggers",
)
EVENT = (
    "insert into holds.observability_events (occurred_at, environment, source, event_type, severity, restaurant_id,"
    " context) values (now(), 'dev', 'bench', %s, %s, %s, %s::jsonb)"
)
CONTEXT = '{"timing": {"totalMs": 80, "plannerMs": 30}, "retryExhausted": false, "code": "CUTOFF"}'


def write(url: str, per_second: float, is_over: threading.Event) -> int:
    """Commit events one by one at a rate, each when its time has come; return how many."""
    written = 0
    with connect(url) as connection:
        restaurants = [uuid4() for _ in range(50)]
        began = time.monotonic()
        while not is_over.is_set():
            due = began + written / per_second
            if (wait := due - time.monotonic()) > 0:
                is_over.wait(wait)
            connection.execute(
                EVENT, ("capacity.selector.assignment", "info", restaurants[written % len(restaurants)], CONTEXT)
            )
            written += 1
    return written


def refresh(url: str, is_over: threading.Event) -> int:
    """Refresh as the schedule and the sensor would; return how often."""
    count, last = 0, time.monotonic()
    with connect(url) as connection:
        while not is_over.wait(5):
            if time.monotonic() - last < REFRESH_SECONDS and waiting_events(connection) < REFRESH_AT_EVENTS:
                continue
            result = refresh_rollups(url)
            assert result.is_successful, result.problems
            count, last = count + 1, time.monotonic()
    return count


def probe(connection: psycopg.Connection, reader: psycopg.Connection) -> float:
    """Commit two events and wait until each view shows them; return the longest of the waits, in milliseconds."""
    restaurant = uuid4()
    with connection.transaction():
        connection.execute(EVENT, ("capacity.selector.skipped", "error", restaurant, CONTEXT))
        connection.execute(EVENT, ("capacity.rpc.conflict", "warning", restaurant, CONTEXT))
    committed = time.perf_counter()
    longest = 0.0
    for view in VIEWS:
        grain = "day" if view == "error_taxonomy" else "minute"
        began = time.perf_counter()
        while True:
            row = reader.execute(
                f"select count(*) from analytics.{view}"
                " where environment = 'dev' and grain = %s and restaurant_key = %s",
                (grain, str(restaurant)),
            ).fetchone()
            if row is not None and row[0] > 0:
                break
        longest = max(longest, (time.perf_counter() - (committed if view == VIEWS[0] else began)) * 1000)
    return longest


def measure(url: str, per_second: float, seconds: float) -> tuple[list[float], float]:
    """Probe for a time under a load; return the waits, and the rate that was kept up."""
    is_over = threading.Event()
    waits = []
    began = time.monotonic()
    with ThreadPoolExecutor(WRITERS + 1) as executor, connect(url) as connection, connect(url) as reader:
        writers = [executor.submit(write, url, per_second / WRITERS, is_over) for _ in range(WRITERS)]
        refresher = executor.submit(refresh, url, is_over)
        try:
            while time.monotonic() - began < seconds:
                waits.append(probe(connection, reader))
                is_over.wait(0.2)
        finally:
            is_over.set()
        written = sum(writer.result() for writer in writers)
        print(f"{written:,} events in {seconds:.0f} s, {len(waits)} probes, {refresher.result()} refreshes")
    return waits, written / (time.monotonic() - began)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.freshness", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="how long at the steady rate")
    parser.add_argument("--burst-seconds", type=float, default=60, help="how long at ten times that")
    parser.add_argument("--rate", type=float, default=100, help="events a second")
    parser.add_argument("--history", type=int, default=200_000, help="events of 90 days that are there before")
    options = parser.parse_args()
    with open_database(migrated=False) as database, scratch_database(database.url) as url:
        with connect(url) as connection:
            write_history(connection, History(options.history, 90, datetime.now(UTC)))
            assert run_dbt(url, "run").is_successful
            connection.execute("vacuum analyze")
        results = []
        for name, rate, seconds in (
            ("steady", options.rate, options.seconds),
            ("burst", options.rate * 10, options.burst_seconds),
        ):
            waits, kept_up = measure(url, rate, seconds)
            p99 = statistics.quantiles(waits, n=100)[98] if len(waits) > 1 else waits[0]
            print(f"{name}: P50 {statistics.median(waits):.0f} ms, P99 {p99:.0f} ms, at {kept_up:,.0f} events a second")
            results.append(Result(f"visible_after_commit_{name}_p99", p99, "ms", 1000, is_at_most=True))
            results.append(Result(f"visible_after_commit_{name}_rate", kept_up, "events/s", 0.95 * rate))
    report(results)


if __name__ == "__main__":
    main()
