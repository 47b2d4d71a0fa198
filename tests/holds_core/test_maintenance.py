"""Known maintenance comes when it was said to, by the clocks that were named, and is the operator's to say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from holds_core.errors import HoldAccessError, HoldRequestError
from holds_core.maintenance import (
    MaintenanceWindow,
    Weekly,
    add_maintenance_window,
    end_maintenance_window,
    in_time_zone,
    list_maintenance_windows,
)

HOUR = timedelta(hours=1)

Occurrences = list[tuple[datetime, datetime]]


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _occurrences(connection: psycopg.Connection, window_id: UUID, start: str, end: str) -> Occurrences:
    return connection.execute(
        "select starts_at, ends_at from holds.maintenance_occurrences(%s, %s) where window_id = %s order by starts_at",
        (_at(start), _at(end), window_id),
    ).fetchall()


def _add(connection: psycopg.Connection, **changes: Any) -> MaintenanceWindow:
    values: dict[str, Any] = {"lasts": HOUR, "reason": "upgrade"} | changes
    return add_maintenance_window(connection, **values)


def _weekly(connection: psycopg.Connection, days: list[int], at: str, zone: str, **changes: Any) -> UUID:
    values = {"lasts": 2 * HOUR, "starts_at": _at("2020-01-01"), "time_zone": zone} | changes
    return _add(connection, weekly=Weekly(weekdays=days, begins_at=time.fromisoformat(at)), **values).id


def test_weekly_window_keeps_its_hour_when_clocks_change(connection: psycopg.Connection) -> None:
    """02:00 in Berlin is 01:00 UTC in winter and 00:00 in summer, and lasts two hours on every day."""
    window = _weekly(connection, [1], "02:00", "Europe/Berlin")

    assert _occurrences(connection, window, "2026-03-20", "2026-04-07") == [
        (_at("2026-03-23T01:00"), _at("2026-03-23T03:00")),
        (_at("2026-03-30T00:00"), _at("2026-03-30T02:00")),
        (_at("2026-04-06T00:00"), _at("2026-04-06T02:00")),
    ]


def test_hour_that_clocks_skip_begins_later_and_the_next_week_is_as_usual(connection: psycopg.Connection) -> None:
    """There is no 02:30 on the last Sunday of March; a window that begins to count on that day is no exception."""
    window = _weekly(connection, [7], "02:30", "Europe/Berlin", starts_at=_at("2026-03-29"))

    assert [starts for starts, _ in _occurrences(connection, window, "2026-03-20", "2026-04-07")] == [
        _at("2026-03-29T01:30"),
        _at("2026-04-05T00:30"),
    ]


def test_hour_that_comes_twice_is_the_second(connection: psycopg.Connection) -> None:
    """One maintenance, not two, on the day that has 25 hours."""
    window = _weekly(connection, [7], "02:30", "Europe/Berlin")

    assert _occurrences(connection, window, "2026-10-24", "2026-10-31") == [
        (_at("2026-10-25T01:30"), _at("2026-10-25T03:30"))
    ]


# Clocks that go back at midnight, skip a day, or change by half an hour; dates whose rules no release revises any more.
ZONES = (
    "UTC",
    "Africa/Casablanca",
    "America/Havana",
    "America/New_York",
    "America/Santiago",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Pacific/Apia",
)


def _expected(weekdays: set[int], at: time, zone: str, lasts: timedelta, start: datetime, end: datetime) -> Occurrences:
    """The same by Python's calendar: look at every day, however far, and keep what touches the stretch."""
    found = []
    for day in range(-12, (end - start).days + 12):
        date = (start + timedelta(days=day)).date()
        if date.isoweekday() not in weekdays:
            continue
        local = datetime.combine(date, at, ZoneInfo(zone))
        # Before a gap, or after what came twice: the smaller offset of the two is the right one for both.
        offset = min(local.replace(fold=fold).utcoffset() or timedelta() for fold in (0, 1))
        begins = datetime.combine(date, at, UTC) - offset
        if begins < end and begins + lasts > start:
            found.append((begins, begins + lasts))
    return found


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    zone=st.sampled_from(ZONES),
    weekdays=st.sets(st.integers(1, 7), min_size=1),
    at=st.builds(time, st.sampled_from([0, 1, 2, 3, 12, 22, 23]), st.sampled_from([0, 30, 59])),
    lasts=st.timedeltas(timedelta(minutes=1), timedelta(days=7)),
    start=st.timedeltas(timedelta(), timedelta(days=6 * 365)).map(lambda past: _at("2009-01-01") + past),
    length=st.timedeltas(timedelta(microseconds=1), timedelta(days=40)),
)
@example(  # The clocks went back from 00:01 on Sunday to 23:01 on Saturday; it is asked for from within that minute.
    zone="America/St_Johns",
    weekdays={6},
    at=time(23, 30),
    lasts=HOUR,
    start=_at("2010-11-07T03:30:30"),
    length=HOUR,
)
def test_weekly_window_is_what_the_calendar_says(
    connection: psycopg.Connection,
    zone: str,
    weekdays: set[int],
    at: time,
    lasts: timedelta,
    start: datetime,
    length: timedelta,
) -> None:
    """Whatever stretch is asked for, in any time zone: each occurrence that touches it, and no other."""
    with connection.transaction(force_rollback=True):
        add_maintenance_window(
            connection,
            lasts=lasts,
            reason="any",
            starts_at=_at("2000-01-01"),
            weekly=Weekly(weekdays=weekdays, begins_at=at),
            time_zone=zone,
        )
        found = connection.execute(
            "select starts_at, ends_at from holds.maintenance_occurrences(%s, %s) order by starts_at",
            (start, start + length),
        ).fetchall()

    assert found == sorted(_expected(weekdays, at, zone, lasts, start, start + length))


def test_day_is_24_hours_whoever_asks(connection: psycopg.Connection) -> None:
    """What a login's own time zone calls a day changes nothing."""
    connection.execute("set time zone 'Europe/Berlin'")
    window = add_maintenance_window(
        connection, lasts=timedelta(days=1), reason="stock-taking", starts_at=_at("2026-03-28T12:00")
    )

    assert _occurrences(connection, window.id, "2026-03-01", "2026-05-01") == [
        (_at("2026-03-28T12:00"), _at("2026-03-29T12:00"))
    ]


def test_stretch_is_half_open(connection: psycopg.Connection) -> None:
    """What ends as it begins, or begins as it ends, is outside."""
    window = _add(connection, starts_at=_at("2026-01-01T10:00")).id

    assert _occurrences(connection, window, "2026-01-01T11:00", "2026-01-01T12:00") == []
    assert _occurrences(connection, window, "2026-01-01T09:00", "2026-01-01T10:00") == []
    assert len(_occurrences(connection, window, "2026-01-01T10:59", "2026-01-01T11:00")) == 1


def test_weekly_window_begins_and_ends_as_a_whole(connection: psycopg.Connection) -> None:
    """Nothing before it starts, nothing after it ends, and the one at its end is cut off there."""
    window = _weekly(
        connection, [1, 4], "02:00", "UTC", starts_at=_at("2026-01-05T02:00"), ends_at=_at("2026-01-12T03:00")
    )

    assert _occurrences(connection, window, "2025-12-01", "2026-03-01") == [
        (_at("2026-01-05T02:00"), _at("2026-01-05T04:00")),
        (_at("2026-01-08T02:00"), _at("2026-01-08T04:00")),
        (_at("2026-01-12T02:00"), _at("2026-01-12T03:00")),
    ]


def test_window_that_begins_now_is_active_until_it_is_ended(connection: psycopg.Connection) -> None:
    """What it has covered stays covered; ending it again does nothing."""
    window = _add(connection, lasts=2 * HOUR)
    assert window.active_until == window.starts_at + 2 * HOUR
    assert (window.environment, window.created_by, window.is_over) == ("dev", connection.info.user, False)

    assert end_maintenance_window(connection, window.id) is True
    assert end_maintenance_window(connection, window.id) is False

    assert list_maintenance_windows(connection) == []
    (ended,) = list_maintenance_windows(connection, with_ended=True)
    assert (ended.active_until, ended.is_over, ended.ended_by) == (None, True, connection.info.user)
    assert ended.ends_at is not None
    (occurrence,) = connection.execute(
        "select starts_at, ends_at from holds.maintenance_occurrences(%s, %s)",
        (window.starts_at - HOUR, window.starts_at + HOUR),
    )
    assert occurrence == (window.starts_at, ended.ends_at)


def test_window_that_is_ended_before_it_begins_never_comes(connection: psycopg.Connection) -> None:
    """Neither what was to come once nor any of what was to come every week."""
    now = datetime.now(UTC)
    once = _add(connection, starts_at=now + 24 * HOUR)
    later = (now + 24 * HOUR).isoweekday()
    weekly = add_maintenance_window(
        connection, lasts=HOUR, reason="backups", weekly=Weekly(weekdays=[later], begins_at=now.time())
    )
    assert once.next_starts_at == now + 24 * HOUR
    assert weekly.next_starts_at is not None

    assert end_maintenance_window(connection, once.id)
    assert end_maintenance_window(connection, weekly.id)

    rows = connection.execute(
        "select 1 from holds.maintenance_occurrences(%s, %s)", (now, now + 1000 * HOUR)
    ).fetchall()
    assert rows == []


def test_weekly_window_that_is_added_while_it_is_on_is_active(connection: psycopg.Connection) -> None:
    """From its usual beginning, and again in a week; what is over by then is not added for the past."""
    now = datetime.now(UTC)
    running, over = now - HOUR, now - 3 * HOUR
    on = add_maintenance_window(
        connection,
        lasts=2 * HOUR,
        reason="backups",
        weekly=Weekly(weekdays=[running.isoweekday()], begins_at=running.time()),
    )
    off = add_maintenance_window(
        connection,
        lasts=2 * HOUR,
        reason="backups",
        weekly=Weekly(weekdays=[over.isoweekday()], begins_at=over.time()),
    )

    assert on.active_until == running + 2 * HOUR
    assert on.next_starts_at == running + timedelta(days=7)
    assert (off.active_until, off.next_starts_at) == (None, over + timedelta(days=7))
    past = connection.execute(
        "select window_id from holds.maintenance_occurrences(%s, %s)", (now - 100 * HOUR, now)
    ).fetchall()
    assert past == [(on.id,)]


def test_past_and_overlapping_windows_each_count(connection: psycopg.Connection) -> None:
    """What nobody made known in time can be made known later; windows know nothing of each other."""
    yesterday = datetime.now(UTC) - 24 * HOUR
    restaurant = uuid4()
    one = add_maintenance_window(connection, lasts=2 * HOUR, reason="forgotten", starts_at=yesterday)
    other = add_maintenance_window(
        connection, lasts=2 * HOUR, reason="moved", starts_at=yesterday + HOUR, restaurant_id=restaurant
    )

    assert (one.is_over, other.is_over) == (True, True)
    assert list_maintenance_windows(connection) == []
    assert connection.execute(
        "select window_id, environment, restaurant_id from holds.maintenance_occurrences(%s, %s) order by starts_at",
        (yesterday + HOUR, yesterday + 2 * HOUR),
    ).fetchall() == [(one.id, "dev", None), (other.id, "dev", restaurant)]


def test_local_time_is_the_named_time_zones(connection: psycopg.Connection) -> None:
    """A time with an offset is a moment already."""
    local = datetime.fromisoformat("2026-07-01T22:00")

    assert in_time_zone(connection, local, "America/New_York") == _at("2026-07-02T02:00")
    assert in_time_zone(connection, local.replace(tzinfo=UTC), "America/New_York") == _at("2026-07-01T22:00")
    with pytest.raises(HoldRequestError, match="Mars"):
        in_time_zone(connection, local, "Mars")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"lasts": timedelta()}, "at most 7 days"),
        ({"lasts": timedelta(days=8)}, "at most 7 days"),
        ({"reason": " "}, "needs a reason"),
        ({"time_zone": "Mars"}, "no time zone Mars"),
        ({"environment": "test"}, "dev, staging or prod"),
        ({"weekly": Weekly(weekdays=[], begins_at=time(2))}, "days of the week"),
        ({"weekly": Weekly(weekdays=[8], begins_at=time(2))}, "days of the week"),
        ({"starts_at": _at("2026-01-02"), "ends_at": _at("2026-01-01")}, "ends after that"),
    ],
)
def test_window_that_makes_no_sense_is_refused(
    connection: psycopg.Connection, changes: dict[str, Any], said: str
) -> None:
    """In words, and nothing is kept of it."""
    with pytest.raises(HoldRequestError, match=said):
        _add(connection, **changes)

    assert list_maintenance_windows(connection, with_ended=True) == []


def test_unknown_window_cannot_be_ended(connection: psycopg.Connection) -> None:
    """A wrong id is no window that is over."""
    with pytest.raises(HoldRequestError, match="no maintenance window"):
        end_maintenance_window(connection, uuid4())


@pytest.mark.parametrize("role", ["holds_app", "analytics_reader"])
def test_only_the_operator_makes_maintenance_known(connection: psycopg.Connection, role: str) -> None:
    """Nobody else may keep alerts quiet, nor see who did."""
    operations: list[Callable[[], object]] = [
        lambda: add_maintenance_window(connection, lasts=HOUR, reason="mine"),
        lambda: end_maintenance_window(connection, uuid4()),
        lambda: list_maintenance_windows(connection),
    ]
    connection.execute(f"set role {role}")
    for operation in operations:
        with pytest.raises(HoldAccessError):
            operation()

    connection.execute("set role holds_operator")
    window = _add(connection)
    assert [one.id for one in list_maintenance_windows(connection)] == [window.id]
    assert end_maintenance_window(connection, window.id)
