"""``make bench``: how near the holds core comes to the database's limit, measured in the same run on the same server.

Absolute figures are those of the machine; the ratios are what is promised. Ends with a table for docs/performance.md,
and writes ``.holdwatch/bench.json``. Exits 0 also where a goal is not met: that is for people to judge.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Callable
from functools import partial

from rich.console import Console
from rich.progress import Progress

from holds_core.database.connections import connect
from orchestration.database import open_database
from tests.benchmarks.measuring import (
    Measurement,
    async_client,
    bare_driver,
    contended,
    pgbench,
    profiles,
    separate_statements,
    threaded_client,
    with_processor_time,
)
from tests.benchmarks.results import Result, report, scratch_database

CONTENDED_CONNECTIONS = 50
CONTENDED_REQUESTS = 1_000

Way = Callable[[str, int, float], Measurement]
WAYS: dict[str, Way] = {
    "(a) pgbench, plain inserts": lambda url, count, seconds: pgbench(url, "raw_inserts.sql", count, seconds),
    "(b) pgbench, create_table_hold": lambda url, count, seconds: pgbench(url, "function_call.sql", count, seconds),
    "(c) AsyncHoldClient": async_client,
    "(d) HoldClient, threads": threaded_client,
    "(e) separate statements, Python": separate_statements,
    "(f) psycopg alone, text and JSON": lambda url, count, seconds: bare_driver(url, count, seconds, is_typed=False),
    "(g) psycopg alone, typed": lambda url, count, seconds: bare_driver(url, count, seconds, is_typed=True),
}
A, B, C, D, E, F, G = WAYS


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=4, help="how long each way runs in each round")
    parser.add_argument("--rounds", type=int, default=5, help="rounds; the ways take turns, and the median counts")
    parser.add_argument("--connections", type=int, default=16, help="connections of the uncontended ways")
    parser.add_argument("--profile", action="store_true", help="also print where the asyncio client spends its time")
    options = parser.parse_args()

    rounds: list[dict[str, Measurement]] = []
    contention: list[Measurement] = []
    with (
        open_database(migrated=False) as database,
        scratch_database(database.url) as url,
        Progress(console=Console(stderr=True), transient=True) as progress,
    ):
        bar = progress.add_task("measuring", total=options.rounds * (len(WAYS) + 1))
        for _ in range(options.rounds):
            taken = {}
            for name, way in WAYS.items():
                progress.update(bar, description=name)
                taken[name] = with_processor_time(partial(way, url, options.connections, options.seconds), url)
                progress.advance(bar)
            rounds.append(taken)
            contention.append(contended(url, CONTENDED_REQUESTS, CONTENDED_CONNECTIONS))
            progress.advance(bar)
        profiled = profiles(url, options.connections, options.seconds) if options.profile else ""
        with connect(url) as connection:
            version = connection.info.parameter_status("server_version")

    # Ratios within a round: what slows the machine for a minute slows both.
    def ratio(one: str, other: str) -> float:
        return statistics.median(taken[one].per_second / taken[other].per_second for taken in rounds)

    results = [
        Result("create_table_hold_to_plain_inserts", ratio(B, A), "ratio", 0.6),
        Result("async_client_to_function", ratio(C, B), "ratio", 0.8),
        Result("async_client_to_separate_statements", ratio(C, E), "ratio", 2.0),
        Result(
            "contended_p99", statistics.median(one.p99_ms for one in contention), "ms", 100.0, is_at_most=True
        ),
    ]  # fmt: skip
    medians = {name: _median([taken[name] for taken in rounds]) for name in WAYS}
    crowd = f"one window, {CONTENDED_REQUESTS:,} requests, {CONTENDED_CONNECTIONS} connections"
    print(f"PostgreSQL {version}, {options.connections} connections, median of {options.rounds} rounds\n")
    print(_table({**medians, crowd: _median(contention)}, medians[A].per_second))
    print()
    report(results)
    if profiled:
        print(f"\n{profiled}")


def _median(measurements: list[Measurement]) -> Measurement:
    return Measurement(
        *(
            statistics.median(getattr(one, name) for one in measurements)
            for name in ("per_second", "p50_ms", "p95_ms", "p99_ms", "client_us", "server_us")
        )
    )


def _table(measurements: dict[str, Measurement], limit: float) -> str:
    lines = [
        "| way | requests/s | of (a) | P50 ms | P95 ms | P99 ms | client µs | server µs |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {name} | {one.per_second:,.0f} | {one.per_second / limit:.2f} | {one.p50_ms:.1f} | {one.p95_ms:.1f} "
        f"| {one.p99_ms:.1f} | {_known(one.client_us)} | {_known(one.server_us)} |"
        for name, one in measurements.items()
    ]
    return "\n".join(lines)


def _known(value: float) -> str:
    return "" if math.isnan(value) else f"{value:,.0f}"


main()
