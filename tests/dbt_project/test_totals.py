"""Totals only grow: not when history leaves the rollups, nor when they are rebuilt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import UUID

import psycopg
import pytest

from holds_core.database.connections import connect
from orchestration.dbt import DbtResult
from tests.dbt_project.loading import insert_event
from tests.transactions import wait_for_earlier_transactions

RESTAURANT = UUID("00000000-0000-4000-8000-00000000000a")

Totals = dict[tuple[str, str], int]


@pytest.fixture
def url(new_views_database: Callable[[], str]) -> str:
    return new_views_database()


@pytest.fixture
def connection(url: str) -> Iterator[psycopg.Connection]:
    with connect(url) as opened:
        yield opened


def totals(connection: psycopg.Connection) -> Totals:
    """Those of prod that are not 0."""
    rows = connection.execute(
        "select metric, kind, total from analytics.metric_totals where environment = 'prod' and total > 0"
    ).fetchall()
    return {(metric, kind): total for metric, kind, total in rows}


def tell(connection: psycopg.Connection) -> None:
    """Eight events, one of each kind that is counted on its own."""
    for restaurant in (RESTAURANT, None):
        insert_event(connection, "capacity.selector.assignment", restaurant_id=restaurant)
    insert_event(connection, "capacity.selector.skipped", '{"skipReason": "no_capacity", "retryExhausted": true}')
    insert_event(connection, "capacity.selector.skipped", '{"skipReason": "error"}')
    insert_event(connection, "capacity.rpc.conflict", '{"code": "23P01"}', restaurant_id=RESTAURANT)
    insert_event(connection, "capacity.rpc.conflict", '{"reason": "HOLD_RATE_LIMIT"}')
    insert_event(connection, "capacity.hold.double_booking", severity="critical")
    insert_event(connection, "capacity.flags.contradiction", severity="warning")


TOLD: Totals = {
    ("events", ""): 8,
    ("assignments", ""): 2,
    ("skipped", ""): 2,
    ("faults", ""): 1,
    ("retries_exhausted", ""): 1,
    ("cutoffs", "HOLD_RATE_LIMIT"): 1,
    ("errors", "conflict"): 1,
    ("errors", "limit"): 1,
    ("errors", "unclassified"): 1,
    ("double_bookings_found", ""): 1,
    ("flag_contradictions", ""): 1,
}


def times(number: int) -> Totals:
    """What so many tellings amount to."""
    return {metric: number * total for metric, total in TOLD.items()}


def let_a_season_pass(connection: psycopg.Connection) -> None:
    """What is rolled up becomes too old for history, and its events are gone, as retention has it."""
    for rollup in ("fct_event_counts", "fct_error_counts", "fct_latency_sketches"):
        connection.execute(f"update analytics.{rollup} set bucket_at = bucket_at - interval '100 days'")
    connection.execute("delete from holds.observability_events")
    connection.execute("update analytics.rollup_positions set expired_at = expired_at - interval '2 hours'")


def test_totals_start_at_0_for_everything(connection: psycopg.Connection) -> None:
    """Who counts from 0 must have seen the 0; the environment is the database's own."""
    rows = connection.execute("select environment, metric, kind, total from analytics.metric_totals").fetchall()

    assert {row[0] for row in rows} == {"dev"}
    assert {row[3] for row in rows} == {0}
    assert set(TOLD) <= {(row[1], row[2]) for row in rows}


def test_totals_outlive_history_and_rebuilds(
    connection: psycopg.Connection, url: str, dbt: Callable[..., DbtResult]
) -> None:
    """Live, rolled up, too old, let go of, and after a rebuild in full: each event counts once, always."""

    def refresh(*arguments: str) -> None:
        wait_for_earlier_transactions(connection)
        result = dbt(url, "run", "--select", "rollups", *arguments)
        assert result.is_successful, result.problems

    tell(connection)
    assert totals(connection) == times(1)
    refresh()
    assert totals(connection) == times(1)
    let_a_season_pass(connection)
    assert totals(connection) == times(1), "too old for history, and still there"
    tell(connection)
    refresh()
    days = connection.execute("select count(*) from analytics.fct_event_counts where grain = 'day'").fetchone()
    assert days == (3,), "the old days are gone"
    assert totals(connection) == times(2)
    let_a_season_pass(connection)
    tell(connection)
    refresh("--full-refresh")

    assert totals(connection) == times(3)
    gone = "select total from analytics.expired_totals where environment = 'prod' and metric = 'events'"
    assert connection.execute(gone).fetchone() == (16,)
