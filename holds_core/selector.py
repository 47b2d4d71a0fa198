"""Find tables for a booking: order the candidates, try to hold them in turn, record how it ended.

``plan_candidates`` is pure. ``quote_tables_for_booking`` and its asyncio twin differ only in who waits; what to try
next and what is recorded is :class:`_Search`, which does no input or output.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from holds_core.client import AsyncHoldClient, HoldClient
from holds_core.errors import (
    HoldConflictError,
    HoldCutoffError,
    HoldOutcomeUnknownError,
    HoldRequestError,
    HoldRetryExhaustedError,
    HoldsError,
    HoldUnavailableError,
)
from holds_core.events.record import Event
from holds_core.events.types import EventType
from holds_core.models import (
    DEFAULT_MAXIMUM_COMBINED,
    Candidate,
    ConflictingWindow,
    Hold,
    HoldRequest,
    Quote,
    QuoteRequest,
    Table,
)

SOURCE = "capacity.selector"


def plan_candidates(
    tables: Iterable[Table], party_size: int, maximum_combined: int = DEFAULT_MAXIMUM_COMBINED
) -> list[Candidate]:
    """Return the tables, and combinations of them, that seat a party, best first.

    Best is the smallest waste of seats, then the fewest tables, then the ids, so that the order is the same every time.
    A combination is connected (each table can be pushed to another of it) and needs every one of its tables: without
    its smallest, the party would not fit.

    Args:
        tables: The restaurant's tables.
        party_size: Guests, at least 1.
        maximum_combined: Most tables in a combination; 1 means no combinations.

    Raises:
        HoldRequestError: The party is smaller than 1, or a table appears twice.
    """
    if party_size < 1:
        raise HoldRequestError(f"A party of {party_size} cannot be seated; it needs at least one guest.")
    by_id: dict[UUID, Table] = {}
    for table in tables:
        if table.id in by_id:
            raise HoldRequestError(f"Table {table.id} is named twice.")
        by_id[table.id] = table
    neighbours = _neighbours(by_id)

    candidates = [
        Candidate((table.id,), table.capacity)
        for table in by_id.values()
        if table.minimum_party <= party_size <= table.capacity
    ]
    connected = {frozenset((table_id,)) for table_id in by_id}
    for _ in range(1, maximum_combined):
        # A set that seats the party already needs no further table.
        connected = {
            group | {neighbour}
            for group in connected
            if _capacity(by_id, group) < party_size
            for table_id in group
            for neighbour in neighbours[table_id] - group
        }
        for group in connected:
            capacity = _capacity(by_id, group)
            if capacity - min(by_id[table_id].capacity for table_id in group) < party_size <= capacity:
                candidates.append(Candidate(tuple(sorted(group)), capacity))
    return sorted(candidates, key=lambda one: (one.capacity - party_size, len(one.table_ids), one.table_ids))


def _neighbours(by_id: Mapping[UUID, Table]) -> dict[UUID, frozenset[UUID]]:
    pairs = {
        (table.id, other)
        for table in by_id.values()
        for other in table.combinable_with
        if other in by_id and other != table.id
    }
    both_ways = pairs | {(other, table_id) for table_id, other in pairs}
    return {table_id: frozenset(other for one, other in both_ways if one == table_id) for table_id in by_id}


def _capacity(by_id: Mapping[UUID, Table], group: Iterable[UUID]) -> int:
    return sum(by_id[table_id].capacity for table_id in group)


@dataclass
class _Search:
    """The state of one search: what comes next, what has been in the way, and how it ended."""

    request: QuoteRequest
    attempts: int = 0
    hold: Hold | None = None
    skip_reason: str | None = None
    error: HoldsError | None = None
    conflicts: list[ConflictingWindow] = field(default_factory=list)
    _started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        planned = plan_candidates(self.request.tables, self.request.party_size, self.request.maximum_combined)
        self._candidates = iter(planned)
        self._untried = len(planned)
        self.planner_ms = self._elapsed_ms()

    def next_request(self) -> HoldRequest | None:
        """Return the next hold to try, or None where the search has ended."""
        if self.hold is not None or self.skip_reason is not None:
            return None
        if self._untried == 0:
            self.skip_reason = "no_capacity"
        elif self.attempts >= self.request.maximum_attempts:
            self.skip_reason = "attempts_exhausted"
        elif self._elapsed_ms() >= self.request.deadline.total_seconds() * 1000:
            self.skip_reason = "deadline"
        else:
            self.attempts += 1
            self._untried -= 1
            return HoldRequest(
                restaurant_id=self.request.restaurant_id,
                table_ids=next(self._candidates).table_ids,
                starts_at=self.request.starts_at,
                ends_at=self.request.ends_at,
                booking_id=self.request.booking_id,
                time_to_live=self.request.time_to_live,
                event_context=self.request.event_context,
            )
        return None

    def failed(self, error: HoldsError) -> None:
        """Take note of a failed try: others' tables are gone on from, anything else ends the search."""
        match error:
            case HoldConflictError():
                self.conflicts.extend(error.conflicts)
            case HoldCutoffError():
                pass  # somebody sits on a lock for this candidate; the next may be free
            case HoldRetryExhaustedError() | HoldUnavailableError() | HoldOutcomeUnknownError():
                self.skip_reason = "error"
                self.error = error
            case _:
                raise error

    def event(self) -> Event:
        """Return the selector's own event; ends the clock."""
        self.total_ms = self._elapsed_ms()
        context: dict[str, Any] = {
            **self.request.event_context,
            "timing": {"totalMs": round(self.total_ms, 3), "plannerMs": round(self.planner_ms, 3)},
            "attempts": self.attempts,
            "partySize": self.request.party_size,
        }
        if self.hold is not None:
            context |= {"holdId": str(self.hold.id), "tableIds": [str(table_id) for table_id in self.hold.table_ids]}
        else:
            is_exhausted = self.skip_reason == "attempts_exhausted" or isinstance(self.error, HoldRetryExhaustedError)
            context |= {"skipReason": self.skip_reason, "retryExhausted": is_exhausted}
        return Event(
            event_type=EventType.SELECTOR_ASSIGNMENT if self.hold is not None else EventType.SELECTOR_SKIPPED,
            source=SOURCE,
            restaurant_id=self.request.restaurant_id,
            booking_id=self.request.booking_id,
            context=context,
        )

    def quote(self, *, is_event_recorded: bool) -> Quote:
        """Return how the search ended."""
        return Quote(
            hold=self.hold,
            attempts=self.attempts,
            skip_reason=self.skip_reason,
            conflicts=tuple(self.conflicts),
            total_ms=self.total_ms,
            planner_ms=self.planner_ms,
            is_event_recorded=is_event_recorded,
        )

    def _elapsed_ms(self) -> float:
        return (time.monotonic() - self._started) * 1000


def quote_tables_for_booking(client: HoldClient, request: QuoteRequest) -> Quote:
    """Hold the best free tables for a booking.

    Candidates are tried in the order of :func:`plan_candidates`. One that another booking holds is recorded as a
    conflict, and the next is tried. The end is recorded as ``capacity.selector.assignment`` or
    ``capacity.selector.skipped``, with timings in milliseconds.

    Returns:
        The quote; ``hold`` is None where the booking got no tables, and ``skip_reason`` says why. Skipping is not an
        exception: a full restaurant is an everyday answer.

    Raises:
        HoldRequestError: The request makes no sense, whichever tables are tried.
    """
    search = _Search(request)
    while (candidate := search.next_request()) is not None:
        try:
            search.hold = client.place(candidate, attempt=search.attempts)
        except HoldsError as error:
            search.failed(error)
    return search.quote(is_event_recorded=client.record(search.event()))


async def quote_tables_for_booking_async(client: AsyncHoldClient, request: QuoteRequest) -> Quote:
    """The same as :func:`quote_tables_for_booking`, for asyncio."""
    search = _Search(request)
    while (candidate := search.next_request()) is not None:
        try:
            search.hold = await client.place(candidate, attempt=search.attempts)
        except HoldsError as error:
            search.failed(error)
    return search.quote(is_event_recorded=await client.record(search.event()))
