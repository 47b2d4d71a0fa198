"""What drills inject: a double booking, a dip of the success rate, two flags that defeat each other.

Each works on a synthetic restaurant of its own and marks its events with ``context.drillId``. Events stay in the
history: once the drill is over its restaurant is put down as having been in maintenance, so that alerts judge without
it.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import Protocol
from uuid import UUID, uuid4

import psycopg

from dashboards.alerts import ALERTS, Alert
from holds_core import Event, EventType, HoldClient, HoldRequest, Severity, record_event
from holds_core.enforcement import set_restaurant_enforcement

_TIME_TO_LIVE = timedelta(hours=1)
"""Of the holds, so that they end by themselves should the drill be killed."""

_SHARE_OF_TRAFFIC = 0.1
"""Requests that a dip adds, of those that there are: of a good rate they make less than 95 %."""


class Regression(Protocol):
    """Something that goes wrong on purpose, once."""

    @property
    def alert(self) -> Alert:
        """The alert that is to notice."""

    def inject(self) -> None:
        """Make it so; it is committed when this returns."""

    def keep_up(self) -> None:
        """Do what it takes so that it goes on; called every now and then."""

    def is_in_view(self) -> bool:
        """Tell whether the view that people look at shows it."""

    def end(self) -> None:
        """Make it stop. May be called at any time, and again."""

    def forget(self) -> None:
        """Have alerts judge without it from now on. May be called at any time, and again."""


def alert_named(name: str) -> Alert:
    """Return the alert of that name."""
    return next(alert for alert in ALERTS if alert.name == name)


@dataclass
class SyntheticRestaurant:
    """The synthetic restaurant of one drill."""

    connection: psycopg.Connection
    drill: str
    id: UUID = field(default_factory=uuid4)
    drill_id: UUID = field(default_factory=uuid4)
    began_at: datetime | None = None

    @property
    def context(self) -> dict[str, str]:
        """What marks its events."""
        return {"drillId": str(self.drill_id)}

    def now(self) -> datetime:
        """Return the time by the database's clock, which the alerts go by."""
        row = self.connection.execute("select clock_timestamp()").fetchone()
        assert row is not None
        now: datetime = row[0]
        return now

    def begin(self) -> None:
        """Remember when it began."""
        self.began_at = self.began_at or self.now()

    def leave(self) -> None:
        """Put the time from its beginning to now down as maintenance of this restaurant."""
        if self.began_at is None:
            return
        lasts = self.now() - self.began_at + timedelta(seconds=1)
        self.connection.execute(
            "select holds.add_maintenance_window("
            "p_environment => null, p_starts_at => %s, p_lasts => %s, p_reason => %s, p_restaurant_id => %s)",
            (self.began_at, lasts, f"drill {self.drill}", self.id),
        )
        self.began_at = None


class DoubleBooking:
    """Two bookings get the same table, through the public API: its restaurant alone is not strict."""

    alert = alert_named("double_booking")

    def __init__(self, connection: psycopg.Connection, url: str) -> None:
        """Prepare it, as somebody who may switch enforcement, and hold."""
        self._restaurant = SyntheticRestaurant(connection, "double-booking")
        self._url = url
        self._holds: list[UUID] = []
        self._is_lenient = False

    def inject(self) -> None:
        """Place two holds on one table."""
        restaurant = self._restaurant
        self._is_lenient = True
        set_restaurant_enforcement(
            restaurant.connection, restaurant_id=restaurant.id, is_strict=False, reason="drill double-booking"
        )
        # Next week, at a table that is not there: nobody's real evening is in the way.
        starts_at, table_id = restaurant.now() + timedelta(days=7), uuid4()
        with HoldClient.connect(self._url, max_connections=1) as client:
            for _ in range(2):
                request = HoldRequest(
                    restaurant_id=restaurant.id,
                    table_ids=(table_id,),
                    starts_at=starts_at,
                    ends_at=starts_at + timedelta(hours=2),
                    booking_id=uuid4(),
                    time_to_live=_TIME_TO_LIVE,
                    event_context=restaurant.context,
                )
                self._holds.append(client.place(request).id)

    def keep_up(self) -> None:
        """Nothing: it stands."""

    def is_in_view(self) -> bool:
        """Whether ``double_bookings`` has the pair."""
        return _exists(
            self._restaurant.connection,
            "select from analytics.double_bookings where restaurant_id = %s",
            self._restaurant.id,
        )

    def end(self) -> None:
        """Release both holds, and give the restaurant back to its bucket."""
        with ExitStack() as stack:
            stack.callback(self._make_strict_again)
            if self._holds:
                with HoldClient.connect(self._url, max_connections=1) as client:
                    while self._holds:
                        client.release(self._holds[-1])
                        self._holds.pop()

    def _make_strict_again(self) -> None:
        if self._is_lenient:
            set_restaurant_enforcement(
                self._restaurant.connection,
                restaurant_id=self._restaurant.id,
                is_strict=None,
                reason="drill double-booking is over",
            )
            self._is_lenient = False

    def forget(self) -> None:
        """Nothing: no hold is left, and no maintenance makes a double booking that was found unseen."""


class SuccessDip:
    """Requests find no table although there are some: a batch in each period, in as many as it takes to fire.

    As few as it takes, too: 22 in each of two periods burn no error budget by themselves, which takes 50.
    """

    alert = alert_named("success_rate_low")

    def __init__(self, connection: psycopg.Connection, period: timedelta) -> None:
        """Prepare it for periods of this length."""
        self._restaurant = SyntheticRestaurant(connection, "success-dip")
        self._period = period
        self._count = 0
        self._filled: set[int] = set()

    def inject(self) -> None:
        """Record the first batch."""
        self._restaurant.begin()
        row = self._restaurant.connection.execute(
            "select coalesce(sample_count, 0) from analytics.alert_evaluations"
            " where alert = %s and environment = (select environment from holds.settings)",
            (self.alert.name,),
        ).fetchone()
        traffic = 0 if row is None else int(row[0])
        self._count = max(self.alert.threshold.minimum_sample + 2, ceil(traffic * _SHARE_OF_TRAFFIC))
        self.keep_up()

    def keep_up(self) -> None:
        """Record a batch in the period at hand, unless it has one, until there is one in as many as it takes."""
        now = self._restaurant.now()
        period = int(now.timestamp() // self._period.total_seconds())
        if period in self._filled or len(self._filled) == self.alert.periods:
            return
        connection = self._restaurant.connection
        with connection.transaction():
            for _ in range(self._count):
                event = Event(
                    event_type=EventType.SELECTOR_SKIPPED,
                    source="drill",
                    restaurant_id=self._restaurant.id,
                    booking_id=uuid4(),
                    context={"skipReason": "error", "attempts": 1, **self._restaurant.context},
                    occurred_at=now,
                )
                record_event(connection, event)
        self._filled.add(period)

    def is_in_view(self) -> bool:
        """Whether ``assignment_success_rate`` has the requests."""
        return _exists(
            self._restaurant.connection,
            "select from analytics.assignment_success_rate where grain = 'minute' and restaurant_key = %s",
            str(self._restaurant.id),
        )

    def end(self) -> None:
        """Nothing: no more is recorded than it takes."""

    def forget(self) -> None:
        """Take the requests out of what alerts judge by."""
        self._restaurant.leave()


class FlagContradiction:
    """Something says that two flags defeat each other; no flag is touched."""

    alert = alert_named("unsafe_flag_combination")

    def __init__(self, connection: psycopg.Connection) -> None:
        """Prepare it."""
        self._restaurant = SyntheticRestaurant(connection, "flag-contradiction")
        self._before = 0

    def inject(self) -> None:
        """Record the event."""
        self._before = self._found()
        self._restaurant.begin()
        event = Event(
            event_type=EventType.FLAGS_CONTRADICTION,
            source="drill",
            severity=Severity.WARNING,
            restaurant_id=self._restaurant.id,
            context={"rule": "drill", "flags": ["drill.one", "drill.other"], **self._restaurant.context},
            occurred_at=self._restaurant.now(),
        )
        record_event(self._restaurant.connection, event)

    def keep_up(self) -> None:
        """Nothing: it stands for an hour."""

    def is_in_view(self) -> bool:
        """Whether ``metric_totals`` has counted it."""
        return self._found() > self._before

    def _found(self) -> int:
        row = self._restaurant.connection.execute(
            "select total from analytics.metric_totals where metric = 'flag_contradictions'"
            " and environment = (select environment from holds.settings)"
        ).fetchone()
        return 0 if row is None else int(row[0])

    def end(self) -> None:
        """Take it out of what alerts judge by: nothing else ends what was found within the hour."""
        self._restaurant.leave()

    def forget(self) -> None:
        """The same."""
        self._restaurant.leave()


def _exists(connection: psycopg.Connection, statement: str, key: object) -> bool:
    return connection.execute(statement, (key,)).fetchone() is not None
