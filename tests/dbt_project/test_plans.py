"""What queries read: dashboards and refreshes must not read 90 days of events, however many there are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

import dashboards
from dashboards.checks.lint import variables_in
from dashboards.checks.macros import All, TimeRange, expand
from dashboards.checks.queries import RANGES, queries_of
from holds_core.database.connections import connect
from orchestration.dbt import DbtResult
from orchestration.history import History, write_history
from orchestration.rollups import ROLLUPS
from tests.dbt_project.loading import insert_event
from tests.dbt_project.test_live_views import VIEWS, one
from tests.transactions import wait_for_earlier_transactions

EVENTS = 150_000
WAITING = 50
# A partition of so few pages is read from end to end sooner than through an index, and rightly: the first of the 90
# days holds only what there was of it after this time of day.
SMALL_PAGES = 12


@dataclass(frozen=True)
class RolledUp:
    """A database with a history that is rolled up, and some events that are not yet.

    Attributes:
        connection: Autocommit.
        models: Where dbt has left the SQL of the rollups.
        pipeline_runs: How many of the events are the pipeline's own, which `pipeline_freshness` reads as they are.
    """

    connection: psycopg.Connection
    models: Path
    pipeline_runs: int


@pytest.fixture(scope="module")
def history(new_views_database: Callable[[], str], dbt: Callable[..., DbtResult]) -> Iterator[RolledUp]:
    url = new_views_database()
    with connect(url) as connection:
        write_history(connection, History(EVENTS, 90, datetime.now(UTC), environment="prod"))
        wait_for_earlier_transactions(connection)
        result = dbt(url, "run", "--select", "rollups")
        assert result.is_successful, result.problems
        connection.execute("vacuum analyze")
        for _ in range(WAITING):
            insert_event(
                connection, "capacity.selector.assignment", '{"timing": {"totalMs": 5}}', restaurant_id=uuid4()
            )
        runs = "select count(*) from holds.observability_events where event_type like 'pipeline.run.%%'"
        yield RolledUp(connection, result.log.parent / "compiled/holdwatch/models/rollups", one(connection, runs)[0])


def rows_read(connection: psycopg.Connection, query: str, relation: str) -> int:
    """How many rows the scans of a relation, or of its partitions, came upon; those included that they passed over."""

    def read(plan: dict[str, Any]) -> int:
        rows = 0
        if str(plan.get("Relation Name", "")).startswith(relation):
            rows = (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
        return int(rows) + sum(read(child) for child in plan.get("Plans", []))

    plans: list[dict[str, Any]] = one(connection, f"explain (analyze, format json) {query}")[0]
    return read(plans[0]["Plan"])


def dashboard_queries() -> Iterator[tuple[str, str]]:
    """Every statement of the Grafana dashboards, for each grain, under All and for one restaurant."""
    now = datetime.now(UTC)
    for file, text in dashboards.generate().items():
        if not file.startswith("grafana/"):
            continue
        board = json.loads(text)
        queries = [(query.place, query.sql) for query in queries_of(file, board)]
        queries += [(one["name"], one["query"]) for one in variables_in(board) if one["type"] == "query"]
        for place, sql in queries:
            for name, length in RANGES.items():
                for restaurant in (All("'__all__'"), ["(none)"]):
                    yield (
                        f"{place}, {name}, {'All' if isinstance(restaurant, All) else restaurant[0]}",
                        expand(sql, TimeRange(now - length, now), {"environment": ["prod"], "restaurant": restaurant}),
                    )


VIEW_QUERIES = [
    *(
        f"select * from analytics.{view} where environment = 'prod' and restaurant_key = '(all)' and grain = '{grain}'"
        for view in VIEWS[:6]
        for grain in ("minute", "hour", "day")
    ),
    *(f"select * from analytics.{view}" for view in VIEWS if view != "double_bookings"),
]


@pytest.mark.parametrize("query", VIEW_QUERIES)
def test_no_view_reads_raw_history(history: RolledUp, query: str) -> None:
    """Of the raw events only those that are not rolled up yet, and the pipeline's own."""
    read = rows_read(history.connection, query, "observability_events")
    assert 0 < read <= 8 * WAITING + 2 * history.pipeline_runs


def test_no_dashboard_query_reads_raw_history(history: RolledUp) -> None:
    queries = dict(dashboard_queries())
    assert len(queries) > 100
    read = {name: rows_read(history.connection, query, "observability_events") for name, query in queries.items()}
    at_most = 8 * WAITING + 2 * history.pipeline_runs
    assert {name: rows for name, rows in read.items() if rows > at_most} == {}
    assert sum(read.values()) > 0


@pytest.mark.parametrize("rollup", ROLLUPS)
def test_a_refresh_reads_what_is_new_and_the_rows_that_it_touches(history: RolledUp, rollup: str) -> None:
    """Neither the events before, but for those of the smallest partitions, nor the rest of the rollup."""
    query = (history.models / f"{rollup}.sql").read_text("utf-8")
    new_rows = one(history.connection, f"select count(*) from ({query}) as new_rows")[0]
    small = (
        "select coalesce(sum(greatest(reltuples, 0)), 0)::integer from pg_inherits"
        " join pg_class on pg_class.oid = inhrelid"
        f" where inhparent = 'holds.observability_events'::regclass and relpages <= {SMALL_PAGES}"
    )
    in_small = one(history.connection, small)[0]
    assert in_small < EVENTS / 50
    assert rows_read(history.connection, query, "observability_events") <= WAITING + in_small
    assert rows_read(history.connection, query, rollup) <= new_rows
    assert one(history.connection, f"select count(*) from analytics.{rollup}")[0] > 10 * new_rows
