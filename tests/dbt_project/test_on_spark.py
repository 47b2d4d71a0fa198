"""The same events on Spark and on PostgreSQL give the same rows: at first, and after a second export with late ones."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from holds_core.database.connections import connect
from holds_core.events.export import export_events
from holds_core.events.importer import import_file
from orchestration.dbt import DbtResult
from orchestration.spark import run_on_spark
from tests.dbt_project.loading import insert_event
from tests.dbt_project.oracle import Rows
from tests.dbt_project.test_views_against_oracle import NOT_OBJECTS
from tests.fixtures.dirty_events import DirtyLine, dirty_export
from tests.transactions import wait_for_earlier_transactions

pytestmark = [
    pytest.mark.spark,
    pytest.mark.skipif(find_spec("pyspark") is None, reason="needs the extra 'spark'"),
    pytest.mark.timeout(900),
]

LINES = 8_000
VIEWS = (
    "assignment_success_rate",
    "reservation_latency_ms",
    "hold_retry_exhaustion",
    "cutoff_triggers",
    "error_taxonomy",
    "restaurants_over_90_days",
)
LATENCIES = {"latency_ms", "p50_ms", "p95_ms", "p99_ms"}
ODD_CONTEXTS = [
    *NOT_OBJECTS,
    # JSON within a string is a string.
    r'{"timing": "{\"totalMs\": 5}", "code": "{\"a\":1,\"b\":[2,3]}"}',
    r'{"code": {"a": ["x,y:z", "\"q\": \\", 1, null], "b": {}}, "reason": ["CUT", "OFF"]}',
    # Longer and deeper than a JSON parser takes unless told to; the rest of the event counts all the same.
    '{"code": "23P01", "timing": {"totalMs": 1e2000, "plannerMs": 1e-2000}}',
    f'{{"code": "23P01", "deep": {"[" * 1500}{"]" * 1500}, "timing": {{"totalMs": "7"}}}}',
    '{"code": -0.5, "soakId": 1, "skipReason": "no_capacity"}',
]
FAST_START = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # a third of the processor time of a run this short

# In a process of its own: two Sparks at once would want the same catalogue.
READ = """
import sys
from pyspark.sql import SparkSession

session = SparkSession.builder.enableHiveSupport().getOrCreate()
# As an analyst's may be; buckets are UTC's all the same.
session.conf.set("spark.sql.session.timeZone", "Asia/Kathmandu")
session.conf.set("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
for view in sys.argv[2:]:
    session.table(f"analytics.{view}").coalesce(1).write.parquet(f"{sys.argv[1]}/{view}")
"""


@dataclass(frozen=True)
class Snapshot:
    """What each view says on either engine, the files of each day of a rollup on Spark, and Spark's settings."""

    on_postgres: dict[str, Rows]
    on_spark: dict[str, Rows]
    files: dict[str, list[str]]
    settings: dict[str, str]


# Once for both engines: they are read one after the other.
MINUTES_FROM = datetime.now(UTC) - timedelta(hours=47)


def plain(name: str, value: Any) -> Any:
    """A value that compares; a latency to ten digits, since the engines' logarithms and powers differ in the last."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return float(f"{value:.10g}") if name in LATENCIES and value is not None else value


def rows_of(rows: list[dict[str, Any]]) -> Rows:
    """As a multiset, without what depends on when it is read: minutes about to leave the history, `refreshed_at`."""
    return Counter(
        tuple(plain(name, value) for name, value in row.items() if name not in ("refreshed_at", "bucket_day"))
        for row in rows
        if row.get("grain") != "minute" or row["bucket_at"] >= MINUTES_FROM
    )


def read_postgres(connection: psycopg.Connection, view: str) -> Rows:
    cursor = connection.execute(f"select * from analytics.{view}")
    names = [column.name for column in cursor.description or ()]
    return rows_of([dict(zip(names, row, strict=True)) for row in cursor])


def read_spark(configuration: Path, folder: Path) -> dict[str, Rows]:
    environment = os.environ | {"SPARK_CONF_DIR": str(configuration), "SPARK_LOCAL_IP": "127.0.0.1"}
    subprocess.run([sys.executable, "-c", READ, str(folder), *VIEWS], check=True, env=environment, capture_output=True)
    parquet: Any = importlib.import_module("pyarrow.parquet")
    return {view: rows_of(parquet.read_table(folder / view).to_pylist()) for view in VIEWS}


def write_lines(path: Path, lines: list[DirtyLine]) -> Path:
    path.write_bytes(b"".join(line.raw + b"\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def quiet_day() -> datetime:
    """A day in the middle of the history that nothing is added to."""
    return datetime.combine(datetime.now(UTC).date() - timedelta(days=40), time(), UTC)


@pytest.fixture(scope="module")
def emptied_day(quiet_day: datetime) -> datetime:
    """A day whose events are all deleted."""
    return quiet_day - timedelta(days=5)


@pytest.fixture(scope="module")
def snapshots(
    new_database: Callable[..., str],
    template: str,
    dbt: Callable[..., DbtResult],
    tmp_path_factory: pytest.TempPathFactory,
    quiet_day: datetime,
    emptied_day: datetime,
) -> tuple[Snapshot, Snapshot]:
    """After a first export and run, and after a second one with late events, new days and one day less."""
    now = datetime.now(UTC)
    folder = tmp_path_factory.mktemp("spark")
    lines = dirty_export(LINES, now, seed=7)
    known = [
        line
        for number, line in enumerate(lines)
        if line.event is not None
        and (
            quiet_day <= line.event.occurred_at < quiet_day + timedelta(days=1)
            or (number % 2 and line.event.occurred_at < now - timedelta(hours=30))
        )
    ]
    url = new_database(template)
    assert dbt(url, "run").is_successful
    taken = []
    with connect(url) as connection, pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_TOOL_OPTIONS", FAST_START)
        for number, part in enumerate((known, lines)):
            # The second one repeats all of the first.
            import_file(connection, write_lines(folder / f"{number}.jsonl", part), environment="dev")
            for context in ODD_CONTEXTS[number::2]:
                for event_type in ("capacity.selector.assignment", "capacity.rpc.conflict", "pipeline.run.failed"):
                    insert_event(
                        connection, event_type, context, occurred_at=quiet_day + timedelta(days=number, hours=3)
                    )
            if number == 1:
                wait_for_earlier_transactions(connection)
                connection.execute(
                    "delete from holds.observability_events where occurred_at >= %s and occurred_at < %s",
                    (emptied_day, emptied_day + timedelta(days=1)),
                )
                assert dbt(url, "run", "--full-refresh").is_successful
            else:
                assert dbt(url, "run", "--select", "restaurants_over_90_days").is_successful
            export_events(connection, folder / "events")
            run = run_on_spark(str(folder / "events"), state=folder / "state")
            assert run.result.is_successful, run.result.problems
            assert run.result.tests_passed >= len(VIEWS)
            taken.append(
                Snapshot(
                    {view: read_postgres(connection, view) for view in VIEWS},
                    read_spark(run.configuration, folder / f"read-{number}"),
                    {
                        day.name.removeprefix("bucket_day="): sorted(file.name for file in day.glob("*.parquet"))
                        for day in (folder / "state/spark/warehouse/analytics.db/fct_event_counts").glob("bucket_day=*")
                    },
                    dict(
                        line.split(maxsplit=1)
                        for line in (run.configuration / "spark-defaults.conf").read_text().splitlines()
                    ),
                )
            )
    return taken[0], taken[1]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("which", [0, 1], ids=["first run", "second run"])
def test_view_says_the_same_on_both_engines(snapshots: tuple[Snapshot, Snapshot], which: int, view: str) -> None:
    """No row more or less, in any environment, for any restaurant, at any grain."""
    expected, actual = snapshots[which].on_postgres[view], snapshots[which].on_spark[view]
    missing, extra = expected - actual, actual - expected
    assert missing + extra == Counter(), f"missing: {list(missing)[:5]}\nextra: {list(extra)[:5]}"
    assert expected != snapshots[1 - which].on_postgres[view]
    assert len(expected) > 20


def test_a_second_run_replaces_the_days_that_have_changed_and_no_others(
    snapshots: tuple[Snapshot, Snapshot], quiet_day: datetime, emptied_day: datetime
) -> None:
    """Each day is a folder of the table; those of an untouched day are the very files of the first run."""
    first, second = snapshots[0].files, snapshots[1].files
    day, gone = f"{quiet_day:%Y-%m-%d}", f"{emptied_day:%Y-%m-%d}"
    assert first[day] == second[day] != []
    assert gone in first
    assert gone not in second
    replaced = {day for day in first.keys() & second.keys() if first[day] != second[day]}
    assert len(replaced) > 60
    assert len(second.keys() - first.keys()) >= 1


def test_spark_of_this_machine_is_open_to_no_other(snapshots: tuple[Snapshot, Snapshot]) -> None:
    """Its driver listens on loopback alone, and it serves no page."""
    settings = snapshots[0].settings
    assert settings["spark.driver.bindAddress"] == settings["spark.driver.host"] == "127.0.0.1"
    assert settings["spark.ui.enabled"] == "false"
