"""The views are live: what is committed shows, whatever it is, and no pipeline has to run in between."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from holds_core.database.connections import connect
from tests.dbt_project.loading import insert_event, insert_windows
from tests.dbt_project.oracle import GRAINS, ReadEvent, Window
from tests.fixtures.dirty_contexts import CODES, FLAGS, LATENCIES, RAW_NUMBER, TIMINGS, WORDS
from tests.fixtures.dirty_events import StoredEvent, dump

VIEWS = (
    "assignment_success_rate",
    "reservation_latency_ms",
    "hold_retry_exhaustion",
    "cutoff_triggers",
    "error_taxonomy",
    "hold_activity",
    "double_bookings",
    "prometheus_series",
    "pipeline_freshness",
)
RESTAURANT = UUID("00000000-0000-4000-8000-00000000000a")


def one(connection: psycopg.Connection, query: str, *parameters: Any) -> tuple[Any, ...]:
    rows = connection.execute(query, parameters).fetchall()
    assert len(rows) == 1, rows
    return rows[0]


@pytest.mark.parametrize(("restaurant_id", "key"), [(RESTAURANT, str(RESTAURANT)), (None, "(none)")])
def test_an_inserted_event_shows_in_every_view_it_belongs_to(
    new_views_database: Callable[[], str], restaurant_id: UUID | None, key: str
) -> None:
    """One event that is a request, late, exhausted and an error; seen by another connection at once."""
    url = new_views_database()
    with connect(url) as writer, connect(url) as reader:
        context = '{"timing": {"totalMs": 250, "plannerMs": "40"}, "retryExhausted": true, "code": "23P01"}'
        insert_event(writer, "capacity.selector.skipped", context, restaurant_id=restaurant_id, severity="error")
        insert_event(writer, "capacity.manual.validate", "{}", restaurant_id=restaurant_id)

        def seen(restaurant_key: str, columns: str, view: str, condition: str = "true") -> set[Any]:
            """What a view says, the same in each grain."""
            where = f"where environment = 'prod' and restaurant_key = %s and {condition}"
            rows = reader.execute(
                f"select grain, {columns} from analytics.{view} {where}", (restaurant_key,)
            ).fetchall()
            assert Counter(row[0] for row in rows) == dict.fromkeys(GRAINS, len(rows) // 3)
            return {row[1:] for row in rows}

        for scope in (key, "(all)"):
            assert seen(scope, "assignment_count, skipped_count", "assignment_success_rate") == {(0, 1)}
            latencies = dict(seen(scope, "phase, latency_ms", "reservation_latency_ms", "percentile = 0.95"))
            assert latencies == pytest.approx({"total": 250, "planner": 40}, rel=0.01)
            assert seen(scope, "exhausted_count, exhausted_event_count", "hold_retry_exhaustion") == {(1, 1)}
            assert seen(scope, "cutoff_kind, trigger_count", "cutoff_triggers") == {("MANUAL", 1)}
        errors = seen("(all)", "error_class, error_code, error_share", "error_taxonomy")
        assert errors == {("conflict", "23P01", 1.0)}
        taxonomy = "select grain, error_count from analytics.error_taxonomy where restaurant_key = %s"
        assert one(reader, taxonomy, key) == ("day", 1)

        sample = "select value from analytics.prometheus_series where metric = %s and labels @> %s::jsonb"
        labels = json.dumps({"restaurant_key": key, "phase": "total", "percentile": "0.95"})
        assert one(reader, sample, "reservation_latency_ms", labels) == (pytest.approx(250, rel=0.01),)
        freshness = one(reader, "select lag_seconds from analytics.pipeline_freshness where environment = 'prod'")
        assert 0 <= freshness[0] < 60


def test_an_event_ahead_of_the_clock_shows(views: psycopg.Connection) -> None:
    """Producers' clocks differ: there is no upper bound, but the future does not hide the present in the gauges."""
    ahead = datetime.now(UTC) + timedelta(hours=3)
    insert_event(views, "capacity.selector.assignment", occurred_at=ahead)
    insert_event(views, "capacity.selector.skipped")
    newest = (
        "select assignment_count from analytics.assignment_success_rate where grain = %s and restaurant_key = '(all)'"
    )
    for grain in ("minute", "hour"):
        assert views.execute(newest + " order by bucket_at", (grain,)).fetchall() == [(0,), (1,)]
    gauge = "select value from analytics.prometheus_series where metric = 'assignment_success_rate'"
    assert set(views.execute(gauge).fetchall()) == {(0.0,)}


def test_history_begins_where_it_should(views: psycopg.Connection) -> None:
    """Minutes: 48 hours; hours and days: today and the 90 UTC days before it, to the microsecond."""
    now = one(views, "select now()")[0]
    minute_start = now.replace(second=0, microsecond=0) - timedelta(hours=48)
    day_start = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=90)
    # The day before the history has no partition any more, or not yet.
    views.execute("select holds.ensure_event_partitions(%s, %s)", (day_start.date() - timedelta(1), day_start.date()))
    for start in (minute_start, day_start):
        for instant in (start, start - timedelta(microseconds=1)):
            insert_event(views, "capacity.selector.assignment", occurred_at=instant)
    counts = "select sum(assignment_count) from analytics.assignment_success_rate where restaurant_key = '(all)'"
    assert [one(views, f"{counts} and grain = %s", grain)[0] for grain in GRAINS] == [1, 3, 3]


def hostile_contexts() -> list[str]:
    """Contexts of every wrong shape, as JSON text that the table takes."""
    wholes: list[Any] = ["text", "", 5, RAW_NUMBER("1e400"), True, None, [], [1], [{"timing": {"totalMs": 1}}], {}]
    keys = {"code": CODES, "reason": WORDS, "message": WORDS, "retryExhausted": FLAGS, "isBlocked": FLAGS, "job": WORDS}
    return [
        *(dump(whole).decode() for whole in wholes),
        *(dump({"timing": timing}).decode() for timing in TIMINGS),
        *(dump({"timing": {"totalMs": value, "plannerMs": value}}).decode() for value in LATENCIES),
        *(dump({key: value}).decode() for key, values in keys.items() for value in values),
        *(dump(dict.fromkeys(keys, value)).decode() for value in (*wholes, "\x7f" * 100_000, "'; drop table x; --")),
        '{"timing": ' * 2_000 + "1" + "}" * 2_000,
    ]


@pytest.mark.parametrize(
    "event_type", ["capacity.selector.assignment", "capacity.rpc.conflict", "pipeline.run.failed", "'; --", ""]
)
def test_no_context_breaks_a_view(views: psycopg.Connection, event_type: str) -> None:
    """Whatever the contexts are, every view answers, and counts each event."""
    contexts = hostile_contexts()
    for context in contexts:
        insert_event(views, event_type, context, severity="critical")
    for view in VIEWS:
        views.execute(f"select * from analytics.{view}")
    errors = "select sum(error_count) from analytics.error_taxonomy where grain = 'day' and restaurant_key = '(all)'"
    assert one(views, errors)[0] == len(contexts)


def test_latencies_are_read_as_python_reads_them(views: psycopg.Connection) -> None:
    """To the last bit: every hostile value, the borders of float8, and ties between two neighbours."""
    borders = [
        *(str(2**1024 - 2**970 + step) for step in (-1, 0, 1)),
        *(f"{5**1075 + step}e-1075" for step in (-1, 0, 1)),
        *(f"-{5**1075 + step}e-1075" for step in (-1, 0, 1)),
        # Halfway between 2^53 and its successor, a hair above it, and written at length.
        *("9007199254740993", "9007199254740993." + "0" * 1_200 + "1", "9007199254740993." + "0" * 1_200),
        *("1." + "3" * 20_000, "0." + "0" * 20_000 + "1e20001", "1" * 200_000 + "e-199999", "1e" + "0" * 50 + "5"),
    ]
    values = [*LATENCIES, *borders, *(RAW_NUMBER(border) for border in borders if len(border) < 2_000)]
    contexts = {uuid4(): dump({"timing": {"totalMs": value}}).decode() for value in values}
    for event_id, context in contexts.items():
        views.execute(
            "insert into holds.observability_events (id, occurred_at, environment, source, event_type, context)"
            " values (%s, now(), 'prod', 'test', 'capacity.selector.assignment', %s::jsonb)",
            (event_id, context),
        )
    now = datetime.now(UTC)
    expected = {
        event_id: ReadEvent(StoredEvent(event_id, now, "", "", "", "", None, None, context), now).latency("totalMs")
        for event_id, context in contexts.items()
    }
    actual: dict[UUID, float | None] = dict(
        views.execute("select event_id, total_ms from analytics.stg_holds__events").fetchall()
    )
    differing = {contexts[key][:80]: (actual[key], expected[key]) for key in expected if actual[key] != expected[key]}
    assert differing == {}
    assert {None, 0.0, 12.5, 1.0} < set(actual.values())


def test_double_bookings_are_found_fast_among_many_windows(views: psycopg.Connection) -> None:
    """100,000 live windows that touch and do not overlap, and one that does, on 100 tables."""
    views.execute("alter table holds.table_hold_windows drop constraint table_hold_windows_no_overlap")
    views.execute(
        """
        insert into holds.table_holds
            (id, restaurant_id, owner_id, idempotency_key, request_hash, table_ids, held_during, is_enforced,
             confirmed_at)
        select
            uuid, %(restaurant)s, uuid, n::text, '', array[md5('table' || n %% 100)::uuid],
            tstzrange(now() + n / 100 * interval '1 hour', now() + (n / 100 + 1) * interval '1 hour'), true, now()
        from generate_series(0, 99999) as n
        cross join lateral (select md5(n::text)::uuid as uuid) as made
        """,
        {"restaurant": RESTAURANT},
    )
    views.execute(
        """
        insert into holds.table_hold_windows (hold_id, restaurant_id, table_id, owner_id, held_during)
        select id, restaurant_id, table_ids[1], owner_id, held_during from holds.table_holds
        """
    )
    views.execute("analyze holds.table_hold_windows")
    views.execute("set statement_timeout = '15s'")
    assert one(views, "select count(*) from analytics.double_bookings") == (0,)
    intruder = uuid4()
    table_id, starts_at = one(
        views,
        "select table_id, lower(held_during) from holds.table_hold_windows where id = (select min(id) + 5000"
        " from holds.table_hold_windows)",
    )
    during = (starts_at + timedelta(minutes=59), starts_at + timedelta(minutes=61))
    now = datetime.now(UTC)
    insert_windows(views, [Window(intruder, RESTAURANT, table_id, intruder, *during, now, None, None, False)])
    pairs = views.execute("select second_hold_id, overlap_ends_at - overlap_starts_at from analytics.double_bookings")
    assert pairs.fetchall() == [(intruder, timedelta(minutes=1))] * 2
