"""What the views must say, computed from the events in plain Python after the contract, with none of the views' SQL.

Every function returns rows as tuples in the order of the view's columns, as a multiset, so that extra rows show.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID

from tests.fixtures.dirty_events import StoredEvent

Rows = Counter[tuple[Any, ...]]

ASSIGNMENT = "capacity.selector.assignment"
SKIPPED = "capacity.selector.skipped"
SELECTIONS = (ASSIGNMENT, SKIPPED)
RPC_CONFLICT = "capacity.rpc.conflict"
MANUAL = "capacity.manual.validate"
GRAINS = ("minute", "hour", "day")

_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class Number:
    """A JSON number, as it is written."""

    text: str


@dataclass(frozen=True)
class ReadEvent:
    """An event and what the contract reads out of its context."""

    event: StoredEvent
    recorded_at: datetime

    @cached_property
    def context(self) -> dict[str, Any]:
        read = json.loads(self.event.context, parse_int=Number, parse_float=Number)
        return read if isinstance(read, dict) else {}

    def latency(self, key: str) -> float | None:
        timing = self.context.get("timing")
        value = timing.get(key) if isinstance(timing, dict) else None
        if isinstance(value, str) and _JSON_NUMBER.fullmatch(value.strip()):
            value = Number(value.strip())
        if not isinstance(value, Number):
            return None
        number = float(value.text)
        return number if math.isfinite(number) and number >= 0 else None

    def text(self, key: str) -> str | None:
        """The value as ``->>`` gives it."""
        value = self.context.get(key)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, Number):
            return value.text
        return json.dumps(value, default=lambda number: int(number.text))

    @cached_property
    def is_exhausted(self) -> bool:
        return (self.text("retryExhausted") or "").lower() == "true"

    def names(self, word: str) -> bool:
        return any(word in (self.text(key) or "") for key in ("reason", "code", "message"))

    @cached_property
    def cutoff_kind(self) -> str | None:
        if self.event.event_type not in (RPC_CONFLICT, MANUAL):
            return None
        for word in ("HOLD_RATE_LIMIT", "CUTOFF"):
            if self.names(word):
                return word
        return "MANUAL" if self.event.event_type == MANUAL else None

    @cached_property
    def is_error(self) -> bool:
        if self.event.event_type == "capacity.hold.strict_conflict":
            return False
        if self.event.event_type in (RPC_CONFLICT, "pipeline.run.failed"):
            return True
        return self.event.severity in ("error", "critical")

    @cached_property
    def error_class(self) -> str:
        code = self.text("code") or ""
        rules: list[tuple[str, Callable[[], bool]]] = [
            ("limit", lambda: self.names("HOLD_RATE_LIMIT")),
            ("cutoff", lambda: self.names("CUTOFF") or code in ("55P03", "57014")),
            ("conflict", lambda: code == "23P01" or self.names("HOLD_CONFLICT")),
            ("serialization", lambda: code in ("40001", "40P01")),
            ("connection", lambda: code.startswith(("08", "57P0"))),
            ("validation", lambda: code.startswith(("22", "23"))),
            ("schema", lambda: code.startswith(("42", "PGRST2"))),
            ("pipeline", lambda: self.event.event_type.startswith("pipeline.")),
        ]
        return next((name for name, fits in rules if fits()), "unclassified")


@dataclass(frozen=True)
class Oracle:
    """The views over these events, at the moment ``now``."""

    events: list[ReadEvent]
    now: datetime

    def history_start(self, grain: str) -> datetime:
        if grain == "minute":
            return self.now.replace(second=0, microsecond=0) - timedelta(hours=48)
        return self.now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=90)

    def buckets(self) -> dict[tuple[Any, ...], list[ReadEvent]]:
        """The events of each (bucket_at, grain, environment, restaurant_id, restaurant_key)."""
        return self._buckets

    @cached_property
    def _buckets(self) -> dict[tuple[Any, ...], list[ReadEvent]]:
        buckets = defaultdict(list)
        for read in self.events:
            restaurant = read.event.restaurant_id
            for grain in GRAINS:
                bucket_at = _bucket_start(read.event.occurred_at, grain)
                if bucket_at < self.history_start(grain):
                    continue
                own = str(restaurant) if restaurant is not None else "(none)"
                buckets[bucket_at, grain, read.event.environment, restaurant, own].append(read)
                buckets[bucket_at, grain, read.event.environment, None, "(all)"].append(read)
        return dict(buckets)

    def assignment_success_rate(self) -> Rows:
        rows: Rows = Counter()
        for bucket, events in self.buckets().items():
            types = Counter(read.event.event_type for read in events)
            assigned, skipped = types[ASSIGNMENT], types[SKIPPED]
            if assigned + skipped:
                judged, good = self._judged(events)
                rows[*bucket, assigned, skipped, assigned / (assigned + skipped), judged, good] += 1
        return rows

    @staticmethod
    def _judged(events: Iterable[ReadEvent]) -> tuple[int, int]:
        """The requests that the objective is judged by, and those of them that got tables."""
        real = [read for read in events if read.event.environment == "dev" or read.text("soakId") is None]
        good = sum(read.event.event_type == ASSIGNMENT for read in real)
        faults = sum(read.event.event_type == SKIPPED and read.text("skipReason") != "no_capacity" for read in real)
        return good + faults, good

    def reservation_latency_ms(self) -> Rows:
        rows: Rows = Counter()
        for bucket, events in self.buckets().items():
            for phase, key in (("total", "totalMs"), ("planner", "plannerMs")):
                selections = [read for read in events if read.event.event_type in SELECTIONS]
                sample = sorted(latency for read in selections if (latency := read.latency(key)) is not None)
                for percent in (50, 95, 99) if sample else ():
                    # Nearest rank, in whole numbers: the first of which at least that many percent are not above it.
                    rank = -(-percent * len(sample) // 100)
                    rows[*bucket, phase, percent / 100, sample[rank - 1], len(sample)] += 1
        return rows

    def hold_retry_exhaustion(self) -> Rows:
        rows: Rows = Counter()
        for bucket, events in self.buckets().items():
            requests = [read for read in events if read.event.event_type in SELECTIONS]
            exhausted = sum(read.is_exhausted for read in requests)
            if requests:
                anywhere = sum(read.is_exhausted for read in events)
                rows[*bucket, len(requests), exhausted, exhausted / len(requests), anywhere] += 1
        return rows

    def cutoff_triggers(self) -> Rows:
        rows: Rows = Counter()
        for bucket, events in self.buckets().items():
            for kind, count in Counter(read.cutoff_kind for read in events if read.cutoff_kind is not None).items():
                rows[*bucket, kind, count] += 1
        return rows

    def hold_activity(self) -> Rows:
        names = {f"capacity.hold.{name}": name for name in ("created", "confirmed", "released", "expired")}
        rows: Rows = Counter()
        for bucket, events in self.buckets().items():
            activities = [names.get(read.event.event_type) for read in events]
            activities += [
                "conflict let through" if (read.text("isShadow") or "").lower() == "true" else "conflict refused"
                for read in events
                if read.event.event_type == "capacity.hold.strict_conflict"
            ]
            for activity, count in Counter(activity for activity in activities if activity).items():
                rows[*bucket, activity, count] += 1
        return rows

    def error_taxonomy(self) -> Rows:
        rows: Rows = Counter()
        for bucket, events in self.buckets().items():
            if bucket[1] != "day" and bucket[4] != "(all)":
                continue
            errors = Counter(
                (read.error_class, read.text("code") or "(none)", read.event.source, read.event.severity)
                for read in events
                if read.is_error
            )
            for group, count in errors.items():
                rows[*bucket, *group, count, count / errors.total()] += 1
        return rows

    def prometheus_series(self, pairs_by_restaurant: Counter[str]) -> Rows:
        """``pairs_by_restaurant``: double bookings of each; the database's own environment is dev."""
        newest: dict[tuple[str, str], tuple[datetime, float]] = {}
        for metric, labels, value, at in self._hourly_series():
            key = (metric, json.dumps(labels, sort_keys=True))
            if self.history_start("minute") <= at <= self.now and (key not in newest or at > newest[key][0]):
                newest[key] = (at, value)
        rows: Rows = Counter((*key, value, at) for key, (at, value) in newest.items())
        for restaurant, pairs in [("(all)", pairs_by_restaurant.total()), *pairs_by_restaurant.items()]:
            written = json.dumps({"environment": "dev", "restaurant_key": restaurant}, sort_keys=True)
            rows["double_bookings", written, float(pairs), self.now] += 1
        return rows

    def _hourly_series(self) -> Iterator[tuple[str, dict[str, str], float, datetime]]:
        def labels(row: tuple[Any, ...], **more: str) -> dict[str, str]:
            return {"environment": row[2], "restaurant_key": row[4], **more}

        def hourly(rows: Rows) -> Iterable[tuple[Any, ...]]:
            return (row for row in rows if row[1] == "hour")

        for row in hourly(self.assignment_success_rate()):
            yield "assignment_success_rate", labels(row), row[7], row[0]
        for row in hourly(self.reservation_latency_ms()):
            yield "reservation_latency_ms", labels(row, phase=row[5], percentile=str(row[6])), row[7], row[0]
        for row in hourly(self.hold_retry_exhaustion()):
            yield "hold_retry_exhaustion", labels(row), float(row[6]), row[0]
            yield "hold_retry_exhaustion_ratio", labels(row), row[7], row[0]
            yield "hold_retry_exhaustion_events", labels(row), float(row[8]), row[0]
        for row in hourly(self.cutoff_triggers()):
            yield "cutoff_triggers", labels(row, kind=row[5]), float(row[6]), row[0]
        for row in hourly(self.error_taxonomy()):
            kind = {"class": row[5], "code": row[6], "source": row[7], "severity": row[8]}
            yield "error_taxonomy", labels(row, **kind), float(row[9]), row[0]

    def pipeline_freshness(self) -> Rows:
        rows: Rows = Counter()
        for environment in {"dev"} | {read.event.environment for read in self.events}:
            events = [read for read in self.events if read.event.environment == environment]
            rows[environment, *self._newest(events), *_blocked(events)] += 1
        return rows

    def _newest(self, events: list[ReadEvent]) -> tuple[Any, ...]:
        recorded = max((read.recorded_at for read in events), default=None)

        def last(*event_types: str) -> datetime | None:
            times = [read.event.occurred_at for read in events if read.event.event_type in event_types]
            return max(times, default=None)

        return (
            max((read.event.occurred_at for read in events), default=None),
            recorded,
            None if recorded is None else max((self.now - recorded).total_seconds(), 0.0),
            last("pipeline.run.succeeded"),
            last("pipeline.run.failed"),
        )


def _blocked(events: list[ReadEvent]) -> tuple[bool, str | None]:
    """Whether a job was stopped at a gate and has not succeeded since, and what was said of the job stopped last."""
    newest: dict[str | None, ReadEvent] = {}
    for read in sorted(events, key=lambda read: (read.event.occurred_at, read.recorded_at)):
        stopped = read.event.event_type == "pipeline.run.failed" and (read.text("isBlocked") or "").lower() == "true"
        if stopped or read.event.event_type == "pipeline.run.succeeded":
            newest[read.text("job")] = read
    blocked = [read for read in newest.values() if read.event.event_type == "pipeline.run.failed"]
    if not blocked:
        return False, None
    last = max(read.event.occurred_at for read in blocked)
    reasons = [read.text("reason") or read.text("message") for read in blocked if read.event.occurred_at == last]
    return True, min(reason or "(no reason recorded)" for reason in reasons)


@dataclass(frozen=True)
class Window:
    """A row of holds.table_hold_windows."""

    hold_id: UUID
    restaurant_id: UUID
    table_id: UUID
    owner_id: UUID
    starts_at: datetime
    ends_at: datetime
    created_at: datetime
    expires_at: datetime | None
    released_at: datetime | None
    is_enforced: bool


def double_bookings(windows: list[Window], now: datetime) -> Rows:
    """Every pair of live windows of different owners that overlap on one table, compared each with each."""
    rows: Rows = Counter()
    live = [w for w in windows if w.released_at is None and (w.expires_at is None or w.expires_at > now)]
    live.sort(key=lambda w: (w.created_at, w.hold_id))
    for index, second in enumerate(live):
        for first in live[:index]:
            starts_at = max(first.starts_at, second.starts_at)
            ends_at = min(first.ends_at, second.ends_at)
            if first.table_id == second.table_id and first.owner_id != second.owner_id and starts_at < ends_at:
                restaurant = first.restaurant_id
                pair = (first.hold_id, second.hold_id)
                rows[
                    "dev", restaurant, str(restaurant), first.table_id, *pair, starts_at, ends_at, second.created_at
                ] += 1
    return rows


def _bucket_start(instant: datetime, grain: str) -> datetime:
    instant = instant.astimezone(UTC).replace(second=0, microsecond=0)
    if grain != "minute":
        instant = instant.replace(minute=0)
    return instant.replace(hour=0) if grain == "day" else instant
