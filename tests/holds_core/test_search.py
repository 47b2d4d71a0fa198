"""What a search makes of the answers that it gets, or does not get. No database: the answers are written down here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holds_core import (
    ConflictingWindow,
    Hold,
    HoldConflictError,
    HoldCutoffError,
    HoldOutcomeUnknownError,
    HoldRateLimitError,
    HoldRequest,
    HoldRetryExhaustedError,
    HoldsError,
    HoldUnavailableError,
    Quote,
    QuoteRequest,
    Table,
    quote_tables_for_booking,
    quote_tables_for_booking_async,
    seating,
    selector,
)
from holds_core.events.record import Event
from holds_core.selector import MOST_REPEATS, SHORTEST_TRY
from tests.holds_core.conftest import EVENING
from tests.holds_core.restaurants import IDS, restaurants

TWOS = [Table(id=table_id, capacity=2, combinable_with=frozenset(IDS)) for table_id in IDS[:3]]
LOST = HoldOutcomeUnknownError()
HELD = None


def taken(*table_ids: UUID) -> HoldConflictError:
    """A refusal that names these tables."""
    return HoldConflictError([ConflictingWindow(one, EVENING, EVENING + timedelta(hours=2)) for one in table_ids])


@dataclass
class Clock:
    """A clock that goes on only as it is told to."""

    seconds: float = 0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The selector's clock."""
    made = Clock()
    monkeypatch.setattr(selector, "time", SimpleNamespace(monotonic=made.monotonic))
    return made


@dataclass
class Answering:
    """Gives these answers, each after so many seconds, and keeps what it was asked; None is a hold."""

    answers: Iterable[HoldsError | None]
    clock: Clock = field(default_factory=Clock)
    seconds_each: float = 0
    asked: list[HoldRequest] = field(default_factory=list)
    deadlines: list[timedelta | None] = field(default_factory=list)
    attempts: list[int] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    taken: Sequence[UUID] | HoldsError = ()
    looked_at: list[tuple[object, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._answers: Iterator[HoldsError | None] = iter(self.answers)

    def place(self, request: HoldRequest, *, attempt: int = 1, deadline: timedelta | None = None) -> Hold:
        self.asked.append(request)
        self.attempts.append(attempt)
        self.deadlines.append(deadline)
        self.clock.seconds += self.seconds_each
        if (answer := next(self._answers)) is not None:
            raise answer
        return Hold(
            id=uuid4(),
            status="held",
            table_ids=request.table_ids,
            starts_at=request.starts_at,
            ends_at=request.ends_at,
            is_enforced=True,
            created_at=EVENING,
            expires_at=EVENING,
            is_replay=False,
            is_event_recorded=True,
        )

    def record(self, event: Event) -> bool:
        self.events.append(event)
        return True

    def find_conflicts(
        self,
        table_ids: Sequence[UUID],
        starts_at: datetime,
        ends_at: datetime,
        booking_id: UUID | None = None,
        *,
        deadline: timedelta | None = None,
    ) -> list[ConflictingWindow]:
        self.looked_at.append((tuple(table_ids), starts_at, ends_at, booking_id, deadline is not None))
        if isinstance(self.taken, HoldsError):
            raise self.taken
        return [ConflictingWindow(table_id, starts_at, ends_at) for table_id in self.taken]


def make_request(**changes: object) -> QuoteRequest:
    """Two guests, three tables for two."""
    values: dict[str, Any] = {
        "restaurant_id": UUID(int=100),
        "tables": TWOS,
        "party_size": 2,
        "starts_at": EVENING,
        "ends_at": EVENING + timedelta(hours=2),
    }
    return QuoteRequest(**(values | changes))


def ended(quote: Quote, client: Answering) -> tuple[str | None, bool, bool]:
    """Return how a search ended: why, whether a hold may be there, and what its event says of retries."""
    (event,) = client.events
    assert event.context.get("skipReason") == quote.skip_reason
    assert event.context["attempts"] == quote.attempts
    return quote.skip_reason, quote.is_outcome_unknown, event.context["retryExhausted"]


def test_lost_answer_is_asked_for_again() -> None:
    """The same tables, under the same key; the booking has tried one candidate."""
    client = Answering([LOST, HELD])
    quote = quote_tables_for_booking(client, make_request())

    assert quote.hold is not None
    assert (quote.attempts, quote.is_outcome_unknown, client.attempts) == (1, False, [1, 1])
    assert client.asked[0] == client.asked[1]


def test_answer_that_stays_lost_is_gone_on_from() -> None:
    """The next candidate's call finds what was held; all under one key."""
    client = Answering([LOST] * (1 + MOST_REPEATS) + [HELD])
    quote = quote_tables_for_booking(client, make_request())

    assert (quote.attempts, quote.is_outcome_unknown, quote.skip_reason) == (2, False, None)
    assert [one.table_ids for one in client.asked] == [(IDS[0],)] * (1 + MOST_REPEATS) + [(IDS[1],)]
    assert len({(one.idempotency_key, one.request_fingerprint) for one in client.asked}) == 1


def test_outcome_that_stays_unknown_is_said() -> None:
    """Whatever the reason would have been otherwise: the caller is to repeat the quote."""
    lost = [LOST] * (1 + MOST_REPEATS)
    for answers, changes in (
        (lost * 3, {}),
        (lost, {"maximum_attempts": 1}),
        ([*lost, taken(IDS[1]), taken(IDS[2])], {}),
        ([*lost, HoldCutoffError(), HoldCutoffError()], {}),
        ([*lost, HoldUnavailableError()], {}),
    ):
        client = Answering(answers)
        quote = quote_tables_for_booking(client, make_request(**changes))
        assert ended(quote, client) == ("error", True, True)
        assert len(client.asked) == len(answers)


def test_lost_answer_after_the_deadline_ends_the_search(clock: Clock) -> None:
    """There is no time left to ask for it again."""
    client = Answering([LOST], clock=clock, seconds_each=10)

    assert ended(quote_tables_for_booking(client, make_request()), client) == ("error", True, True)


def test_refusal_of_the_same_tables_settles_a_lost_answer() -> None:
    """What refuses them now refused the lost try too; a refusal of other tables says nothing of it."""
    client = Answering([LOST, taken(IDS[0]), taken(IDS[1]), taken(IDS[2])])
    quote = quote_tables_for_booking(client, make_request())

    assert ended(quote, client) == ("no_capacity", False, False)
    assert (quote.attempts, quote.refusals) == (3, 3)


def test_rate_limit_ends_the_search_and_keeps_what_is_unknown() -> None:
    """Its time to come again is of use in either case."""
    limited = HoldRateLimitError(timedelta(seconds=30))
    for answers, is_unknown in (([limited], False), ([LOST, limited], True)):
        client = Answering(answers)
        quote = quote_tables_for_booking(client, make_request())
        assert ended(quote, client) == ("rate_limited", is_unknown, is_unknown)
        assert quote.retry_after == timedelta(seconds=30)


def test_exhausted_retries_are_marked() -> None:
    """Nothing is held, and trying has not helped; an absent database was not retried for nothing."""
    for answer, is_exhausted in ((HoldRetryExhaustedError(5), True), (HoldUnavailableError(), False)):
        client = Answering([answer])
        assert ended(quote_tables_for_booking(client, make_request()), client) == ("error", False, is_exhausted)


def test_each_try_gets_what_is_left_of_the_time(clock: Clock) -> None:
    """And a little where hardly anything is; when it is over, no more is tried."""
    client = Answering([HoldCutoffError()] * 3, clock=clock, seconds_each=0.49)
    quote = quote_tables_for_booking(client, make_request(deadline=timedelta(seconds=1)))

    assert client.deadlines == [timedelta(seconds=1), timedelta(seconds=0.51), SHORTEST_TRY]
    # Who sat on them may have let go: that is no full restaurant.
    assert (quote.attempts, quote.skip_reason) == (3, "attempts_exhausted")
    late = Answering([HoldCutoffError()], clock=clock, seconds_each=2)
    quote = quote_tables_for_booking(late, make_request(deadline=timedelta(seconds=1)))
    assert (quote.attempts, quote.skip_reason) == (1, "deadline")


def test_taken_tables_are_not_asked_for_again() -> None:
    """Combined with others they would be refused as well; what is left may do."""
    client = Answering([taken(IDS[0]), HELD])
    quote = quote_tables_for_booking(client, make_request(party_size=4))

    assert [one.table_ids for one in client.asked] == [(IDS[0], IDS[1]), (IDS[1], IDS[2])]
    assert quote.hold is not None


def test_unfinished_plan_is_not_a_full_restaurant(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that was looked at is taken, and not all was looked at."""
    monkeypatch.setattr(seating, "MOST_STEPS", 1)
    client = Answering([taken(IDS[0])])

    assert ended(quote_tables_for_booking(client, make_request(party_size=4)), client) == (
        "attempts_exhausted", False, True,
    )  # fmt: skip


def test_buffer_is_as_long_when_clocks_change() -> None:
    """The seating ends before the clocks go back, and its quarter of an hour after."""
    ends_at = datetime(2026, 10, 25, 2, 50, tzinfo=ZoneInfo("Europe/Berlin"))
    request = make_request(starts_at=ends_at - timedelta(hours=2), ends_at=ends_at, buffer=timedelta(minutes=15))
    client = Answering([HELD])
    quote = quote_tables_for_booking(client, request)

    assert quote.ends_at == datetime(2026, 10, 25, 0, 50, tzinfo=UTC)
    assert quote.held_until == datetime(2026, 10, 25, 1, 5, tzinfo=UTC)
    (asked,) = client.asked
    assert asked.ends_at.astimezone(UTC) == quote.held_until


def fingerprint_of(request: QuoteRequest) -> str | None:
    """Return what a search's key stands for."""
    client = Answering([HELD])
    quote_tables_for_booking(client, request)
    return client.asked[0].request_fingerprint


@given(restaurants(), st.randoms())
def test_fingerprint_is_of_the_question_alone(tables: list[Table], chance: object) -> None:
    """Not of the tables, their order or the zone that the times are written in."""
    request = make_request(tables=[*tables, Table(id=UUID(int=50), capacity=9)])
    shuffled = list(request.tables)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    elsewhere = request.starts_at.astimezone(ZoneInfo("America/New_York"))

    assert fingerprint_of(request) == fingerprint_of(replace(request, tables=shuffled, starts_at=elsewhere))
    assert fingerprint_of(request) == fingerprint_of(replace(request, blocked_table_ids=frozenset(IDS)))


def test_fingerprint_differs_for_another_question() -> None:
    """Another party, another time, and the same window held for another seating."""
    hour = timedelta(hours=1)
    questions = [
        make_request(),
        make_request(party_size=1),
        make_request(starts_at=EVENING + hour),
        make_request(ends_at=EVENING + hour),
        make_request(ends_at=EVENING + hour, buffer=hour),
    ]
    assert len({fingerprint_of(question) for question in questions}) == len(questions)


def test_async_search_asks_again_too() -> None:
    """The same decisions, awaited."""

    class Awaited:
        def __init__(self, inner: Answering) -> None:
            self.inner = inner

        async def place(self, request: HoldRequest, *, attempt: int = 1, deadline: timedelta | None = None) -> Hold:
            return self.inner.place(request, attempt=attempt, deadline=deadline)

        async def record(self, event: Event) -> bool:
            return self.inner.record(event)

        async def find_conflicts(self, *asked: Any, deadline: timedelta | None = None) -> list[ConflictingWindow]:
            return self.inner.find_conflicts(*asked, deadline=deadline)

    client = Answering([LOST, taken(IDS[0]), HELD])
    quote = asyncio.run(quote_tables_for_booking_async(Awaited(client), make_request()))

    assert quote.hold is not None
    assert (quote.attempts, quote.refusals, len(client.asked)) == (2, 1, 3)
