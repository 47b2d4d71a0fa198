"""Every view, at every grain and for every restaurant, against a computation in plain Python; no row more or less."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import psycopg
import pytest

from holds_core.database.connections import connect
from orchestration.dbt import DbtResult
from tests.dbt_project.loading import copy_events, insert_windows
from tests.dbt_project.oracle import GRAINS, Oracle, ReadEvent, Rows, Window, double_bookings
from tests.fixtures.dirty_events import StoredEvent, dirty_export

LINES = 8_000
NOT_OBJECTS = ["[]", "[1]", '"timing"', "null", "5", "true", "1e400", '[{"timing": {"totalMs": 1}}]']


def make_events(now: datetime) -> list[ReadEvent]:
    """The events of a dirty export, and some with contexts that are no objects, which only plain SQL can bring in."""
    random = Random(2)
    events = [line.event for line in dirty_export(LINES, now) if line.event is not None]
    for context in NOT_OBJECTS:
        for event_type in ("capacity.selector.assignment", "capacity.rpc.conflict", "pipeline.run.failed"):
            events.append(StoredEvent(None, now, "prod", "plain SQL", event_type, "info", None, None, context))
    restaurants = [None, *{event.restaurant_id for event in events if event.restaurant_id is not None}][:6]
    for _ in range(300):
        event_type = f"capacity.hold.{random.choice(['confirmed', 'released', 'expired', 'strict_conflict'])}"
        context = random.choice(["{}", '{"isShadow": true}', '{"isShadow": "TRUE"}', '{"isShadow": 1}', '"isShadow"'])
        at = now - timedelta(minutes=random.randrange(5 * 24 * 60))
        events.append(
            StoredEvent(None, at, "prod", "holds", event_type, "info", random.choice(restaurants), None, context)
        )
    return [ReadEvent(event, event.occurred_at + timedelta(seconds=random.random() * 600)) for event in events]


def make_windows(now: datetime) -> list[Window]:
    """Windows on a few tables that overlap, touch and repeat each other in every way."""
    random = Random(3)

    def uuid() -> UUID:
        return UUID(int=random.getrandbits(128), version=4)

    tables = [(uuid(), restaurant) for restaurant in (uuid(), uuid()) for _ in range(3)]
    bookings = [uuid() for _ in range(12)]
    windows = []
    for _ in range(160):
        hold_id = uuid()
        table_id, restaurant_id = random.choice(tables)
        starts_at = now + timedelta(minutes=15 * random.randrange(96))
        created_at = now - timedelta(seconds=random.randrange(10_000))
        windows.append(
            Window(
                hold_id=hold_id,
                restaurant_id=restaurant_id,
                table_id=table_id,
                owner_id=random.choice([hold_id, random.choice(bookings)]),
                starts_at=starts_at,
                ends_at=starts_at + timedelta(minutes=15 * random.randrange(1, 10)),
                created_at=created_at,
                expires_at=random.choice([None, now + timedelta(hours=1), now - timedelta(minutes=1)]),
                released_at=random.choice([None, None, None, created_at + timedelta(minutes=1)]),
                is_enforced=random.random() < 0.5,
            )
        )
    return windows


@pytest.fixture(scope="module")
def windows() -> list[Window]:
    return make_windows(datetime.now(UTC))


@pytest.fixture(scope="module")
def events() -> list[ReadEvent]:
    return make_events(datetime.now(UTC))


@pytest.fixture(scope="module", params=["not rolled up", "rolled up in part", "rolled up"])
def loaded_url(
    request: pytest.FixtureRequest,
    new_views_database: Callable[[], str],
    dbt: Callable[..., DbtResult],
    events: list[ReadEvent],
    windows: list[Window],
) -> str:
    url = new_views_database()
    with connect(url) as connection:
        if request.param == "rolled up in part":
            # Every bucket has rows of both kinds, and whatever is late comes in later.
            copy_events(connection, events[::2])
            assert dbt(url, "run", "--select", "rollups").is_successful
            copy_events(connection, events[1::2])
        else:
            copy_events(connection, events)
        if request.param == "rolled up":
            assert dbt(url, "run", "--select", "rollups").is_successful
        # Only without its constraint does the database let overlaps in that it would otherwise refuse.
        connection.execute("alter table holds.table_hold_windows drop constraint table_hold_windows_no_overlap")
        insert_windows(connection, windows)
    return url


def read(connection: psycopg.Connection, view: str) -> Rows:
    rows = connection.execute(f"select * from analytics.{view}").fetchall()
    # How fresh the rollups are is no matter of the events.
    end = 8 if view == "pipeline_freshness" else None
    return Counter(tuple(plain(value) for value in row[:end]) for row in rows)


def plain(value: Any) -> Any:
    """A value that compares and hashes: Python holds a time in the hour that a zone repeats equal to no other."""
    if isinstance(value, dict):
        return json.dumps(value, sort_keys=True)
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def assert_same(actual: Rows, expected: Rows) -> None:
    """No row more or less; a latency is off by no more than the promised hundredth."""
    actual = rounded_towards(expected, actual)
    missing, extra = expected - actual, actual - expected
    assert missing + extra == Counter(), f"missing: {list(missing)[:5]}\nextra: {list(extra)[:5]}"


def rounded_towards(expected: Rows, actual: Rows) -> Rows:
    """The actual rows, each with the latency expected of it where its own is within a hundredth of that.

    Or within the least float8, of which the smallest latencies are multiples.
    """
    exact = {row_and_latency[0]: row_and_latency[1] for row in expected if (row_and_latency := latency_apart(row))}
    rounded: Rows = Counter()
    for row, count in actual.items():
        apart = latency_apart(row)
        expected_ms = None if apart is None else exact.get(apart[0])
        if apart is None or expected_ms is None or abs(apart[1] - expected_ms) > max(0.01 * expected_ms, 5e-324):
            rounded[row] += count
        else:
            place = 7 if len(row) == 9 else 2
            rounded[*row[:place], expected_ms, *row[place + 1 :]] += count
    return rounded


def latency_apart(row: tuple[Any, ...]) -> tuple[tuple[Any, ...], float] | None:
    """What a row's latency is of, and the latency; None where it is no row of latencies."""
    if len(row) == 9 and row[5] in ("total", "planner"):
        return (*row[:7], row[8]), row[7]
    if row[0] == "reservation_latency_ms":
        return (row[0], row[1], row[3]), row[2]
    return None


@pytest.fixture(scope="module")
def computed(loaded_url: str, events: list[ReadEvent], windows: list[Window]) -> dict[str, tuple[Rows, Rows]]:
    """What each view says and what the oracle says, as of the same instant."""
    with connect(loaded_url) as connection, connection.transaction():
        connection.execute("set transaction isolation level repeatable read")
        row = connection.execute("select now()").fetchone()
        assert row is not None
        oracle = Oracle(events, row[0])
        pairs = double_bookings(windows, row[0])
        expected = {
            "assignment_success_rate": oracle.assignment_success_rate(),
            "reservation_latency_ms": oracle.reservation_latency_ms(),
            "hold_retry_exhaustion": oracle.hold_retry_exhaustion(),
            "cutoff_triggers": oracle.cutoff_triggers(),
            "error_taxonomy": oracle.error_taxonomy(),
            "hold_activity": oracle.hold_activity(),
            "double_bookings": pairs,
            "prometheus_series": oracle.prometheus_series(Counter(pair[2] for pair in pairs)),
            "pipeline_freshness": oracle.pipeline_freshness(),
        }
        return {view: (read(connection, view), rows) for view, rows in expected.items()}


@pytest.mark.parametrize(
    "view",
    [
        "assignment_success_rate",
        "reservation_latency_ms",
        "hold_retry_exhaustion",
        "cutoff_triggers",
        "error_taxonomy",
        "hold_activity",
        "double_bookings",
        "prometheus_series",
        "pipeline_freshness",
    ],
)
def test_view_equals_oracle(computed: dict[str, tuple[Rows, Rows]], view: str) -> None:
    actual, expected = computed[view]
    assert_same(actual, expected)


def test_oracle_has_something_to_say_everywhere(computed: dict[str, tuple[Rows, Rows]]) -> None:
    """Two empty sets are equal too: the data must reach every grain, kind of row and value."""
    for view in ("assignment_success_rate", "reservation_latency_ms", "hold_retry_exhaustion", "cutoff_triggers"):
        expected = computed[view][1]
        assert {row[1] for row in expected} == set(GRAINS)
        for grain in GRAINS:
            keys = {row[4] for row in expected if row[1] == grain}
            assert {"(all)", "(none)"} < keys
            assert len(keys) > 5
    assert len({row[5] for row in computed["error_taxonomy"][1]}) == 9
    assert len({row[5] for row in computed["hold_activity"][1]}) == 6
    assert {row[5] for row in computed["cutoff_triggers"][1]} == {"HOLD_RATE_LIMIT", "CUTOFF", "MANUAL"}
    assert len({row[0] for row in computed["prometheus_series"][1]}) == 8
    assert len(computed["double_bookings"][1]) > 20
    assert {row[6] for row in computed["pipeline_freshness"][1]} == {True, False}


@pytest.mark.parametrize("time_zone", ["America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"])
def test_views_do_not_depend_on_the_time_zone_of_the_session(loaded_url: str, time_zone: str) -> None:
    """Buckets and the beginning of history are UTC's, over the hour that a session's own zone skips or repeats too."""

    def snapshot(connection: psycopg.Connection, zone: str) -> dict[str, Any]:
        connection.execute("select set_config('timezone', %s, true)", (zone,))
        return {view: read(connection, view) for view in ("assignment_success_rate", "error_taxonomy")}

    with connect(loaded_url) as connection, connection.transaction():
        connection.execute("set transaction isolation level repeatable read")
        assert snapshot(connection, time_zone) == snapshot(connection, "UTC")
