"""Find tables for a booking: order the candidates, try to hold them in turn, record how it ended.

``quote_tables_for_booking`` and its asyncio twin differ only in who waits; what to try next and what is recorded is
:class:`_Search`, which does no input or output. What could be tried at all is :mod:`holds_core.seating`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol
from uuid import UUID, uuid5

from holds_core.errors import (
    HoldConflictError,
    HoldCutoffError,
    HoldOutcomeUnknownError,
    HoldRateLimitError,
    HoldRequestError,
    HoldRetryExhaustedError,
    HoldsError,
    HoldUnavailableError,
)
from holds_core.events.record import Event
from holds_core.events.types import EventType
from holds_core.flags.client import Flags
from holds_core.flags.model import Flag
from holds_core.flags.values import FlagValue
from holds_core.models import Candidate, ConflictingWindow, Hold, HoldRequest, Quote, QuoteRequest
from holds_core.seating import CandidatePlan, later, seating_ends_at


class HoldPlacer(Protocol):
    """What places holds and records events: :class:`~holds_core.client.HoldClient`, or its twin over Supabase's API."""

    def find_conflicts(
        self,
        table_ids: Sequence[UUID],
        starts_at: datetime,
        ends_at: datetime,
        booking_id: UUID | None = None,
        *,
        deadline: timedelta | None = None,
    ) -> list[ConflictingWindow]:
        """See :meth:`holds_core.client.HoldClient.find_conflicts`; asked where ``selector.lookahead`` is on."""

    def place(self, request: HoldRequest, *, attempt: int = 1, deadline: timedelta | None = None) -> Hold:
        """See :meth:`holds_core.client.HoldClient.place`."""

    def record(self, event: Event) -> bool:
        """See :meth:`holds_core.client.HoldClient.record`."""


class AsyncHoldPlacer(Protocol):
    """The same for asyncio."""

    async def find_conflicts(
        self,
        table_ids: Sequence[UUID],
        starts_at: datetime,
        ends_at: datetime,
        booking_id: UUID | None = None,
        *,
        deadline: timedelta | None = None,
    ) -> list[ConflictingWindow]:
        """See :meth:`holds_core.client.HoldClient.find_conflicts`."""

    async def place(self, request: HoldRequest, *, attempt: int = 1, deadline: timedelta | None = None) -> Hold:
        """See :meth:`holds_core.client.HoldClient.place`."""

    async def record(self, event: Event) -> bool:
        """See :meth:`holds_core.client.HoldClient.record`."""


SHORTEST_TRY = timedelta(milliseconds=50)
"""What is left of a search's time may be less than any database needs; a try gets at least this."""

MOST_REPEATS = 2
"""How often a candidate whose answer was lost is asked for again, each time with all that is left of the time: the
client asks again by itself, and gives up early only where a lock is in the way."""

SOURCE = "capacity.selector"


class _Ways(NamedTuple):
    """How a search goes about it, where feature flags say otherwise than the request or the code.

    Attributes:
        maximum_combined: Most tables pushed together.
        maximum_attempts: Candidates tried before giving up.
        most_repeats: How often a candidate whose answer was lost is asked for again.
        looks_ahead: Whether taken tables are asked for, and left out, before any is tried.
        flags: What was asked and answered, for the events of the search; empty where there are no flags.
    """

    maximum_combined: int
    maximum_attempts: int
    most_repeats: int = MOST_REPEATS
    looks_ahead: bool = False
    flags: Mapping[str, FlagValue] = MappingProxyType({})


def _ways(request: QuoteRequest, flags: Flags | None) -> _Ways:
    if flags is None:
        return _Ways(request.maximum_combined, request.maximum_attempts)
    restaurant_id = request.restaurant_id
    combines = flags.is_on(Flag.COMBINATIONS, restaurant_id, default=True)
    repeats = flags.is_on(Flag.REPEAT_LOST_ANSWERS, restaurant_id, default=True)
    looks_ahead = flags.is_on(Flag.LOOKAHEAD, restaurant_id, default=False)
    limit = flags.number(Flag.ATTEMPT_LIMIT, restaurant_id, default=0)
    return _Ways(
        request.maximum_combined if combines else min(1, request.maximum_combined),
        min(limit, request.maximum_attempts) if limit > 0 else request.maximum_attempts,
        MOST_REPEATS if repeats else 0,
        looks_ahead,
        {
            Flag.COMBINATIONS: combines,
            Flag.REPEAT_LOST_ANSWERS: repeats,
            Flag.LOOKAHEAD: looks_ahead,
            Flag.ATTEMPT_LIMIT: limit,
        },
    )


@dataclass
class _Search:
    """The state of one search: what comes next, what has been in the way, and how it ended."""

    request: QuoteRequest
    ways: _Ways
    attempts: int = 0
    refusals: int = 0
    hold: Hold | None = None
    skip_reason: str | None = None
    retry_after: timedelta | None = None
    conflicts: list[ConflictingWindow] = field(default_factory=list)
    planner_ms: float = 0
    _is_exhausted: bool = False
    _is_any_cut_off: bool = False
    _candidate: Candidate | None = None
    _best: Candidate | None = None
    _unanswered: set[Candidate] = field(default_factory=set)
    _repeats_left: int = 0
    _is_to_be_repeated: bool = False

    def __post_init__(self) -> None:
        self._started = time.monotonic()
        request = self.request
        if request.buffer < timedelta(0):
            raise HoldRequestError("A buffer cannot be negative.")
        self.ends_at = seating_ends_at(request.starts_at, request.party_size, request.ends_at, request.turn_times)
        self.held_until = later(self.ends_at, request.buffer)
        self._plan = self._new_plan()
        self.planner_ms = self._elapsed_ms()

    def remaining(self) -> timedelta:
        """Return how long the next try may take."""
        return max(self.request.deadline - timedelta(milliseconds=self._elapsed_ms()), SHORTEST_TRY)

    def tables_to_look_at(self) -> list[UUID]:
        """Return the tables to ask about before any is tried; none where the search does not look ahead."""
        if not self.ways.looks_ahead:
            return []
        return [table.id for table in self.request.tables if table.id not in self.request.blocked_table_ids]

    def leave_out(self, taken: Sequence[ConflictingWindow]) -> None:
        """Try none of the tables that are taken. Only placing a hold decides, so what is free may not be any more."""
        self._best = next(self._new_plan(), None)
        self._plan.leave_out(window.table_id for window in taken)

    def next_request(self) -> HoldRequest | None:
        """Return the next hold to try, or None where the search has ended."""
        if self.hold is not None or self.skip_reason is not None:
            return None
        is_time_over = self._elapsed_ms() >= self.request.deadline.total_seconds() * 1000
        if self._is_to_be_repeated and not is_time_over:
            self._is_to_be_repeated = False
            return self._hold_request()
        self._candidate = self._next_candidate()
        if self._candidate is None and self.attempts == 0:
            # All are taken, perhaps by the hold that this very quote got when it was asked for before: its key knows.
            self._candidate, self._best = self._best, None
        if self._candidate is None:
            is_full = self._plan.is_complete and not self._is_any_cut_off
            self._end("no_capacity" if is_full else "attempts_exhausted")
        elif self.attempts >= self.ways.maximum_attempts:
            self._end("attempts_exhausted")
        elif is_time_over:
            self._end("deadline")
        else:
            self.attempts += 1
            self._repeats_left = self.ways.most_repeats
            return self._hold_request()
        return None

    def failed(self, error: HoldsError) -> None:
        """Take note of a failed try: others' tables are gone on from, a lost answer is asked for again."""
        match error:
            case HoldConflictError():
                self.refusals += 1
                self.conflicts.extend(error.conflicts)
                # The same window was refused on them: whatever else they are combined with, it would be again.
                self._plan.leave_out(window.table_id for window in error.conflicts)
                # What is in the way of these tables is in the way of a lost try of them, too. A lost try of others may
                # be under way yet: this answer has not waited for it.
                self._unanswered.discard(self._current())
            case HoldCutoffError():
                # Somebody sits on a lock for this candidate, which may be free after all; the next may be, too.
                self._is_any_cut_off = True
            case HoldOutcomeUnknownError():
                self._unanswered.add(self._current())
                self._is_to_be_repeated = self._repeats_left > 0
                self._repeats_left -= 1
            case HoldRateLimitError():
                self.skip_reason = "rate_limited"
                self.retry_after = error.retry_after
            case HoldRetryExhaustedError() | HoldUnavailableError():
                self.skip_reason = "error"
                self._is_exhausted = isinstance(error, HoldRetryExhaustedError)
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
        if self.ways.flags:
            context["flags"] = dict(self.ways.flags)
        if self.hold is not None:
            context |= {"holdId": str(self.hold.id), "tableIds": [str(table_id) for table_id in self.hold.table_ids]}
        else:
            is_exhausted = self.skip_reason == "attempts_exhausted" or self._is_exhausted or bool(self._unanswered)
            context |= {"skipReason": self.skip_reason, "retryExhausted": is_exhausted}
        # One assignment for each hold: a repeated quote finds the same hold, and says the same event again.
        identity: dict[str, Any] = (
            {} if self.hold is None
            else {"id": uuid5(self.hold.id, EventType.SELECTOR_ASSIGNMENT), "occurred_at": self.hold.created_at}
        )  # fmt: skip
        return Event(
            event_type=EventType.SELECTOR_ASSIGNMENT if self.hold is not None else EventType.SELECTOR_SKIPPED,
            source=SOURCE,
            restaurant_id=self.request.restaurant_id,
            booking_id=self.request.booking_id,
            context=context,
            **identity,
        )

    def quote(self, *, is_event_recorded: bool) -> Quote:
        """Return how the search ended."""
        return Quote(
            hold=self.hold,
            starts_at=self.request.starts_at.astimezone(UTC),
            ends_at=self.ends_at.astimezone(UTC),
            held_until=self.held_until.astimezone(UTC),
            attempts=self.attempts,
            refusals=self.refusals,
            skip_reason=self.skip_reason,
            is_outcome_unknown=self.hold is None and bool(self._unanswered),
            retry_after=self.retry_after,
            conflicts=tuple(self.conflicts),
            total_ms=self.total_ms,
            planner_ms=self.planner_ms,
            is_event_recorded=is_event_recorded,
        )

    def _new_plan(self) -> CandidatePlan:
        request = self.request
        return CandidatePlan(request.tables, request.party_size, self.ways.maximum_combined, request.blocked_table_ids)

    def _next_candidate(self) -> Candidate | None:
        began_ms = self._elapsed_ms()
        candidate = next(self._plan, None)
        self.planner_ms += self._elapsed_ms() - began_ms
        return candidate

    def _current(self) -> Candidate:
        assert self._candidate is not None
        return self._candidate

    def _hold_request(self) -> HoldRequest:
        request = self.request
        return HoldRequest(
            restaurant_id=request.restaurant_id,
            table_ids=self._current().table_ids,
            starts_at=request.starts_at,
            ends_at=self.held_until,
            booking_id=request.booking_id,
            time_to_live=request.time_to_live,
            # One key for all candidates: a refused one stores none, and one that was held although its answer was lost
            # is what the next try gets, whatever it asks for.
            idempotency_key=request.idempotency_key,
            request_fingerprint=self._fingerprint(),
            event_context=request.event_context,
        )

    def _fingerprint(self) -> str:
        """Return what the key stands for: the search, not the tables that there are or that it happens to try.

        The database adds the restaurant and the booking.
        """
        request = self.request
        times = (request.starts_at, self.ends_at, self.held_until)
        return "|".join(["quote", str(request.party_size), *(one.astimezone(UTC).isoformat() for one in times)])

    def _end(self, reason: str) -> None:
        """End without a hold that is known of."""
        self.skip_reason = "error" if self._unanswered else reason

    def _elapsed_ms(self) -> float:
        return (time.monotonic() - self._started) * 1000


def quote_tables_for_booking(client: HoldPlacer, request: QuoteRequest, flags: Flags | None = None) -> Quote:
    """Hold the best free tables for a booking.

    Candidates are tried in the order of a :class:`~holds_core.seating.CandidatePlan`. One that another booking holds is
    recorded as a conflict, and the next without the tables that were in the way is tried. The end is recorded as
    ``capacity.selector.assignment`` or ``capacity.selector.skipped``, with timings in milliseconds.

    It is safe to repeat under its idempotency key, and never makes two holds: a try whose answer was lost is asked for
    again, and what it got is found by that, by the next candidate, or by the next quote with this key.

    Args:
        client: What places the holds.
        request: The booking.
        flags: The feature flags to heed, as they are when the search begins; None means the defaults.

    Returns:
        The quote; ``hold`` is None where the booking got no tables, and ``skip_reason`` says why. Skipping is not an
        exception: a full restaurant is an everyday answer.

    Raises:
        HoldRequestError: The request makes no sense, whichever tables are tried.
    """
    search = _Search(request, _ways(request, flags))
    if tables := search.tables_to_look_at():
        # To know what is taken saves tries; not to know it costs nothing but those.
        with suppress(HoldsError):
            window = (request.starts_at, search.held_until)
            search.leave_out(client.find_conflicts(tables, *window, request.booking_id, deadline=search.remaining()))
    while (candidate := search.next_request()) is not None:
        try:
            search.hold = client.place(candidate, attempt=search.attempts, deadline=search.remaining())
        except HoldsError as error:
            search.failed(error)
    return search.quote(is_event_recorded=client.record(search.event()))


async def quote_tables_for_booking_async(
    client: AsyncHoldPlacer, request: QuoteRequest, flags: Flags | None = None
) -> Quote:
    """The same as :func:`quote_tables_for_booking`, for asyncio."""
    search = _Search(request, _ways(request, flags))
    if tables := search.tables_to_look_at():
        with suppress(HoldsError):
            window = (request.starts_at, search.held_until)
            search.leave_out(
                await client.find_conflicts(tables, *window, request.booking_id, deadline=search.remaining())
            )
    while (candidate := search.next_request()) is not None:
        try:
            search.hold = await client.place(candidate, attempt=search.attempts, deadline=search.remaining())
        except HoldsError as error:
            search.failed(error)
    return search.quote(is_event_recorded=await client.record(search.event()))
