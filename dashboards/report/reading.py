"""Reads what the views say, in one snapshot, as ``analytics_reader``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg.rows import class_row

from dashboards.catalogue import HISTORY_DAYS
from dashboards.errors import MissingViewsError
from dashboards.preview.asking import one_snapshot
from dashboards.preview.times import TimeRangeError, read_time
from dashboards.report import queries
from holds_core.errors import HoldsError

ALL = "(all)"
"""The ``restaurant_key`` of all restaurants together."""

_Row = TypeVar("_Row")


class ReportError(HoldsError):
    """The report cannot be of what was asked for."""


@dataclass(frozen=True)
class Wanted:
    """What to report of.

    Attributes:
        from_text: Where it begins, as ``now-30d`` or ``2030-05-17``; its whole UTC day counts. None: all of history.
        environment: None: the one whose holds the database keeps.
        restaurant: A restaurant's id, or ``(none)``; None: all of them.
    """

    from_text: str | None = None
    environment: str | None = None
    restaurant: str | None = None


@dataclass(frozen=True)
class Day:
    """One UTC day. None is what was not recorded; latencies are in milliseconds, everything else is a count.

    Attributes:
        judged: Requests by which the objective is judged: without what full restaurants refused, and without synthetic
            load outside dev.
        good: Those of them that got tables.
        double_bookings: Pairs of bookings that began to share a table on this day, whether or not they still do.
    """

    day: date
    assigned: int | None
    refused: int | None
    unattributed: int | None
    judged: int | None
    good: int | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    latency_samples: int | None
    exhausted: int | None
    rate_limits: int | None
    cutoffs: int | None
    manual_steps: int | None
    hold_events: int | None
    holds: int | None
    conflicts_refused: int | None
    conflicts_let_through: int | None
    double_bookings: int | None
    runs_succeeded: int | None
    runs_blocked: int | None
    runs_failed: int | None

    @property
    def requests(self) -> int:
        """How many asked for a table."""
        return (self.assigned or 0) + (self.refused or 0)

    @property
    def success_ratio(self) -> float | None:
        """The share of requests that got tables."""
        return (self.assigned or 0) / self.requests if self.requests else None

    @property
    def objective_ratio(self) -> float | None:
        """The share of judged requests that got tables."""
        return (self.good or 0) / self.judged if self.judged else None

    @property
    def exhausted_ratio(self) -> float | None:
        """The share of requests that ran out of retries."""
        return (self.exhausted or 0) / self.requests if self.requests else None


@dataclass(frozen=True)
class Pair:
    """Two bookings that hold one table at the same time, now."""

    restaurant_key: str
    table_id: str
    first_hold_id: str
    second_hold_id: str
    overlap_starts_at: datetime
    overlap_ends_at: datetime
    began_at: datetime
    pair_count: int


@dataclass(frozen=True)
class Change:
    """What somebody changed; ``kind`` is deploy, flag, rollout or enforcement."""

    occurred_at: datetime
    kind: str
    title: str
    restaurant_key: str
    reason: str
    changed_by: str


@dataclass(frozen=True)
class ErrorCount:
    """How many errors there were of one class."""

    error_class: str
    error_count: int


@dataclass(frozen=True)
class Maintenance:
    """Maintenance that was announced."""

    starts_at: datetime
    ends_at: datetime
    restaurant_key: str
    reason: str


@dataclass(frozen=True)
class WholeHistory:
    """Latencies over all days together, as of the pipeline's newest pass."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    refreshed_at: datetime


@dataclass(frozen=True)
class Freshness:
    """How new what the views show is."""

    newest_event_at: datetime | None
    last_run_succeeded_at: datetime | None
    last_run_failed_at: datetime | None
    is_blocked: bool
    blocked_reason: str | None
    event_counts_refreshed_at: datetime | None
    error_counts_refreshed_at: datetime | None
    latency_sketches_refreshed_at: datetime | None


@dataclass(frozen=True)
class Enforcement:
    """Whether overlapping holds are refused, and for whom."""

    is_enabled: bool
    strict_percentage: float
    strict_restaurant_count: int
    lenient_restaurant_count: int
    unenforced_window_count: int


@dataclass(frozen=True)
class Verdict:
    """What is said of an alert, now."""

    alert: str
    is_breaching: bool
    is_firing: bool


@dataclass(frozen=True)
class Evidence:
    """All that the report is made of, of one moment.

    Attributes:
        environment: Whose events these are.
        restaurant: A ``restaurant_key``; "(all)" for all together.
        read_at: The database's clock; everything is as of then.
        is_whole_history: Whether it goes back as far as the views do.
        are_holds_here: Whether the hold tables of this database are of this environment; if not, nothing can be said
            of double bookings and of the switch.
        days: Each UTC day from the first to that of ``read_at``.
        standing: The newest double bookings that stand now; at most 50, each with the number of all.
        event_total: Events of this environment since the beginning, of all restaurants.
    """

    environment: str
    restaurant: str
    read_at: datetime
    is_whole_history: bool
    are_holds_here: bool
    days: tuple[Day, ...]
    standing: tuple[Pair, ...]
    changes: tuple[Change, ...]
    errors: tuple[ErrorCount, ...]
    maintenance: tuple[Maintenance, ...]
    whole_history: WholeHistory | None
    freshness: Freshness | None
    enforcement: Enforcement | None
    verdicts: tuple[Verdict, ...]
    event_total: int

    def total(self, name: str) -> int:
        """Add up one of the counts of :class:`Day`."""
        return sum(getattr(day, name) or 0 for day in self.days)

    @property
    def standing_count(self) -> int:
        """How many double bookings there are now."""
        return self.standing[0].pair_count if self.standing else 0


def read_evidence(connection: psycopg.Connection, wanted: Wanted) -> Evidence:
    """Read all of it in one read-only snapshot.

    Args:
        connection: An autocommit connection in UTC whose role may act as ``analytics_reader``.
        wanted: What to report of.

    Raises:
        MissingViewsError: The views were not built, or by another release.
        ReaderRoleError: The connection may not act as ``analytics_reader``, or there is no such role.
        ReportError: There is no such environment, or the time is outside of history.
        TimeRangeError: ``wanted.from_text`` is no time.
    """
    try:
        with one_snapshot(connection) as now:
            return _read(connection, wanted, now)
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        raise MissingViewsError(str(error.diag.message_primary)) from error


def first_day(from_text: str | None, now: datetime) -> datetime:
    """Return the start of the first UTC day.

    Raises:
        ReportError: It lies in the future, or before what the views keep.
        TimeRangeError: It is no time.
    """
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    oldest = today - timedelta(days=HISTORY_DAYS)
    if from_text is None:
        return oldest
    try:
        at = read_time(from_text, now)
    except TimeRangeError:
        raise TimeRangeError(f"{from_text!r} is no day: write 2030-05-17, or now-30d (now-1d is yesterday).") from None
    if at > now:
        raise ReportError(f"The report cannot begin at {from_text}: that is in the future.")
    start = at.replace(hour=0, minute=0, second=0, microsecond=0)
    if start < oldest:
        raise ReportError(
            f"The report cannot begin at {from_text}: the views keep {HISTORY_DAYS} days, back to {oldest:%Y-%m-%d}."
        )
    return start


def _read(connection: psycopg.Connection, wanted: Wanted, now: datetime) -> Evidence:
    environment, are_holds_here = _environment(connection, wanted.environment)
    from_at = first_day(wanted.from_text, now)
    to_at = now.replace(hour=0, minute=0, second=0, microsecond=0)
    values: dict[str, Any] = {
        "environment": environment,
        "restaurant": wanted.restaurant or ALL,
        "from_at": from_at,
        "to_at": to_at,
    }

    def rows(kind: type[_Row], statement: LiteralString) -> tuple[_Row, ...]:
        return _rows(connection, kind, statement, values)

    totals = connection.execute(queries.EVENT_TOTAL, values).fetchone()
    return Evidence(
        environment=environment,
        restaurant=wanted.restaurant or ALL,
        read_at=now,
        is_whole_history=(to_at - from_at).days >= HISTORY_DAYS,
        are_holds_here=are_holds_here,
        days=rows(Day, queries.DAYS),
        standing=rows(Pair, queries.STANDING),
        changes=rows(Change, queries.CHANGES),
        errors=rows(ErrorCount, queries.ERRORS),
        maintenance=rows(Maintenance, queries.MAINTENANCE),
        whole_history=next(iter(rows(WholeHistory, queries.WHOLE_HISTORY)), None),
        freshness=next(iter(rows(Freshness, queries.FRESHNESS)), None),
        enforcement=next(iter(rows(Enforcement, queries.ENFORCEMENT)), None),
        verdicts=rows(Verdict, queries.ALERTS),
        event_total=0 if totals is None else totals[0],
    )


def _rows(
    connection: psycopg.Connection, kind: type[_Row], statement: LiteralString, values: Mapping[str, Any]
) -> tuple[_Row, ...]:
    with connection.cursor(row_factory=class_row(kind)) as cursor:
        return tuple(cursor.execute(statement, values).fetchall())


def _environment(connection: psycopg.Connection, asked_for: str | None) -> tuple[str, bool]:
    """Return the environment to report of, and whether the database's holds are of it."""
    known = connection.execute(queries.ENVIRONMENTS).fetchall()
    if asked_for is None:
        # That of the holds first; it has a row even before its first event.
        known.sort(key=lambda row: not row[1])
        return known[0] if known else ("(unknown)", False)
    for name, is_of_the_holds in known:
        if name == asked_for:
            return name, is_of_the_holds
    names = ", ".join(str(name) for name, _ in known) or "none"
    raise ReportError(f"The views have no environment {asked_for!r}; they have: {names}.")
