"""The values of the holds core: frozen, and free of any database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

DEFAULT_TIME_TO_LIVE = timedelta(minutes=5)
DEFAULT_MAXIMUM_COMBINED = 3


def _new_key() -> str:
    return str(uuid4())


@dataclass(frozen=True, kw_only=True)
class HoldRequest:
    """What a caller wants held.

    Attributes:
        restaurant_id: The restaurant.
        table_ids: One or more of its tables; order and repetition do not matter.
        starts_at: Start of the half-open window ``[starts_at, ends_at)``; must carry a time zone.
        ends_at: End of the window, exclusive; must carry a time zone.
        booking_id: The booking that holds. Holds of one booking never conflict with each other; without a booking, each
            hold stands for itself.
        time_to_live: How long the hold lasts unless it is confirmed; at most a day.
        idempotency_key: Asking again with the same key gives the same hold. Made here unless the caller has one that
            outlives its process.
        event_context: Added to the context of every event of this hold.
        request_fingerprint: What the key stands for where that is more than these tables in this window: a search that
            tries one candidate after another under one key. Asking again with the same key and fingerprint gives the
            hold that one of them got; None means these tables and this window.
    """

    restaurant_id: UUID
    table_ids: tuple[UUID, ...]
    starts_at: datetime
    ends_at: datetime
    booking_id: UUID | None = None
    time_to_live: timedelta = DEFAULT_TIME_TO_LIVE
    idempotency_key: str = field(default_factory=_new_key)
    event_context: Mapping[str, Any] = field(default_factory=dict)
    request_fingerprint: str | None = None


@dataclass(frozen=True, kw_only=True)
class Hold:
    """A hold as the database has it.

    Attributes:
        id: The hold.
        status: held, confirmed, released or expired.
        table_ids: Its tables, sorted.
        starts_at: Start of the half-open window, UTC.
        ends_at: End of the window, exclusive, UTC.
        is_enforced: False where enforcement was off and the hold overlaps another.
        created_at: When it was made, by the database's clock, UTC.
        expires_at: When it ends unless confirmed; None once it is.
        is_replay: Whether this answers a request that had been answered before.
        is_event_recorded: False where the hold stands but its event could neither be stored nor spooled.
    """

    id: UUID
    status: str
    table_ids: tuple[UUID, ...]
    starts_at: datetime
    ends_at: datetime
    is_enforced: bool
    created_at: datetime
    expires_at: datetime | None
    is_replay: bool
    is_event_recorded: bool


@dataclass(frozen=True)
class ConflictingWindow:
    """A window that is in the way of a request. Whose it is, is not said."""

    table_id: UUID
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of a restaurant.

    Attributes:
        id: The table.
        capacity: Most guests it seats.
        minimum_party: Fewest guests it is given to when it stands alone.
        combinable_with: Tables it can be pushed together with; one of the two naming the other is enough.
        minimum_combined_party: Fewest guests it is given to in a combination; each of its tables has a say.
    """

    id: UUID
    capacity: int
    minimum_party: int = 1
    combinable_with: frozenset[UUID] = frozenset()
    minimum_combined_party: int = 1


@dataclass(frozen=True)
class Candidate:
    """Tables that could seat a party: one, or several pushed together."""

    table_ids: tuple[UUID, ...]
    capacity: int


@dataclass(frozen=True, kw_only=True)
class QuoteRequest:
    """A booking that needs tables.

    Windows are absolute, two moments: a time zone says which moment a wall clock means and is of no further account.
    Durations are added as they pass, so that in the night in which clocks change two hours are two hours.

    Attributes:
        restaurant_id: The restaurant.
        tables: Its tables.
        party_size: Guests, at least 1.
        starts_at: When the seating starts; must carry a time zone.
        ends_at: When it ends; must carry a time zone. None: as ``turn_times`` say.
        turn_times: Most guests → how long such a party takes, for example ``{2: timedelta(minutes=90), 6:
            timedelta(hours=2)}``; the largest entry counts for larger parties too.
        buffer: Held beyond the seating's end, for clearing the table. Two seatings with nothing but a buffer between
            them do not overlap.
        blocked_table_ids: Tables that this booking does not get, alone or combined: out of order, kept for walk-ins.
        booking_id: The booking; its own holds are not in its way.
        time_to_live: How long the hold lasts unless it is confirmed.
        maximum_attempts: Candidates tried before giving up.
        maximum_combined: Most tables pushed together; 1 means none.
        deadline: How long the search may take.
        idempotency_key: Asking again with the same key gives the hold that the search got, whichever tables it is on.
            Made here unless the caller has one that outlives its process.
        event_context: Added to the context of every event of this search.
    """

    restaurant_id: UUID
    tables: Sequence[Table]
    party_size: int
    starts_at: datetime
    ends_at: datetime | None = None
    turn_times: Mapping[int, timedelta] = field(default_factory=dict)
    buffer: timedelta = timedelta(0)
    blocked_table_ids: frozenset[UUID] = frozenset()
    booking_id: UUID | None = None
    time_to_live: timedelta = DEFAULT_TIME_TO_LIVE
    maximum_attempts: int = 20
    maximum_combined: int = DEFAULT_MAXIMUM_COMBINED
    deadline: timedelta = timedelta(seconds=10)
    idempotency_key: str = field(default_factory=_new_key)
    event_context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Quote:
    """How the search for a booking's tables ended.

    Attributes:
        hold: The hold, or None where the booking got no tables. Its window includes the buffer. Where the quote was
            asked for before, the hold that it got then, as it is now: see its status.
        starts_at: When the seating starts, UTC.
        ends_at: When the seating ends, UTC, the buffer left out.
        held_until: When the window ends for which the tables are held, or would have been, UTC: the seating and the
            buffer.
        attempts: How many candidates were tried. One whose answer was lost and that was asked for again counts once.
        refusals: How many of them other bookings hold.
        skip_reason: Why there is no hold: ``no_capacity`` (no tables seat the party, or others hold all that do),
            ``attempts_exhausted`` (there were more candidates than were tried), ``rate_limited``, ``deadline`` or
            ``error``; None with a hold.
        is_outcome_unknown: Whether an answer was lost and stayed so, so that there may be a hold after all: repeat the
            quote with its idempotency key, or let it expire. The reason is then ``error``, or ``rate_limited``.
        retry_after: With ``rate_limited``, how long until the restaurant may place a hold again.
        conflicts: The windows that were in the way, of all attempts.
        total_ms: Milliseconds from the call to the decision.
        planner_ms: Milliseconds of that for finding the candidates, and their order.
        is_event_recorded: Whether the selector's own event is stored, or kept in the spool.
    """

    hold: Hold | None
    starts_at: datetime
    ends_at: datetime
    held_until: datetime
    attempts: int
    refusals: int
    skip_reason: str | None
    is_outcome_unknown: bool
    retry_after: timedelta | None
    conflicts: tuple[ConflictingWindow, ...]
    total_ms: float
    planner_ms: float
    is_event_recorded: bool
