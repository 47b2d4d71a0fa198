"""Run the load: many requests in flight at once over a pool of connections, each ending exactly once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

import psycopg

from holds_core import (
    AsyncHoldClient,
    Event,
    EventType,
    Hold,
    HoldConflictError,
    HoldExpiredError,
    HoldOutcomeUnknownError,
    HoldRateLimitError,
    HoldRequest,
    HoldsError,
    HoldUnavailableError,
    QuoteRequest,
    quote_tables_for_booking_async,
)
from orchestration.soak.scenario import FollowUp, SoakRequest

# With a thousand callers over fifty connections most of a call is waiting for a turn; that is no fault. Nor is a server
# that is started anew meanwhile; one that stays away for so long ends the soak.
_DEADLINE = timedelta(minutes=1)
_ALL = 1_000_000


class DatabaseAwayError(HoldsError):
    """The database went away in the middle, and did not come back."""

    def __init__(self, answered: int, requested: int) -> None:
        super().__init__(
            f"The database went away, and did not come back for {_DEADLINE.total_seconds():.0f} s: {answered:,} of "
            f"{requested:,} requests were answered. What they hold expires by itself; soak again once it is up."
        )


@dataclass(frozen=True, kw_only=True)
class Told:
    """What one caller was told: an entry of the ledger.

    Attributes:
        request: What it asked for.
        outcome: held, conflict, limited or error.
        hold: The hold it was given.
        refusals: How many tries were refused because of a conflict.
        final_status: What it was told of the hold last: held, confirmed, released or expired.
        error: What went wrong, for people.
        is_outcome_unknown: Whether the answer was lost for good, so that there may be a hold that it does not know of.
        latency_ms: From asking to the answer.
        asked_at: When it asked; seconds of the monotonic clock, like the next two.
        held_at: When it heard that it holds.
        let_go_at: When it asked to release; None while it believes to hold.
    """

    request: SoakRequest
    outcome: str
    hold: Hold | None = None
    refusals: int = 0
    final_status: str | None = None
    error: str | None = None
    is_outcome_unknown: bool = False
    latency_ms: float
    asked_at: float
    held_at: float | None = None
    let_go_at: float | None = None


@dataclass(frozen=True)
class LoadResult:
    """What all callers were told, and how long it took."""

    told: list[Told]
    seconds: float
    most_in_flight: int


async def run_load(
    url: str,
    requests: Sequence[SoakRequest],
    *,
    concurrency: int,
    connections: int,
    on_progress: Callable[[int], None] = lambda done: None,
) -> LoadResult:
    """Send the requests, ``concurrency`` of them in flight at any time, over ``connections`` connections.

    The first ones wait for each other behind a barrier; from then on whoever is done takes the next.

    Raises:
        DatabaseAwayError: It stayed away longer than a call may take.
    """
    waiting = iter(requests)
    told: list[Told] = []
    in_flight = 0
    most_in_flight = 0
    callers = min(concurrency, len(requests))
    barrier = asyncio.Barrier(callers + 1)

    async with AsyncHoldClient.connect(url, max_connections=connections, deadline=_DEADLINE) as client:

        async def caller() -> None:
            nonlocal in_flight, most_in_flight
            await barrier.wait()
            for request in waiting:
                in_flight += 1
                most_in_flight = max(most_in_flight, in_flight)
                told.append(await _ask(client, request))
                in_flight -= 1
                on_progress(len(told))

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(callers):
                    group.create_task(caller())
                await barrier.wait()
                started = time.monotonic()
        except* HoldUnavailableError:
            raise DatabaseAwayError(len(told), len(requests)) from None
        return LoadResult(told, time.monotonic() - started, most_in_flight)


async def release_all(url: str, hold_ids: Sequence[UUID], *, connections: int) -> None:
    """Release these holds, and sweep what has expired."""
    async with AsyncHoldClient.connect(url, max_connections=connections, deadline=_DEADLINE) as client:
        waiting = iter(hold_ids)

        async def releaser() -> None:
            for hold_id in waiting:
                await client.release(hold_id)

        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(releaser())
        # What was taken over in part has windows left that are nobody's any more.
        await client.expire(limit=_ALL)


async def _ask(client: AsyncHoldClient, request: SoakRequest) -> Told:
    asked_at = time.monotonic()
    hold: Hold | None = None
    refusals = 0
    error = None
    is_limited = False
    is_outcome_unknown = False
    try:
        if isinstance(request.ask, QuoteRequest):
            quote = await quote_tables_for_booking_async(client, request.ask)
            hold = quote.hold
            is_limited = quote.skip_reason == "rate_limited"
            is_outcome_unknown = quote.is_outcome_unknown
            refusals = quote.refusals
            if quote.skip_reason not in (None, "no_capacity", "attempts_exhausted", "rate_limited"):
                error = f"skipped: {quote.skip_reason}"
        else:
            hold = await client.place(request.ask)
    except HoldConflictError:
        refusals = 1
    except HoldRateLimitError:
        is_limited = True
    except HoldUnavailableError:
        raise  # the others would each wait as long
    except (HoldsError, psycopg.Error) as failure:
        error = f"{type(failure).__name__}: {failure}"
        is_outcome_unknown = isinstance(failure, HoldOutcomeUnknownError)
    held_at = time.monotonic()
    told = Told(
        request=request,
        outcome=_outcome(hold, error, is_limited=is_limited),
        hold=hold,
        refusals=refusals,
        error=error,
        is_outcome_unknown=is_outcome_unknown,
        latency_ms=(held_at - asked_at) * 1000,
        asked_at=asked_at,
        held_at=None if hold is None else held_at,
    )
    if hold is not None:
        return await _follow_up(client, told, hold)
    if told.outcome == "conflict" and request.is_taken_up_by_staff:
        await client.record(_validation_by_hand(request))
    return told


def _outcome(hold: Hold | None, error: str | None, *, is_limited: bool) -> str:
    if error is not None:
        return "error"
    if hold is not None:
        return "held"
    return "limited" if is_limited else "conflict"


def _validation_by_hand(request: SoakRequest) -> Event:
    """Staff look at a booking that got no table; their tool does not say for which restaurant."""
    return Event(
        event_type=EventType.MANUAL_VALIDATE,
        source="staff.console",
        booking_id=request.ask.booking_id,
        context={**request.ask.event_context, "outcome": "refused", "reason": "no table free"},
    )


async def _follow_up(client: AsyncHoldClient, told: Told, hold: Hold) -> Told:
    """Do what the caller does next, and note the status it is told last."""
    request = told.request
    let_go_at = None
    status = hold.status
    try:
        match request.follow_up:
            case FollowUp.RELEASE:
                let_go_at = time.monotonic()
                status = (await client.release(hold.id)).status
            case FollowUp.CONFIRM:
                try:
                    status = (await client.confirm(hold.id)).status
                except HoldExpiredError:
                    status = "expired"
            case FollowUp.REPEAT if isinstance(request.ask, HoldRequest):
                # As if the answer had been lost: the same key again must give the same hold.
                again = await client.place(request.ask)
                status = again.status
                if again.id != hold.id:
                    return replace(told, outcome="error", error=f"one key, two holds: {hold.id} and {again.id}")
            case _:
                pass
    except (HoldsError, psycopg.Error) as failure:
        return replace(told, outcome="error", error=f"{request.follow_up}: {type(failure).__name__}: {failure}")
    return replace(told, final_status=status, let_go_at=let_go_at)
