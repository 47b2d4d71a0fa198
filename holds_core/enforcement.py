"""The kill switch of strict conflicts, and the proof that overlapping holds are refused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import psycopg
from psycopg.rows import class_row, dict_row, tuple_row

from holds_core.database.queries import query
from holds_core.errors import EnforcementError, MigrationError, raise_translated

OnOverlap = Literal["refuse", "grandfather"]
"""What becoming strict does about live windows that overlap already: refuse, or let them end by themselves."""

MOST_APART = 100
"""So many restaurants that differ from the whole are named by a status; the rest are counted."""


@dataclass(frozen=True, kw_only=True)
class RestaurantApart:
    """A restaurant that is set otherwise than the whole.

    Attributes:
        restaurant_id: Which.
        is_strict: Whether its overlapping holds are refused, while strict conflicts are on at all.
        is_killed: Whether the kill switch did it; else a change that was approved, or the owner.
        changed_at: Since when, UTC.
        changed_by: Who; None where that was before there was a trail.
        reason: Why.
    """

    restaurant_id: UUID
    is_strict: bool
    is_killed: bool
    changed_at: datetime
    changed_by: str | None
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class EnforcementStatus:
    """The switch, and what is beside the constraint.

    Attributes:
        is_enabled: Whether strict conflicts are on at all; some restaurants may be apart from that.
        strict_percentage: For how many in a hundred restaurants, while they are.
        changed_at: When either was changed last, UTC; None where they are as they were made.
        changed_by: The database login that did.
        reason: Why.
        unenforced_window_count: Live windows made while they were not strict.
        overlap_count: How many live windows of others those overlap.
        restaurants_apart: Restaurants that are set otherwise than the whole, those that are off first; the
            :data:`MOST_APART` that changed last.
        apart_count: How many there are.
    """

    is_enabled: bool
    strict_percentage: int
    changed_at: datetime | None
    changed_by: str | None
    reason: str | None
    unenforced_window_count: int
    overlap_count: int
    restaurants_apart: tuple[RestaurantApart, ...] = ()
    apart_count: int = 0

    @property
    def is_everywhere(self) -> bool:
        """Whether later overlapping holds are refused for every restaurant."""
        return self.is_enabled and self.strict_percentage == 100 and self.apart_count == 0


def is_holds_strict_conflicts_enabled(connection: psycopg.Connection[Any]) -> bool:
    """Tell whether overlapping holds are refused, as the database has it."""
    return bool(_value(connection, "is_holds_strict_conflicts_enabled"))


def enforcement_status(connection: psycopg.Connection[Any]) -> EnforcementStatus:
    """Return the state of the switch, who changed it last and why, which restaurants differ, and what overlaps."""
    try:
        with connection.cursor(row_factory=class_row(EnforcementStatus)) as cursor:
            status = cursor.execute(query("enforcement_status")).fetchone()
        with connection.cursor(row_factory=dict_row) as cursor:
            apart = cursor.execute(query("restaurants_apart"), {"limit": MOST_APART}).fetchall()
    except psycopg.Error as error:
        raise_translated(error)
    if status is None:
        raise MigrationError("The settings of this database are missing; run: holdwatch db migrate")
    counts = [row.pop("restaurant_count") for row in apart]
    return replace(
        status,
        restaurants_apart=tuple(RestaurantApart(**row) for row in apart),
        apart_count=max(counts, default=0),
    )


def set_hold_conflict_enforcement(
    connection: psycopg.Connection[Any], *, enabled: bool, reason: str, on_overlap: OnOverlap = "refuse"
) -> bool:
    """The kill switch: strict conflicts off for the whole database, or back on; return what is in force now.

    Off needs nobody's approval and takes effect at once: later holds that overlap are stored unenforced, and recorded
    as what strict mode would have refused. On brings back what is approved, and waits for holds that are being placed.
    Either is recorded as ``capacity.enforcement.changed``, and on the trail of the flag ``holds.strictConflicts``.

    Args:
        connection: As ``holds_operator``, or the owner.
        enabled: On or off.
        reason: Why; it is recorded with the login that switched.
        on_overlap: What to do where live windows overlap that were made meanwhile. ``grandfather`` lets them stay:
            later holds are refused beside them, and each comes under the constraint once it overlaps nothing.

    Raises:
        EnforcementError: Live windows overlap, so it cannot be switched on.
        HoldCutoffError: Holds that were being placed did not end in time, so it was not switched on.
    """
    parameters = {"enabled": enabled, "reason": reason, "on_overlap": on_overlap}
    return bool(_change(connection, "set_hold_conflict_enforcement", parameters))


def switch_restaurant_enforcement(
    connection: psycopg.Connection[Any],
    *,
    restaurant_id: UUID,
    enabled: bool,
    reason: str,
    on_overlap: OnOverlap = "refuse",
) -> bool:
    """Switch strict conflicts off for one restaurant, or take that back; the kill switch, for it alone.

    Args:
        connection: As ``holds_operator``, or the owner.
        restaurant_id: The restaurant.
        enabled: False takes effect at once. True brings back what is approved for it, or its bucket.
        reason: Why; it is recorded with the login that switched.
        on_overlap: See :func:`set_hold_conflict_enforcement`.

    Returns:
        Whether it is strict now.

    Raises:
        HoldsError: As :func:`set_hold_conflict_enforcement`.
    """
    parameters = {"restaurant_id": restaurant_id, "enabled": enabled, "reason": reason, "on_overlap": on_overlap}
    return bool(_change(connection, "switch_restaurant_enforcement", parameters))


def set_hold_conflict_rollout(
    connection: psycopg.Connection[Any], *, percentage: int, reason: str, on_overlap: OnOverlap = "refuse"
) -> int:
    """Make so many in a hundred restaurants strict, by bucket; return what is in force now.

    The owner's alone, without approval, and on the trail as such; people ask for a change of the flag
    ``holds.strictConflicts``.

    Raising it adds restaurants and removes none (:func:`holds_core.rollout.rollout_bucket`). Raises as
    :func:`set_hold_conflict_enforcement` does, and HoldRequestError where it is not 0 to 100.
    """
    parameters = {"percentage": percentage, "reason": reason, "on_overlap": on_overlap}
    return int(_change(connection, "set_hold_conflict_rollout", parameters))


def set_restaurant_enforcement(
    connection: psycopg.Connection[Any],
    *,
    restaurant_id: UUID,
    is_strict: bool | None,
    reason: str,
    on_overlap: OnOverlap = "refuse",
) -> bool:
    """Make one restaurant strict or not, whatever its bucket; None gives it back to its bucket.

    The owner's alone, as :func:`set_hold_conflict_rollout`.

    Returns:
        Whether it is strict now: the kill switch is above it.

    Raises:
        HoldsError: As :func:`set_hold_conflict_enforcement`.
    """
    parameters = {"restaurant_id": restaurant_id, "is_strict": is_strict, "reason": reason, "on_overlap": on_overlap}
    return bool(_change(connection, "set_restaurant_enforcement", parameters))


def set_hold_rate_limit(
    connection: psycopg.Connection[Any],
    *,
    max_holds: int | None,
    per_seconds: float = 60,
    restaurant_id: UUID | None = None,
) -> None:
    """Limit how many holds a restaurant may place: a bucket of ``max_holds`` that refills in ``per_seconds``.

    The owner's alone, without approval, and on the trail as such; people ask for a change of the flag
    ``holds.rateLimit``.

    Args:
        connection: As the owner.
        max_holds: None takes the limit away; for one restaurant, gives it back to the default.
        per_seconds: At most a day; to the millisecond.
        restaurant_id: One restaurant; None sets the default of all.

    Raises:
        HoldRequestError: The limit makes no sense.
    """
    parameters = {"max_holds": max_holds, "per_seconds": per_seconds, "restaurant_id": restaurant_id}
    _change(connection, "set_hold_rate_limit", parameters)


def detect_double_bookings(connection: psycopg.Connection[Any]) -> int:
    """Record the double bookings made since the last call, each once; return how many are new.

    Looks at the rows themselves, whatever the constraint and the switch say, and at what has ended meanwhile too.
    """
    return int(_change(connection, "detect_double_bookings", {}))


def enforcement_problems(connection: psycopg.Connection[Any]) -> list[str]:
    """Return every reason to doubt that overlapping holds are refused; an empty list means they are.

    Looks at the constraint, its index and the switch, and tries to double-book a table, which leaves nothing behind.
    """
    return _problems(connection, "enforcement_problems")


def guard_problems(connection: psycopg.Connection[Any]) -> list[str]:
    """Return those of :func:`enforcement_problems` that no switch mends: of constraint, index and probe."""
    return _problems(connection, "guard_problems")


def assert_enforced(connection: psycopg.Connection[Any]) -> None:
    """Make sure that overlapping holds are refused; for the start-up of whatever places them.

    Raises:
        EnforcementError: They are not, or not surely; ``problems`` says why.
        MigrationError: The database lacks the schema.
    """
    if problems := enforcement_problems(connection):
        raise EnforcementError(problems)


def _problems(connection: psycopg.Connection[Any], name: str) -> list[str]:
    try:
        with connection.cursor(row_factory=tuple_row) as cursor:
            return [problem for (problem,) in cursor.execute(query(name))]
    except psycopg.Error as error:
        raise_translated(error)


def _change(connection: psycopg.Connection[Any], name: str, parameters: dict[str, Any]) -> Any:
    try:
        return _value(connection, name, parameters)
    except psycopg.Error as error:
        raise_translated(error)


def _value(connection: psycopg.Connection[Any], name: str, parameters: dict[str, Any] | None = None) -> Any:
    with connection.cursor(row_factory=tuple_row) as cursor:
        row = cursor.execute(query(name), parameters).fetchone()
    assert row is not None
    return row[0]
