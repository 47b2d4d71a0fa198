"""Strict conflicts restaurant by restaurant, and switching on over overlaps that exist."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holds_core import EnforcementError, HoldClient, HoldConflictError, HoldRequestError, set_hold_conflict_enforcement
from holds_core.database.connections import connect
from holds_core.enforcement import (
    detect_double_bookings,
    enforcement_problems,
    enforcement_status,
    set_hold_conflict_rollout,
    set_restaurant_enforcement,
    switch_restaurant_enforcement,
)
from holds_core.rollout import is_in_rollout, rollout_bucket
from tests.holds_core.conftest import EVENING, MakeRequest, event_counts

FLAG = "holds.strictConflicts"


def restaurant_in_bucket(below: int, *, inside: bool) -> UUID:
    """Return a restaurant whose bucket is below a percentage, or is not."""
    return next(one for one in iter(uuid4, None) if is_in_rollout(FLAG, one, below) is inside)


def test_bucket_is_the_same_in_python_and_in_sql(connection: psycopg.Connection) -> None:
    """For many restaurants and flags."""
    pairs = [(flag, uuid4()) for flag in (FLAG, "other", "größer") for _ in range(200)]
    for flag, restaurant_id in pairs:
        assert connection.execute("select holds.rollout_bucket(%s, %s)", (flag, restaurant_id)).fetchone() == (
            rollout_bucket(flag, restaurant_id),
        )


@given(st.uuids(), st.integers(0, 100), st.integers(0, 100))
def test_raising_a_percentage_removes_nobody(restaurant_id: UUID, one: int, two: int) -> None:
    """Whoever is in at a percentage is in at every higher one; nobody at 0, everybody at 100."""
    assert is_in_rollout(FLAG, restaurant_id, min(one, two)) <= is_in_rollout(FLAG, restaurant_id, max(one, two))
    assert not is_in_rollout(FLAG, restaurant_id, 0)
    assert is_in_rollout(FLAG, restaurant_id, 100)


def test_rollout_is_strict_for_its_share_alone(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """One restaurant refuses an overlap, the other records what it would have refused."""
    set_hold_conflict_rollout(connection, percentage=30, reason="stage 1")
    strict, lenient = (restaurant_in_bucket(30, inside=inside) for inside in (True, False))
    table, other = uuid4(), uuid4()
    client.place(make_request(table, restaurant_id=strict))
    client.place(make_request(other, restaurant_id=lenient))

    with pytest.raises(HoldConflictError):
        client.place(make_request(table, restaurant_id=strict))
    assert not client.place(make_request(other, restaurant_id=lenient)).is_enforced

    assert enforcement_problems(connection) == ["strict conflicts are on for 30 % of the restaurants only"]
    assert event_counts(connection)["capacity.hold.strict_conflict"] == 2


def test_raising_the_rollout_asks_about_overlaps_of_those_it_adds(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """An overlap of a restaurant that stays lenient is in nobody's way."""
    set_hold_conflict_rollout(connection, percentage=10, reason="stage 1")
    late = next(one for one in iter(uuid4, None) if rollout_bucket(FLAG, one) == 80)
    table = uuid4()
    for _ in range(2):
        client.place(make_request(table, restaurant_id=late))

    assert set_hold_conflict_rollout(connection, percentage=50, reason="stage 2") == 50
    with pytest.raises(EnforcementError, match="overlaps of live windows"):
        set_hold_conflict_rollout(connection, percentage=100, reason="stage 3")
    assert enforcement_status(connection).strict_percentage == 50
    set_hold_conflict_rollout(connection, percentage=100, reason="stage 3", on_overlap="grandfather")
    with pytest.raises(HoldConflictError):
        client.place(make_request(table, restaurant_id=late))
    with pytest.raises(HoldRequestError):
        set_hold_conflict_rollout(connection, percentage=101, reason="too far")


def test_one_restaurant_can_differ_from_its_bucket(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """Its own setting goes before the percentage; the kill switch before both."""
    restaurant_id = make_request(uuid4()).restaurant_id
    assert (
        set_restaurant_enforcement(connection, restaurant_id=restaurant_id, is_strict=False, reason="moving") is False
    )
    table = uuid4()
    client.place(make_request(table))
    overlapping = client.place(make_request(table))
    assert not overlapping.is_enforced
    assert enforcement_problems(connection) == [f"strict conflicts are off for restaurant {restaurant_id}"]

    with pytest.raises(EnforcementError):
        set_restaurant_enforcement(connection, restaurant_id=restaurant_id, is_strict=None, reason="moved")
    client.release(overlapping.id)
    assert set_restaurant_enforcement(connection, restaurant_id=restaurant_id, is_strict=None, reason="moved") is True
    assert enforcement_problems(connection) == []
    set_restaurant_enforcement(connection, restaurant_id=restaurant_id, is_strict=True, reason="sure")
    set_hold_conflict_enforcement(connection, enabled=False, reason="kill switch")
    assert not client.place(make_request(table)).is_enforced


def test_restaurants_that_differ_are_named_within_a_bound(connection: psycopg.Connection) -> None:
    """Who, when and why is that of what is in force, not of what is asked for; those like the whole are left out."""
    off = [uuid4() for _ in range(7)]
    for restaurant in off[:-1]:
        switch_restaurant_enforcement(connection, restaurant_id=restaurant, enabled=False, reason="moving")
    set_restaurant_enforcement(connection, restaurant_id=off[-1], is_strict=False, reason="too small")
    set_restaurant_enforcement(connection, restaurant_id=uuid4(), is_strict=True, reason="as all")

    (problem,) = enforcement_problems(connection)
    assert problem.startswith("strict conflicts are off for 7 restaurants: ")
    assert (problem.count("-"), problem[-3:]) == (5 * 4, ", …")
    status = enforcement_status(connection)
    assert (status.is_enabled, status.is_everywhere, status.apart_count) == (True, False, 7)
    assert [one.restaurant_id for one in status.restaurants_apart] == off[::-1]
    assert [(one.is_killed, one.reason) for one in status.restaurants_apart] == [
        (False, "too small"), *[(True, "moving")] * 6,
    ]  # fmt: skip
    assert {one.changed_by for one in status.restaurants_apart} == {connection.info.user}

    set_hold_conflict_rollout(connection, percentage=0, reason="none")
    (strict,) = enforcement_status(connection).restaurants_apart
    assert (strict.is_strict, strict.reason) == (True, "as all")


def test_grandfathered_overlap_is_promoted_when_it_ends(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """Three on one table: strict again, nobody else comes in, and the last one left is under the constraint."""
    table = uuid4()
    set_hold_conflict_enforcement(connection, enabled=False, reason="drill")
    holds = [client.place(make_request(table)) for _ in range(3)]
    set_hold_conflict_enforcement(connection, enabled=True, reason="over", on_overlap="grandfather")

    status = enforcement_status(connection)
    assert (status.is_enabled, status.reason, status.unenforced_window_count) == (True, "over", 2)
    assert status.overlap_count == 4
    with pytest.raises(HoldConflictError):
        client.place(make_request(table))

    client.release(holds[0].id)
    assert enforcement_status(connection).unenforced_window_count == 2
    client.release(holds[2].id)
    assert enforcement_status(connection).unenforced_window_count == 0
    assert connection.execute("select is_enforced from holds.table_holds where id = %s", (holds[1].id,)).fetchone() == (
        True,
    )
    assert enforcement_problems(connection) == []


def test_sweeper_promotes_what_expiry_has_freed(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """The other one's time is over, and nobody released it."""
    table = uuid4()
    set_hold_conflict_enforcement(connection, enabled=False, reason="drill")
    short = client.place(make_request(table, time_to_live=timedelta(seconds=0.3)))
    client.place(make_request(table))
    set_hold_conflict_enforcement(connection, enabled=True, reason="over", on_overlap="grandfather")
    connection.execute("select pg_sleep_until(%s)", (short.expires_at,))

    assert client.expire() == 1
    assert enforcement_status(connection).unenforced_window_count == 0


def test_lenient_hold_does_not_wait_for_somebody_who_is_stuck(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest, database_url: str
) -> None:
    """With the switch off, a table taken by a transaction that does not end costs a quarter of a second."""
    request = make_request(uuid4())
    set_hold_conflict_enforcement(connection, enabled=False, reason="drill")
    with connect(database_url, autocommit=False) as stuck:
        stuck.execute(
            "select holds.create_table_hold(%s, array[%s], %s, %s, 'k')",
            (request.restaurant_id, request.table_ids[0], request.starts_at, request.ends_at),
        )
        started = time.monotonic()
        hold = client.place(request)
    assert not hold.is_enforced
    assert time.monotonic() - started < 1.9  # the strict wait is 2 s


def test_detector_says_each_pair_once_whatever_became_of_it(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """Two overlaps made while the switch was off: one over already, one live; both are said, and never again."""
    set_hold_conflict_enforcement(connection, enabled=False, reason="drill")
    ended, live = uuid4(), uuid4()
    first = client.place(make_request(ended))
    client.release(client.place(make_request(ended)).id)
    client.release(first.id)
    # After one another, and beside one another: no pairs.
    client.place(make_request(ended))
    client.place(make_request(live))
    client.place(make_request(live, starts=2))
    client.place(make_request(live))

    assert detect_double_bookings(connection) == 2
    assert detect_double_bookings(connection) == 0

    events = connection.execute(
        "select severity, restaurant_id, context ->> 'tableId', context ->> 'holdId', context ->> 'otherHoldId',"
        " (context -> 'overlap' ->> 'startsAt')::timestamptz"
        " from holds.observability_events where event_type = 'capacity.hold.double_booking'"
    ).fetchall()
    assert {UUID(row[2]) for row in events} == {ended, live}
    assert {row[0] for row in events} == {"critical"}
    assert {row[5] for row in events} == {EVENING}
    assert all(row[1] is not None and row[3] != row[4] for row in events)


def test_detector_does_not_trust_the_constraint(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """Somebody has dropped it: holds overlap under the name of enforced ones, and are found."""
    connection.execute("alter table holds.table_hold_windows drop constraint table_hold_windows_no_overlap")
    request = make_request(uuid4())
    hold = client.place(request)
    connection.execute(
        "insert into holds.table_hold_windows (hold_id, restaurant_id, table_id, owner_id, held_during)"
        " select hold_id, restaurant_id, table_id, gen_random_uuid(), held_during from holds.table_hold_windows"
        " where hold_id = %s",
        (hold.id,),
    )

    assert detect_double_bookings(connection) == 1


def test_detector_says_later_what_could_not_be_recorded(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """Its events are refused for longer than any look back: the pair is said once they are taken."""
    set_hold_conflict_enforcement(connection, enabled=False, reason="drill")
    table = uuid4()
    for _ in range(2):
        client.place(make_request(table))
    connection.execute("update holds.table_hold_windows set created_at = created_at - interval '3 hours'")
    connection.execute("alter table holds.observability_events add constraint never check (false) not valid")
    for _ in range(3):
        assert detect_double_bookings(connection) == 0
    connection.execute("alter table holds.observability_events drop constraint never")

    assert detect_double_bookings(connection) == 1
    assert detect_double_bookings(connection) == 0


def test_detector_waits_for_transactions_that_are_not_over(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest, database_url: str
) -> None:
    """A hold placed now and committed late is looked at, however late; until then nothing after it is left behind."""
    set_hold_conflict_enforcement(connection, enabled=False, reason="drill")
    request = make_request(uuid4())
    client.place(request)
    for _ in range(3):
        detect_double_bookings(connection)

    with connect(database_url, autocommit=False) as late:
        late.execute(
            "select holds.create_table_hold(%s, array[%s], %s, %s, 'late')",
            (request.restaurant_id, request.table_ids[0], request.starts_at, request.ends_at),
        )
        (placed_at,) = late.execute("select max(created_at) from holds.table_hold_windows").fetchone() or (None,)
        for _ in range(3):
            assert detect_double_bookings(connection) == 0
        assert not checked_past(connection, placed_at)
        late.commit()

    assert detect_double_bookings(connection) == 1
    assert detect_double_bookings(connection) == 0
    # A transaction of another database of the server, such as another test's, holds the detector back as well.
    deadline = time.monotonic() + 60
    while not checked_past(connection, placed_at):
        assert time.monotonic() < deadline
        assert detect_double_bookings(connection) == 0


def checked_past(connection: psycopg.Connection, moment: datetime) -> bool:
    """Tell whether the detector never looks again at what was placed at or before a moment.

    Compared by the database: before the first whole pass the mark is -infinity, which Python has no value for.
    """
    row = connection.execute("select checked_until > %s from holds.double_booking_checks", (moment,)).fetchone()
    assert row is not None
    return bool(row[0])


def test_one_restaurants_overlap_does_not_stop_another(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest, restaurant_id: UUID
) -> None:
    """Whose overlaps were grandfathered is strict already: becoming strict is asked of those alone that become it."""
    set_hold_conflict_rollout(connection, percentage=0, reason="start")
    table = uuid4()
    for _ in range(2):
        client.place(make_request(table))
    set_restaurant_enforcement(
        connection, restaurant_id=restaurant_id, is_strict=True, reason="first", on_overlap="grandfather"
    )
    other = uuid4()

    assert set_restaurant_enforcement(connection, restaurant_id=other, is_strict=True, reason="second")
    set_hold_conflict_rollout(connection, percentage=100, reason="all")
    with pytest.raises(EnforcementError):
        set_restaurant_enforcement(connection, restaurant_id=restaurant_id, is_strict=True, reason="again")
