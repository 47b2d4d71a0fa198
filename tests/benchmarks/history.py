"""``python -m tests.benchmarks.history --events N``: what ninety days of events cost to take in, to keep and to ask.

Everything is put beside the machine's limit in the same run: a plain table's COPY, exact percentiles over the raw
events, DuckDB over columnar Parquet of the same events. What 10 million events cost against 1 million shows once both
were run.

A refresh is measured as it is scheduled: dbt with one thread, so one model at a time. A model's time is dbt's own for
it, from its start to its end; beside it stands how long its statements took, and what processor time the server took
for them, which can be compared where cores are shared.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import psycopg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from holds_core.database.connections import connect
from holds_core.events.export import export_events
from holds_core.events.writer import EventWriter
from orchestration.database import open_database
from orchestration.dbt import run_dbt
from orchestration.history import History, copy_lines, write_history
from orchestration.paths import state_dir
from orchestration.rollups import REFRESH_AT_EVENTS, ROLLUPS, move_on_if_quiet
from tests.benchmarks.refreshing import (
    DatabaseTime,
    database_time_of_copy,
    database_time_of_refresh,
    insert_lines,
    lines_before,
    processor_seconds_of_a_run,
    seconds_of_models,
)
from tests.benchmarks.results import Result, report, scratch_database

INGESTED = 100_000
NEW_EVENTS = REFRESH_AT_EVENTS
SCHEDULE = timedelta(minutes=5)
HOUR = timedelta(hours=1)
REFRESHES = 5
HOT_EVENTS = 1_000
COLUMNS = (
    "id, occurred_at, environment, source, event_type, severity, restaurant_id, booking_id, context, line_number,"
    " recorded_at"
)
SELECTIONS = "event_type in ('capacity.selector.assignment', 'capacity.selector.skipped')"
LATENCY = "(context -> 'timing' ->> 'totalMs')::float8"
SERIES = "environment = 'dev' and restaurant_key = '(all)' and grain = 'day'"


@dataclass
class Run:
    """One run: where, and what was measured so far."""

    url: str
    connection: psycopg.Connection[Any]
    events: int
    until: datetime
    progress: Progress
    figures: dict[str, float] = field(default_factory=dict)

    def say(self, what: str, total: int | None = None) -> Callable[[int], None]:
        for task in self.progress.task_ids:
            self.progress.remove_task(task)
        bar = self.progress.add_task(what, total=total)
        return lambda done: self.progress.update(bar, completed=done)


def timed(work: Callable[..., object], *arguments: object, times: int = 1) -> float:
    """Milliseconds; the median of several times."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work(*arguments)
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def copy_into(connection: psycopg.Connection[Any], table: str, lines: Sequence[bytes]) -> None:
    with connection.cursor() as cursor, cursor.copy(f"copy {table} ({COLUMNS}) from stdin") as copy:
        copy.write(b"".join(lines))


def write_all(writer: EventWriter, batches: Sequence[Sequence[bytes]]) -> None:
    for batch in batches:
        writer.write(batch)


def measure_ingest(run: Run) -> None:
    """A plain table, ours, and the idempotent writer into ours, taking turns."""
    run.say("ingest")
    connection = run.connection
    connection.execute(
        "create table public.heap (like holds.observability_events);"
        "alter table public.heap drop column ingest_pos, add column line_number bigint;"
        "alter table holds.observability_events add column line_number bigint"
    )
    rates: dict[str, list[float]] = {"heap": [], "table": [], "writer": []}
    for round_ in range(3):
        histories = [
            [
                line
                for lines in copy_lines(History(INGESTED, 3, run.until, seed=100 + 3 * round_ + way))
                for line in lines
            ]
            for way in range(3)
        ]
        rates["heap"].append(timed(copy_into, connection, "public.heap", histories[0]))
        rates["table"].append(timed(copy_into, connection, "holds.observability_events", histories[1]))
        with EventWriter(connection) as writer:
            batches = [histories[2][start : start + 10_000] for start in range(0, INGESTED, 10_000)]
            rates["writer"].append(timed(write_all, writer, batches))
    connection.execute("drop table public.heap; alter table holds.observability_events drop column line_number")
    connection.execute("truncate holds.observability_events")
    for name, taken in rates.items():
        run.figures[f"{name}_events_per_second"] = INGESTED / statistics.median(taken) * 1000


def fill(run: Run) -> None:
    began = time.monotonic()
    on_progress = run.say("history", run.events)
    write_history(run.connection, History(run.events, 90, run.until), on_progress)
    run.figures["history_seconds"] = time.monotonic() - began
    run.say("analyze")
    run.connection.execute("vacuum analyze holds.observability_events")


def build(run: Run) -> None:
    result = run_dbt(run.url, "run")
    assert result.is_successful, result.problems


def roll_up(run: Run) -> None:
    run.say("first roll-up of all of it")
    began = time.monotonic()
    build(run)
    run.figures["first_rollup_seconds"] = time.monotonic() - began
    run.connection.execute("vacuum analyze analytics.fct_event_counts")
    run.connection.execute("vacuum analyze analytics.fct_error_counts")
    run.connection.execute("vacuum analyze analytics.fct_latency_sketches")


def measure_refresh(run: Run) -> None:
    """New events, taken in by COPY and then by a refresh; several times.

    As scheduled: each time those of the next five minutes, since a refresh runs that often, and sooner where so many
    wait. In turns by dbt's clock, and rollup by rollup, by what the database took. And as after a stop: each time those
    of the same last hour, which are twelve times as many minutes, most of them with sketches to be merged with.
    """
    rounds = 2 * REFRESHES
    copies: list[DatabaseTime] = []
    models: dict[str, list[float]] = {rollup: [] for rollup in ROLLUPS}
    statements: dict[str, list[DatabaseTime]] = {rollup: [] for rollup in ROLLUPS}
    for round_ in range(rounds):
        run.say("refresh", rounds)(round_)
        until = run.until - (rounds - 1 - round_) * SCHEDULE
        lines = lines_before(run.connection, until, SCHEDULE, NEW_EVENTS, seed=200 + round_)
        copies.append(database_time_of_copy(run.connection, run.url, lines))
        if round_ % 2 == 0:
            for rollup, seconds in seconds_of_models(run.url).items():
                models[rollup].append(seconds)
        else:
            for rollup in ROLLUPS:
                statements[rollup].append(database_time_of_refresh(run.url, rollup))
    for rollup in ROLLUPS:
        run.figures[f"refresh_{rollup}_seconds"] = statistics.median(models[rollup])
    for name, times in {"copy_of_new_events": copies, **{f"refresh_{key}": statements[key] for key in ROLLUPS}}.items():
        run.figures[f"{name}_statements_seconds"] = statistics.median(one.seconds for one in times)
        run.figures[f"{name}_processor_seconds"] = statistics.mean(one.processor_seconds for one in times)

    copies_of_an_hour: list[DatabaseTime] = []
    models = {rollup: [] for rollup in ROLLUPS}
    for round_ in range(REFRESHES):
        run.say("refresh of an hour", REFRESHES)(round_)
        lines = lines_before(run.connection, run.until, HOUR, NEW_EVENTS, seed=250 + round_)
        copies_of_an_hour.append(database_time_of_copy(run.connection, run.url, lines))
        for rollup, seconds in seconds_of_models(run.url).items():
            models[rollup].append(seconds)
    run.figures["copy_of_an_hour_seconds"] = statistics.median(one.seconds for one in copies_of_an_hour)
    for rollup in ROLLUPS:
        run.figures[f"refresh_{rollup}_of_an_hour_seconds"] = statistics.median(models[rollup])


def measure_run(run: Run) -> None:
    """What a scheduled run costs all in all: Dagster's process, dbt, the server."""
    run.say("a run of the job")
    insert_lines(run.connection, lines_before(run.connection, run.until, HOUR, NEW_EVENTS, seed=290))
    run.figures["run_processor_seconds"] = processor_seconds_of_a_run(run.url)
    run.figures["quiet_schedule_ms"] = timed(move_on_if_quiet, run.connection, times=5)


def measure_sizes(run: Run) -> None:
    row = run.connection.execute(
        """
        select
            sum(pg_total_relation_size(oid)) filter (where relname like 'observability_events_%%'),
            sum(pg_total_relation_size(oid)) filter (where relname like 'fct_%%')
        from pg_class
        where relkind = 'r' and relnamespace in ('holds'::regnamespace, 'analytics'::regnamespace)
        """
    ).fetchone()
    assert row is not None
    run.figures["raw_bytes"], run.figures["rollup_bytes"] = float(row[0]), float(row[1])


def measure_queries(run: Run) -> None:
    """P50, P95 and P99 of each of 90 days, in every way there is."""
    connection = run.connection
    exact_series = (
        f"select date_trunc('day', occurred_at, 'UTC') as day, percentile_cont(array[0.5, 0.95, 0.99]) within group"
        f" (order by {LATENCY}) from holds.observability_events where {SELECTIONS} group by day"
    )
    series = f"where {SERIES} and phase = 'total'"
    stored = f"select bucket_at, p50_ms, p95_ms, p99_ms from analytics.fct_latency_sketches {series}"
    live = f"select bucket_at, percentile, latency_ms from analytics.reservation_latency_ms {series}"

    def ask(statement: str) -> Callable[[], object]:
        return lambda: connection.execute(statement).fetchall()

    run.say("exact percentiles over the raw events")
    run.figures["exact_ms"] = timed(ask(exact_series), times=1 if run.events > 2_000_000 else 3)
    run.say("the stored series")
    ask(stored)()
    run.figures["stored_ms"] = timed(ask(stored), times=51)
    run.say("the live view")
    seconds_of_models(run.url)
    insert_lines(connection, lines_before(connection, run.until, HOUR, HOT_EVENTS, seed=300))
    ask(live)()
    run.figures["live_ms"] = timed(ask(live), times=15)
    for view in ("assignment_success_rate", "error_taxonomy", "hold_retry_exhaustion", "cutoff_triggers"):
        run.figures[f"live_{view}_ms"] = timed(ask(f"select * from analytics.{view} where {SERIES}"), times=15)
    run.say("accuracy")
    run.figures["worst_error"] = worst_error(run)


def worst_error(run: Run) -> float:
    """The greatest relative difference from the exact nearest rank, over all days and percentiles."""
    row = run.connection.execute(
        f"""
        with exact as (
            select
                date_trunc('day', occurred_at, 'UTC') as bucket_at,
                percentile_disc(array[0.5, 0.95, 0.99]) within group (order by {LATENCY}) as ranks
            from holds.observability_events
            where {SELECTIONS} and context -> 'timing' ->> 'totalMs' is not null
            group by 1
        )
        select max(abs(latency_ms - ranks[array_position(array[0.5, 0.95, 0.99]::float8[], percentile)])
            / ranks[array_position(array[0.5, 0.95, 0.99]::float8[], percentile)]), count(*)
        from exact inner join analytics.reservation_latency_ms using (bucket_at)
        where {SERIES} and phase = 'total'
        """
    ).fetchone()
    assert row is not None
    assert row[1] >= 3 * 90
    return float(row[0])


def measure_duckdb(run: Run) -> None:
    """The same question to DuckDB, over Parquet that has the latency as a column of its own."""
    with TemporaryDirectory() as folder:
        days = 0

        def on_day(day: object, number: int, total: int) -> None:
            nonlocal days
            show(number)

        show = run.say("export to Parquet", 91)
        began = time.monotonic()
        exported = export_events(run.connection, Path(folder) / "events", on_day=on_day)
        run.figures["export_events_per_second"] = exported.events / (time.monotonic() - began)
        run.say("DuckDB")
        engine = duckdb.connect(str(Path(folder) / "scratch.duckdb"))
        engine.execute("set timezone = 'UTC'")
        engine.execute(
            f"copy (select occurred_at, event_type, restaurant_id,"
            f" try_cast(json_extract_string(context, '$.timing.totalMs') as double) as total_ms"
            f" from read_parquet('{folder}/events/*/*.parquet') where {SELECTIONS})"
            f" to '{folder}/columns.parquet' (format parquet)"
        )
        statement = (
            f"select date_trunc('day', occurred_at) as day, quantile_disc(total_ms, [0.5, 0.95, 0.99])"
            f" from read_parquet('{folder}/columns.parquet') group by day"
        )
        engine.execute(statement).fetchall()
        run.figures["duckdb_ms"] = timed(lambda: engine.execute(statement).fetchall(), times=5)
        engine.close()


def results_of(events: int, figures: dict[str, float], smaller: dict[str, float] | None) -> list[Result]:
    """The goals, as ratios; growth only where a run with fewer events has been."""
    size = f"{events // 1_000_000}m" if events >= 1_000_000 else f"{events // 1_000}k"

    def ratio(name: str, one: str, other: str, goal: float, *, is_at_most: bool = False) -> Result:
        return Result(f"history_{size}_{name}", figures[one] / figures[other], "ratio", goal, is_at_most)

    # By dbt's clock, by that of its statements, and by the processor time of the server.
    refreshes = [
        Result(
            f"history_{size}_refresh_{rollup}{part}_to_copy",
            figures[f"refresh_{rollup}{part}_seconds"] / figures[f"copy_of_new_events{part or '_statements'}_seconds"],
            "ratio",
            goal=2,
            is_at_most=True,
        )
        for rollup in ROLLUPS
        for part in ("", "_statements", "_processor")
    ]
    results = [
        ratio("table_to_heap_copy", "table_events_per_second", "heap_events_per_second", 0.6),
        ratio("writer_to_table_copy", "writer_events_per_second", "table_events_per_second", 0.5),
        *refreshes,
        ratio("exact_to_stored", "exact_ms", "stored_ms", 1000),
        ratio("duckdb_to_stored", "duckdb_ms", "stored_ms", 100),
        ratio("exact_to_live", "exact_ms", "live_ms", 100),
        Result(f"history_{size}_worst_error", figures["worst_error"], "ratio", 0.01, is_at_most=True),
        ratio("rollups_to_raw_bytes", "rollup_bytes", "raw_bytes", 0.1, is_at_most=True),
    ]
    if smaller is not None:
        grown = {
            **{
                f"refresh{part}": sum(figures[f"refresh_{rollup}{part}_seconds"] for rollup in ROLLUPS)
                / sum(smaller[f"refresh_{rollup}{part}_seconds"] for rollup in ROLLUPS)
                for part in ("", "_processor")
            },
            "stored_series": figures["stored_ms"] / smaller["stored_ms"],
            "live_view": figures["live_ms"] / smaller["live_ms"],
        }
        goals = {"refresh": 1.25, "refresh_processor": 1.25, "stored_series": 1.5, "live_view": 1.5}
        results += [
            Result(f"history_{size}_{name}_growth", value, "ratio", goals[name], is_at_most=True)
            for name, value in grown.items()
        ]
    return results


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.history", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="events of 90 days")
    options = parser.parse_args()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        open_database(migrated=False) as database,
        scratch_database(database.url) as url,
        Progress(*columns, console=Console(stderr=True), transient=True) as progress,
        connect(url) as connection,
    ):
        run = Run(url, connection, options.events, datetime.now(UTC) - timedelta(minutes=1), progress)
        measure_ingest(run)
        fill(run)
        roll_up(run)
        measure_refresh(run)
        measure_run(run)
        measure_sizes(run)
        measure_queries(run)
        measure_duckdb(run)
        version = connection.info.parameter_status("server_version")
    kept = state_dir() / "bench-history.json"
    runs: dict[str, dict[str, float]] = json.loads(kept.read_text()) if kept.exists() else {}
    runs[str(options.events)] = run.figures
    kept.write_text(json.dumps(runs, indent=1) + "\n")
    # An earlier release's run may lack some.
    fewer = [
        int(events) for events, one in runs.items() if int(events) < options.events and run.figures.keys() <= one.keys()
    ]
    print(f"PostgreSQL {version}, {options.events:,} events of 90 days\n")
    print("| figure | value |\n| --- | ---: |")
    for name, value in run.figures.items():
        print(
            f"| {name.replace('_', ' ')} | {value:,.4g} |"
            if value < 1000
            else f"| {name.replace('_', ' ')} | {value:,.0f} |"
        )
    print()
    report(results_of(options.events, run.figures, runs[str(max(fewer))] if fewer else None))
    print(f"All figures: {kept}", file=sys.stderr)


if __name__ == "__main__":
    main()
