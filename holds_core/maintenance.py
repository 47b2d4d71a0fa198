"""Known maintenance: while it lasts, alerts are quiet about what it is of, except that of double bookings."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import class_row, tuple_row

from holds_core.database.queries import query
from holds_core.errors import raise_translated


@dataclass(frozen=True, kw_only=True)
class Weekly:
    """When maintenance recurs.

    Attributes:
        weekdays: ISO days of the week, 1 is Monday.
        begins_at: On each of them, by the clocks of the window's time zone: it keeps its hour when they change.
    """

    weekdays: Collection[int]
    begins_at: time


@dataclass(frozen=True, kw_only=True)
class MaintenanceWindow:
    """One window of known maintenance, and how it stands; times are UTC.

    Attributes:
        id: Names it.
        environment: It is of this environment alone.
        restaurant_id: And of this restaurant; None: of all of them.
        starts_at: None begins before this; what comes once begins then.
        lasts: How long each is.
        weekdays: ISO days on which it recurs; None: it comes once.
        begins_at: When on those days, by the clocks of ``time_zone``.
        time_zone: As in ``Europe/Berlin``.
        ends_at: After this there is none; None where no end is set.
        reason: Why.
        created_by: The database login that added it.
        created_at: When that was.
        ended_by: The login that ended it before its time.
        is_over: Whether there is nothing more to come of it.
        active_until: When the one that is going on ends; None where none is.
        next_starts_at: When the next begins; None where none is to come.
    """

    id: UUID
    environment: str
    restaurant_id: UUID | None
    starts_at: datetime
    lasts: timedelta
    weekdays: list[int] | None
    begins_at: time | None
    time_zone: str
    ends_at: datetime | None
    reason: str
    created_by: str
    created_at: datetime
    ended_by: str | None
    is_over: bool
    active_until: datetime | None
    next_starts_at: datetime | None


def add_maintenance_window(
    connection: psycopg.Connection[Any],
    *,
    lasts: timedelta,
    reason: str,
    starts_at: datetime | None = None,
    weekly: Weekly | None = None,
    time_zone: str = "UTC",
    ends_at: datetime | None = None,
    environment: str | None = None,
    restaurant_id: UUID | None = None,
) -> MaintenanceWindow:
    """Make maintenance known; return it as it stands now.

    What has happened in it already is taken out of what alerts judge, too: a window may begin, or even be over, in the
    past.

    Args:
        connection: As ``holds_operator``, or the owner.
        lasts: More than nothing, and at most 7 days.
        reason: Why; it is kept with the login that added it.
        starts_at: Aware. None: now, and of a weekly one also the one that is going on.
        weekly: None: it comes once.
        time_zone: Whose clocks a weekly one follows.
        ends_at: Aware; a weekly one goes on until then. None: until it is ended.
        environment: None: the one that this database serves.
        restaurant_id: None: every restaurant.

    Raises:
        HoldRequestError: It makes no sense; the message says why.
        HoldAccessError: This login may not.
    """
    parameters = {
        "environment": environment,
        "starts_at": starts_at,
        "lasts": lasts,
        "reason": reason,
        "restaurant_id": restaurant_id,
        "weekdays": None if weekly is None else sorted(weekly.weekdays),
        "begins_at": None if weekly is None else weekly.begins_at,
        "time_zone": time_zone,
        "ends_at": ends_at,
    }
    window_id = _value(connection, "add_maintenance_window", parameters)
    (window,) = (one for one in list_maintenance_windows(connection, with_ended=True) if one.id == window_id)
    return window


def list_maintenance_windows(
    connection: psycopg.Connection[Any], *, with_ended: bool = False
) -> list[MaintenanceWindow]:
    """Return the windows, by when they start; those that are over only where they are asked for.

    Raises:
        HoldAccessError: This login is not ``holds_operator``, nor the owner.
    """
    try:
        with connection.cursor(row_factory=class_row(MaintenanceWindow)) as cursor:
            return cursor.execute(query("list_maintenance_windows"), {"with_ended": with_ended}).fetchall()
    except psycopg.Error as error:
        raise_translated(error)


def end_maintenance_window(connection: psycopg.Connection[Any], window_id: UUID) -> bool:
    """End a window now: nothing more of it comes, and what it has covered stays covered. Repeating it is harmless.

    Returns:
        Whether there was anything to end.

    Raises:
        HoldRequestError: There is no such window.
        HoldAccessError: This login is not ``holds_operator``, nor the owner.
    """
    return bool(_value(connection, "end_maintenance_window", {"window_id": window_id}))


def in_time_zone(connection: psycopg.Connection[Any], local: datetime, time_zone: str) -> datetime:
    """Return the moment at which the clocks of a time zone show a time; an aware time is one already.

    The database's own list of time zones is asked, which is the one that weekly windows follow.

    Raises:
        HoldRequestError: There is no such time zone.
    """
    if local.tzinfo is not None:
        return local
    moment = _value(connection, "in_time_zone", {"local": local, "time_zone": time_zone})
    assert isinstance(moment, datetime)
    return moment


def _value(connection: psycopg.Connection[Any], name: str, parameters: dict[str, Any]) -> Any:
    try:
        with connection.cursor(row_factory=tuple_row) as cursor:
            row = cursor.execute(query(name), parameters).fetchone()
    except psycopg.Error as error:
        raise_translated(error)
    assert row is not None
    return row[0]
