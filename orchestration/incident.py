"""Makes up an incident, and the ninety days before it: for pictures of the dashboards, and for who learns to read them.

The story, told backwards from its end (``until``, half past eight in the evening of the restaurants):

- For ninety days bookings grow, with a rush at lunch and at dinner; two bad evenings lie behind, 27 and 61 days ago.
- 11 hours before the end the database is under maintenance for an hour, which was announced.
- 4 h 10 min before the end a new release goes out. Its retries make the contention worse, requests wait for each other,
  and ten minutes later somebody switches strict conflicts off, to let the bookings through. They go through: three
  tables are booked twice, and a flag that counts on the switch is unsafe. Limits and timeouts strike, staff book by
  hand, a pipeline run fails.
- 75 min before the end strict conflicts are on again. It gets better, and is not over.

Everything is at fixed distances from ``until``, and the same values make the same events.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

import numpy as np
import numpy.typing as npt
import psycopg

from holds_core.database.migrations import ensure_event_partitions
from holds_core.events.writer import EventWriter, WriteResult

_NAMESPACE = UUID("0d1f2f0e-5a41-4c1c-9d0a-6a0f5b1c7e52")
_Floats = npt.NDArray[np.float64]

MINUTES_A_DAY = 1440
NOW_IN_THE_EVENING = 20 * 60 + 30
"""What the restaurants' clocks say at the end, in minutes since midnight."""

BEGINS, EASES = 240, 75
"""Minutes before the end at which the trouble begins, and at which strict conflicts are on again."""

MAINTENANCE_BEGINS, MAINTENANCE_LASTS = 11 * 60, 60
EARLIER_INCIDENTS_DAYS = (27, 61)
DETAILED_DAYS = 2
"""Before that, holds have no events of their own: no view shows them by the minute."""

BATCH = 20_000

# Of a day's bookings, by the restaurants' hour: lunch and dinner.
_HOURS = np.array([2, 1, 1, 1, 1, 1, 2, 4, 8, 12, 16, 26, 36, 30, 16, 14, 20, 38, 60, 72, 62, 34, 14, 6], dtype=float)
_WEEKDAYS = (0.85, 0.85, 0.92, 1.0, 1.2, 1.25, 1.05)

_TABLES, _HELD_MINUTES = 3, 3


@dataclass(frozen=True)
class Incident:
    """What to make up.

    Attributes:
        until: Where it ends (a time with a zone): now, as a rule, since views look back from now.
        days: How long the history is.
        requests: Requests of the last day.
        restaurants: How many there are; the first have most of the bookings, and the trouble hits some the worst.
        environment: The deployment that the events name.
        seed: Another seed, another history.
    """

    until: datetime
    days: int = 90
    requests: int = 8000
    restaurants: int = 12
    environment: str = "dev"
    seed: int = 1

    def at(self, minutes: float) -> datetime:
        """Return the moment that many minutes before the end."""
        return self.until - timedelta(minutes=minutes)


def write_incident(
    connection: psycopg.Connection, incident: Incident, on_day: Callable[[int, int], None] = lambda day, days: None
) -> WriteResult:
    """Write the events, the double bookings and the maintenance window into an empty database.

    Args:
        connection: Autocommit, of a user who owns the tables.
        incident: What to write.
        on_day: Called after each day with how many are written, and how many there are.
    """
    ensure_event_partitions(connection)
    total = WriteResult()
    with EventWriter(connection) as writer:
        for number, day in enumerate(reversed(range(incident.days)), start=1):
            lines = list(lines_of_day(incident, day))
            for start in range(0, len(lines), BATCH):
                total.imported += writer.write(lines[start : start + BATCH]).imported
            on_day(number, incident.days)
        total.imported += writer.write(list(lines_of_story(incident))).imported
    _write_double_bookings(connection, incident)
    _write_settings(connection, incident)
    return total


def restaurant_ids(incident: Incident) -> list[UUID]:
    """Return the ids of the restaurants, those with the most bookings first."""
    return [uuid5(_NAMESPACE, f"restaurant {number}") for number in range(incident.restaurants)]


def trouble(minutes: _Floats) -> _Floats:
    """Say how bad things are, from 0 to 1, that many minutes before the end."""
    rising = np.clip((BEGINS - minutes) / 15, 0, 1)
    easing = np.clip((EASES - minutes) / 30, 0, 1) * 0.2
    bad: _Floats = np.where(minutes <= BEGINS, rising - easing, 0.0)
    for days in EARLIER_INCIDENTS_DAYS:
        middle = days * MINUTES_A_DAY + 120
        bad = np.maximum(bad, 0.7 * np.clip(1 - np.abs(minutes - middle) / 100, 0, 1))
    return bad


def _is_maintenance(minutes: _Floats) -> npt.NDArray[np.bool_]:
    inside: npt.NDArray[np.bool_] = (minutes <= MAINTENANCE_BEGINS) & (minutes > MAINTENANCE_BEGINS - MAINTENANCE_LASTS)
    return inside


def lines_of_day(incident: Incident, day: int) -> Iterator[bytes]:
    """Make one day's events; day 0 is the 24 hours that end with the story."""
    random = np.random.default_rng([incident.seed, day])
    minutes = _request_minutes(random, incident, day)
    count = len(minutes)
    bad = trouble(minutes)
    is_down = _is_maintenance(minutes)
    popularity = 1 / np.arange(1, incident.restaurants + 1) ** 0.7
    numbers = random.choice(incident.restaurants, size=count, p=popularity / popularity.sum())
    lacks = random.random(count) < 0.02 * _rush(minutes)
    # Some restaurants have few tables for many guests: there the contention hurts most.
    hurt = bad * np.where(np.isin(numbers, (1, 4)), 2.2, 0.7)
    chance = random.random((6, count))
    is_fault = chance[0] < 0.004 * _rush(minutes) ** 2 + 0.14 * hurt + 0.14 * is_down
    is_full = chance[1] < 0.008 * _rush(minutes) ** 2
    total = random.lognormal(np.log(280 * (1 + 0.35 * _rush(minutes)) * (1 + 5 * bad)), 0.5)
    planner = total * random.uniform(0.18, 0.38, count)
    events = _Lines(incident, random)
    names = [str(one) for one in restaurant_ids(incident)]
    for index in range(count):
        before = float(minutes[index])
        restaurant = None if lacks[index] else names[numbers[index]]
        timing = {"totalMs": round(float(total[index]), 1), "plannerMs": round(float(planner[index]), 1)}
        is_skipped = bool(is_fault[index] or is_full[index])
        conflict = chance[2][index]
        if conflict < 0.03 + 0.2 * bad[index] and restaurant is not None:
            yield events.line(before, "capacity.hold.strict_conflict", "warning", restaurant, {"sqlstate": "23P01"})
            conflict_context = {"code": "23P01", "reason": "HOLD_CONFLICT"}
            yield events.line(before, "capacity.rpc.conflict", "warning", restaurant, conflict_context)
        if (failure := _failure(chance[3][index], bad[index])) is not None and restaurant is not None:
            yield events.line(before, "capacity.rpc.conflict", "warning", restaurant, failure)
        if chance[4][index] < 0.0006 + 0.012 * bad[index]:
            yield events.line(before, "capacity.manual.validate", "info", None, {"outcome": "forced"})
        if is_skipped:
            is_exhausted = bool(is_fault[index] and chance[5][index] < 0.55)
            reason = "conflicts" if is_fault[index] else "no_capacity"
            context = {"skipReason": reason, "retryExhausted": is_exhausted, "timing": timing}
            yield events.line(before, "capacity.selector.skipped", "warning", restaurant, context)
            continue
        yield events.line(before, "capacity.selector.assignment", "info", restaurant, {"timing": timing})
        if day < DETAILED_DAYS and restaurant is not None:
            yield events.line(before, "capacity.hold.created", "info", restaurant, {})
            kind = "confirmed" if conflict < 0.86 else "released" if conflict < 0.94 else "expired"
            if before > _HELD_MINUTES:
                yield events.line(before - _HELD_MINUTES, f"capacity.hold.{kind}", "info", restaurant, {})


def _failure(chance: float, bad: float) -> dict[str, str] | None:
    """Return what else goes wrong with a request; None for most."""
    kinds = (
        (0.0006, 0.03, {"reason": "CUTOFF", "code": "55P03", "retryExhausted": "true"}),
        (0.0010, 0.05, {"reason": "HOLD_RATE_LIMIT", "code": "P0001"}),
        (0.0013, 0.06, {"reason": "DEADLOCK", "code": "40P01"}),
        (0.0015, 0.065, {"reason": "CONNECTION_LOST", "code": "08006"}),
        (0.0016, 0.067, {"reason": "UNKNOWN", "code": "XX000"}),
    )
    return next((context for usual, extra, context in kinds if chance < usual + extra * bad), None)


def _rush(minutes: _Floats) -> _Floats:
    """Say how much is going on, from 0 to 1: by the hours, without a step between them."""
    clock = (NOW_IN_THE_EVENING - minutes) % MINUTES_A_DAY
    rush: _Floats = np.interp(clock, (np.arange(26) - 0.5) * 60, np.r_[_HOURS[-1], _HOURS, _HOURS[0]]) / _HOURS.max()
    return rush


def _request_minutes(random: np.random.Generator, incident: Incident, day: int) -> _Floats:
    """Say how many minutes before the end each request of a day comes in, the first first."""
    minutes = day * MINUTES_A_DAY + np.arange(MINUTES_A_DAY, 0, -1, dtype=float)
    share = _rush(minutes) / _rush(np.arange(MINUTES_A_DAY, dtype=float)).sum()
    weekday = _WEEKDAYS[incident.at(day * MINUTES_A_DAY + 720).weekday()] / _WEEKDAYS[incident.at(720).weekday()]
    grown = 1 - 0.6 * day / max(incident.days, 1)
    rate = incident.requests * grown * weekday * share * np.where(_is_maintenance(minutes), 0.5, 1.0)
    counts = random.poisson(rate)
    found: _Floats = np.sort(np.repeat(minutes, counts) - random.random(int(counts.sum())))[::-1]
    return np.maximum(found, 0.01)


def lines_of_story(incident: Incident) -> Iterator[bytes]:
    """Make the events of which there is one each: what people and jobs did."""
    events = _Lines(incident, np.random.default_rng([incident.seed, 1_000_000]))
    told: list[tuple[float, str, str, dict[str, object]]] = [
        (20 * 60, "deploy.finished", "info", {"service": "booking-api", "version": "2.13.9", "deployedBy": "ci"}),
        (BEGINS + 10, "deploy.finished", "info", {"service": "booking-api", "version": "2.14.0", "deployedBy": "ci"}),
        (BEGINS, "capacity.enforcement.changed", "info", {
            "enabled": False, "percentage": 0, "from": 100, "changedBy": "sam",
            "reason": "bookings are refused since 2.14.0"}),
        (EASES, "capacity.enforcement.changed", "info", {
            "enabled": True, "percentage": 100, "from": 0, "changedBy": "kim", "reason": "tables were booked twice"}),
    ]  # fmt: skip
    unsafe: dict[str, object] = {"rule": "rollout-without-enforcement", "flags": ["holds.strictConflicts"]}
    # Found by each look at the flags, as long as it lasts.
    told += [(minutes, "capacity.flags.contradiction", "warning", unsafe) for minutes in range(EASES + 2, BEGINS, 15)]
    for minutes, event_type, severity, context in told:
        yield events.line(minutes, event_type, severity, None, context)
    for minutes in range(4, DETAILED_DAYS * MINUTES_A_DAY, 30):
        is_failed = minutes == 184
        yield events.line(
            minutes,
            "pipeline.run.failed" if is_failed else "pipeline.run.succeeded",
            "error" if is_failed else "info",
            None,
            {"job": "pipeline", "durationMs": 41_000}
            | ({"reason": "canceling statement due to statement timeout"} if is_failed else {}),
        )


_SOURCES = {"selector": "capacity.selector", "manual": "capacity.backoffice"}


class _Lines:
    """Writes COPY lines of ``copy_event_import``; ids are made from the seed."""

    def __init__(self, incident: Incident, random: np.random.Generator) -> None:
        self._incident = incident
        self._random = random
        self._ids: Iterator[str] = iter(())

    def line(
        self,
        minutes: float,
        event_type: str,
        severity: str,
        restaurant: str | None,
        context: Mapping[str, object],
    ) -> bytes:
        """Write one event, which came in a moment after it happened."""
        at = self._incident.at(minutes).astimezone(UTC)
        recorded_at = min(at + timedelta(seconds=0.4), self._incident.until.astimezone(UTC))
        source = _SOURCES.get(
            event_type.split(".")[1], "holds.core" if event_type.startswith("capacity") else "holdwatch"
        )
        return (
            f"{self._next_id()}\t{at.isoformat()}\t{self._incident.environment}\t{source}\t{event_type}\t{severity}\t"
            f"{restaurant or chr(92) + 'N'}\t\\N\t{json.dumps(context)}\t0\t{recorded_at.isoformat()}\n"
        ).encode()

    def _next_id(self) -> str:
        found = next(self._ids, None)
        if found is None:
            digits = self._random.bytes(16 * 4096).hex()
            self._ids = iter([digits[start : start + 32] for start in range(0, len(digits), 32)])
            found = next(self._ids)
        return found


_HOLD = """
with hold as (
    insert into holds.table_holds
        (id, restaurant_id, booking_id, owner_id, idempotency_key, request_hash, table_ids, held_during, is_enforced,
         created_at, confirmed_at, status)
    values (
        %(hold)s::uuid, %(restaurant)s, %(booking)s, %(booking)s, %(hold)s::text, '', array[%(table)s::uuid],
        tstzrange(%(starts_at)s, %(ends_at)s, '[)'), false, %(created_at)s, %(created_at)s, 'confirmed'
    )
    returning id, restaurant_id, owner_id, held_during, created_at
)
insert into holds.table_hold_windows (hold_id, restaurant_id, table_id, owner_id, held_during, created_at, is_enforced)
select id, restaurant_id, %(table)s, owner_id, held_during, created_at, false from hold
"""


def _write_double_bookings(connection: psycopg.Connection, incident: Incident) -> None:
    """Let two bookings hold each of a few tables at the same time, later in the evening, while enforcement was off."""
    restaurants = restaurant_ids(incident)
    for table in range(_TABLES):
        for booking in range(2):
            name = f"table {table} booking {booking}"
            connection.execute(
                _HOLD,
                {
                    "hold": uuid5(_NAMESPACE, f"hold of {name}"),
                    "booking": uuid5(_NAMESPACE, name),
                    "restaurant": restaurants[(1, 4, 1)[table] % len(restaurants)],
                    "table": uuid5(_NAMESPACE, f"table {table}"),
                    "starts_at": incident.until + timedelta(minutes=60 + 30 * table + 30 * booking),
                    "ends_at": incident.until + timedelta(minutes=180 + 30 * table + 30 * booking),
                    "created_at": incident.at(BEGINS - 40 - 35 * table - 12 * booking),
                },
            )
    connection.execute("select holds.detect_double_bookings()")


def _write_settings(connection: psycopg.Connection, incident: Incident) -> None:
    connection.execute(
        "select holds.add_maintenance_window(%s, %s, %s, 'storage of the database is replaced')",
        (incident.environment, incident.at(MAINTENANCE_BEGINS), timedelta(minutes=MAINTENANCE_LASTS)),
    )
    connection.execute(
        "update holds.settings set changed_by = 'kim', change_reason = 'tables were booked twice', updated_at = %s",
        (incident.at(EASES),),
    )
