"""The rollups: what they take in, when, and that nothing is counted twice or lost, however they are refreshed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest

from holds_core.database.connections import connect
from orchestration.dbt import DbtResult
from orchestration.history import History, write_history
from tests.dbt_project.loading import copy_events, insert_event
from tests.dbt_project.oracle import ReadEvent
from tests.dbt_project.test_live_views import one
from tests.fixtures.dirty_events import dirty_export
from tests.transactions import wait_for_earlier_transactions

ROLLUPS = ("fct_event_counts", "fct_error_counts", "fct_latency_sketches")
ASSIGNMENT = "capacity.selector.assignment"
RESTAURANT = UUID("00000000-0000-4000-8000-00000000000a")
VIEWS_BY_TIME = (
    "assignment_success_rate",
    "reservation_latency_ms",
    "hold_retry_exhaustion",
    "cutoff_triggers",
    "error_taxonomy",
    "hold_activity",
)
MINUTES_FROM = datetime.now(UTC) - timedelta(hours=47)

Refresh = Callable[..., None]


@pytest.fixture
def url(new_views_database: Callable[[], str]) -> str:
    return new_views_database()


@pytest.fixture
def refresh(url: str, dbt: Callable[..., DbtResult]) -> Refresh:
    def run(*arguments: str, is_alone: bool = True) -> None:
        if is_alone:
            with connect(url) as connection:
                wait_for_earlier_transactions(connection)
        result = dbt(url, "run", "--select", "rollups", *arguments)
        assert result.is_successful, result.problems

    return run


def contents(connection: psycopg.Connection, relation: str, where: str = "true") -> Counter[str]:
    """The rows, as a multiset of their texts."""
    rows = connection.execute(
        f"select row_to_json(relation)::text from analytics.{relation} as relation where {where}"
    ).fetchall()
    return Counter(row[0] for row in rows)


def all_contents(connection: psycopg.Connection, relations: Sequence[str] = ROLLUPS) -> dict[str, Counter[str]]:
    """Of all rollups, but for minutes that may leave their 48 hours while a test is at work."""
    lasting = f"grain <> 'minute' or bucket_at >= '{MINUTES_FROM}'"
    return {relation: contents(connection, relation, lasting) for relation in relations}


def positions(connection: psycopg.Connection) -> dict[str, int]:
    return dict(connection.execute("select rollup, position from analytics.rollup_positions").fetchall())


def counted(connection: psycopg.Connection, relation: str) -> int:
    """How many events the minutes, hours and days of a relation each count; it must be the same number."""
    counts = connection.execute(
        f"select distinct sum(event_count) from analytics.{relation} where restaurant_key = '(all)' group by grain"
    ).fetchall()
    assert len(counts) <= 1, counts
    return int(counts[0][0]) if counts else 0


def load(connection: psycopg.Connection, lines: int, seed: int) -> None:
    events = [line.event for line in dirty_export(lines, datetime.now(UTC), seed=seed) if line.event is not None]
    copy_events(connection, [ReadEvent(event, event.occurred_at) for event in events])


def test_a_refresh_takes_in_what_is_new_and_a_second_one_nothing(url: str, refresh: Refresh) -> None:
    with connect(url) as connection:
        insert_event(connection, ASSIGNMENT, '{"timing": {"totalMs": 100}}', restaurant_id=RESTAURANT)
        assert (counted(connection, "fct_event_counts"), counted(connection, "live_event_counts")) == (0, 1)
        refresh()
        assert (counted(connection, "fct_event_counts"), counted(connection, "live_event_counts")) == (1, 1)
        assert contents(connection, "unrolled_event_counts") == Counter()
        before = all_contents(connection)
        refresh()
        assert all_contents(connection) == before
        # Late by a month, and merged into a bucket of its own; and one into a bucket that is there already.
        insert_event(connection, ASSIGNMENT, occurred_at=datetime.now(UTC) - timedelta(days=30))
        insert_event(connection, ASSIGNMENT, '{"timing": {"totalMs": 300}}', restaurant_id=RESTAURANT)
        refresh()
        days = (
            "select assignment_count from analytics.fct_event_counts where grain = 'day' and restaurant_key = '(all)'"
        )
        assert sorted(connection.execute(days).fetchall()) == [(1,), (2,)]
        latencies = (
            "select sample_count, p50_ms, p99_ms from analytics.fct_latency_sketches"
            " where grain = 'day' and restaurant_key = '(all)'"
        )
        assert one(connection, latencies) == (2, pytest.approx(100, rel=0.01), pytest.approx(300, rel=0.01))


def test_a_rollup_that_was_small_is_not_read_whole_for_each_row(url: str, refresh: Refresh) -> None:
    """It grows while it is looked up, and the planner knows it as it was: of one page it would read all each time."""
    scans = "select relname, seq_scan from pg_stat_user_tables where relname = any(%s) and schemaname = 'analytics'"
    with connect(url) as connection:
        insert_event(connection, ASSIGNMENT, '{"timing": {"totalMs": 100}}', restaurant_id=RESTAURANT)
        insert_event(connection, "capacity.rpc.conflict", '{"code": "23P01"}', restaurant_id=RESTAURANT)
        refresh()
        connection.execute("analyze")
        load(connection, 400, seed=5)
        before: dict[str, int] = dict(connection.execute(scans, (list(ROLLUPS),)).fetchall())
        refresh()
        after: dict[str, int] = dict(connection.execute(scans, (list(ROLLUPS),)).fetchall())
        rows = {rollup: one(connection, f"select count(*) from analytics.{rollup}")[0] for rollup in ROLLUPS}
    assert min(rows.values()) > 100
    assert {rollup: after[rollup] - before[rollup] for rollup in ROLLUPS if after[rollup] > before[rollup] + 3} == {}


def test_a_quiet_rollup_advances_all_the_same(url: str, refresh: Refresh) -> None:
    """Its position follows the transactions of the server, so that the next refresh has no more to look through."""
    with connect(url) as connection:
        refresh()
        before = positions(connection)
        refreshed_at = one(connection, "select min(refreshed_at) from analytics.rollup_positions")[0]
        refresh()
        after = positions(connection)
        assert all(after[rollup] > before[rollup] for rollup in ROLLUPS)
        assert one(connection, "select min(refreshed_at) > %s from analytics.rollup_positions", refreshed_at) == (True,)
        lag = "select refresh_lag_seconds from analytics.pipeline_freshness where environment = 'dev'"
        assert 0 <= one(connection, lag)[0] < 60


def test_an_event_of_a_long_transaction_is_not_passed_by(url: str, refresh: Refresh) -> None:
    """It has a lower position than what was committed, and rolled up, before it."""
    with connect(url) as connection, connect(url, autocommit=False) as slow:
        wait_for_earlier_transactions(connection)
        insert_event(slow, ASSIGNMENT)
        insert_event(connection, ASSIGNMENT)
        refresh(is_alone=False)
        assert counted(connection, "live_event_counts") == 1
        # Not even the one that is committed: its position is above the oldest that may still be written.
        assert counted(connection, "fct_event_counts") == 0
        slow.commit()
        assert counted(connection, "live_event_counts") == 2
        refresh()
        assert (counted(connection, "fct_event_counts"), counted(connection, "live_event_counts")) == (2, 2)


def test_rebuilds_give_what_refreshes_gave(url: str, refresh: Refresh) -> None:
    """In full, and of one day; what came in since the last refresh stays for the next one."""
    with connect(url) as connection:
        for seed in (1, 2, 3):
            load(connection, 1_500, seed)
            refresh()
        additive = all_contents(connection)
        live = all_contents(connection, VIEWS_BY_TIME)
        day = one(
            connection,
            "select bucket_at from analytics.fct_event_counts where grain = 'day' and restaurant_key = '(all)'"
            " and event_count > 20 order by bucket_at limit 1",
        )[0].astimezone(UTC)

        refresh("--full-refresh")
        assert all_contents(connection) == additive

        connection.execute("update analytics.fct_event_counts set event_count = 7 where bucket_at = %s", (day,))
        connection.execute("delete from analytics.fct_latency_sketches where bucket_at = %s", (day,))
        connection.execute(
            "insert into analytics.fct_error_counts"
            " select restaurant_key, grain, environment, bucket_at, 'x', 'x', 'x', 'x', 9"
            " from analytics.fct_error_counts where grain = 'day' and bucket_at = %s limit 1",
            (day,),
        )
        insert_event(connection, ASSIGNMENT, occurred_at=day + timedelta(hours=1))
        before = positions(connection)
        days = {"rebuild_from": f"{day:%Y-%m-%d}", "rebuild_before": f"{day + timedelta(days=1):%Y-%m-%d}"}
        refresh("--vars", json.dumps(days))
        assert all_contents(connection) == additive
        assert positions(connection) == before
        connection.execute("delete from holds.observability_events where source = 'test' and environment = 'prod'")
        assert all_contents(connection, VIEWS_BY_TIME) == live


def test_a_refresh_waits_for_another_and_then_finds_nothing(url: str, dbt: Callable[..., DbtResult]) -> None:
    """Two at once count each event once."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    with connect(url) as connection:
        load(connection, 2_000, 4)
        wait_for_earlier_transactions(connection)
        with ThreadPoolExecutor(2) as executor:
            results = list(executor.map(lambda _: dbt(url, "run", "--select", "rollups"), range(2)))
        assert [result.is_successful for result in results] == [True, True]
        raw = one(connection, "select count(*) from holds.observability_events")[0]
        by_day = (
            "select sum(event_count) from analytics.fct_event_counts where grain = 'day' and restaurant_key = '(all)'"
        )
        assert one(connection, by_day)[0] == raw


def test_a_refresh_that_fails_leaves_everything_as_it_was(
    url: str, refresh: Refresh, dbt: Callable[..., DbtResult]
) -> None:
    with connect(url) as connection:
        load(connection, 500, 5)
        refresh()
        before, at = all_contents(connection), positions(connection)
        load(connection, 500, 6)
        live = contents(connection, "live_event_counts")
        connection.execute(
            "alter table analytics.fct_event_counts add constraint never check (event_count < 0) not valid"
        )
        assert not dbt(url, "run", "--select", "fct_event_counts").is_successful
        connection.execute("alter table analytics.fct_event_counts drop constraint never")
        assert (all_contents(connection), positions(connection)) == (before, at)
        assert contents(connection, "live_event_counts") == live
        refresh()
        assert contents(connection, "live_event_counts") == contents(connection, "fct_event_counts") == live


def test_a_rollup_of_another_shape_is_left_alone_until_all_is_made_anew(
    url: str, refresh: Refresh, dbt: Callable[..., DbtResult]
) -> None:
    """As an upgrade finds one that an earlier release has made."""
    with connect(url) as connection:
        load(connection, 500, 8)
        refresh()
        expected = contents(connection, "fct_event_counts")
        readers = connection.execute(
            "select distinct ev_class::regclass::text from pg_depend join pg_rewrite on pg_rewrite.oid = objid"
            " where refobjid = 'analytics.fct_event_counts'::regclass and classid = 'pg_rewrite'::regclass"
        ).fetchall()
        for (reader,) in readers:
            connection.execute(f"drop view if exists {reader} cascade")
        connection.execute(
            "alter table analytics.fct_event_counts add retired_count integer;"
            "alter table analytics.fct_event_counts alter manual_count type bigint;"
            "alter table analytics.fct_event_counts rename cutoff_count to cutoffs"
        )
        load(connection, 500, 9)
        before, at = contents(connection, "fct_event_counts"), positions(connection)
        result = dbt(url, "run", "--select", "fct_event_counts")
        assert [problem.name for problem in result.problems] == ["fct_event_counts"]
        for misfit in (
            "retired_count is integer, the contract says that there is none",
            "manual_count is bigint, the contract says integer",
            "cutoff_count is missing, the contract says integer",
            "holdwatch pipeline rebuild",
        ):
            assert misfit in result.problems[0].message
        assert (contents(connection, "fct_event_counts"), positions(connection)) == (before, at)

        connection.execute("delete from holds.observability_events where ingest_pos > %s", (at["fct_event_counts"],))
        result = dbt(url, "run", "--full-refresh", "--select", "fct_event_counts+")
        assert result.is_successful, result.problems
        assert contents(connection, "fct_event_counts") == expected == contents(connection, "live_event_counts")
        assert one(
            connection,
            "select count(*) > 0 and bool_and(col_description(attrelid, attnum) is not null) from pg_attribute"
            " where attrelid = 'analytics.fct_event_counts'::regclass and attnum > 0",
        ) == (True,)


def test_minutes_leave_after_48_hours_and_days_after_90(url: str, refresh: Refresh) -> None:
    with connect(url) as connection:
        now = datetime.now(UTC)
        insert_event(connection, ASSIGNMENT, occurred_at=now - timedelta(hours=1))
        refresh()
        connection.execute("update analytics.fct_event_counts set bucket_at = bucket_at - interval '48 hours'")
        refresh()
        grains = "select grain, count(*) from analytics.fct_event_counts group by grain"
        assert dict(connection.execute(grains).fetchall()) == {"minute": 2, "hour": 2, "day": 2}
        # Once an hour is enough; the views do not show it meanwhile.
        assert one(connection, "select count(*) from analytics.live_event_counts where grain = 'minute'") == (0,)
        connection.execute("update analytics.rollup_positions set expired_at = expired_at - interval '61 minutes'")
        refresh()
        assert dict(connection.execute(grains).fetchall()) == {"hour": 2, "day": 2}
        connection.execute("update analytics.fct_event_counts set bucket_at = bucket_at - interval '89 days'")
        connection.execute("update analytics.rollup_positions set expired_at = expired_at - interval '61 minutes'")
        refresh()
        assert connection.execute(grains).fetchall() == []


def test_nothing_is_lost_after_a_restore_on_another_server(url: str, refresh: Refresh) -> None:
    """Transaction ids start anew there: what was rolled up counts for nothing until it has been rolled up again."""
    with connect(url) as connection:
        load(connection, 1_000, 7)
        refresh()
        expected = contents(connection, "live_event_counts")
        # As a dump brings it along: positions of a server whose ids were far ahead of this one's.
        ahead = 10**12
        connection.execute("update holds.observability_events set ingest_pos = ingest_pos + %s", (ahead,))
        connection.execute(
            "update analytics.rollup_positions"
            " set position = position + %(ahead)s, read_after = read_after + %(ahead)s, server_id = 1",
            {"ahead": ahead},
        )
        assert contents(connection, "live_event_counts") == expected
        insert_event(connection, ASSIGNMENT)
        with_new = contents(connection, "live_event_counts")
        assert with_new != expected
        refresh()
        assert contents(connection, "fct_event_counts") == with_new
        assert contents(connection, "unrolled_event_counts") == Counter()
        # And it goes on from there.
        insert_event(connection, ASSIGNMENT)
        raw = one(connection, "select count(*) from holds.observability_events")[0]
        refresh()
        by_day = (
            "select sum(event_count) from analytics.fct_event_counts where grain = 'day' and restaurant_key = '(all)'"
        )
        assert one(connection, by_day)[0] == raw


def test_the_restaurants_table_adds_up_90_days(url: str, dbt: Callable[..., DbtResult]) -> None:
    """Counts equal the events', percentiles the nearest ranks of all of them; it may be built again and again."""
    with connect(url) as connection:
        write_history(connection, History(8_000, 30, datetime.now(UTC), restaurants=3))
        for _ in range(2):
            result = dbt(url, "build", "--select", "rollups", "restaurants_over_90_days")
            assert result.is_successful, result.problems
        exact = {
            key: (count, skipped, ranks)
            for key, count, skipped, ranks in connection.execute(
                """
                select
                    scope, count(*) filter (where event_type like '%%assignment'),
                    count(*) filter (where event_type like '%%skipped'),
                    percentile_disc(array[0.5, 0.95, 0.99]) within group (
                        order by (context -> 'timing' ->> 'totalMs')::float8)
                from holds.observability_events
                cross join lateral (values ('(all)'), (coalesce(restaurant_id::text, '(none)'))) as scopes (scope)
                where event_type like 'capacity.selector.%%'
                group by scope
                """
            )
        }
        rows = connection.execute(
            "select restaurant_key, assignment_count, skipped_count, p50_ms, p95_ms, p99_ms"
            " from analytics.restaurants_over_90_days"
        ).fetchall()
        assert {row[0] for row in rows} == set(exact)
        assert len(exact) == 5
        for key, assigned, skipped, *percentiles in rows:
            assert (assigned, skipped) == exact[key][:2]
            assert percentiles == pytest.approx(exact[key][2], rel=0.01)
