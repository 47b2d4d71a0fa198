"""Which tables are tried, in which order, and how the search ends."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holds_core import (
    AsyncHoldClient,
    HoldClient,
    HoldRequestError,
    QuoteRequest,
    Table,
    plan_candidates,
    quote_tables_for_booking,
    quote_tables_for_booking_async,
)
from tests.holds_core.conftest import EVENING, MakeRequest

IDS = [UUID(int=number) for number in range(1, 9)]


def tables(*capacities: int, in_a_row: bool = True) -> list[Table]:
    """Tables with these capacities; each can be pushed to the next unless told otherwise."""
    return [
        Table(id=IDS[n], capacity=capacity, combinable_with=frozenset(IDS[n + 1 : n + 2]) if in_a_row else frozenset())
        for n, capacity in enumerate(capacities)
    ]


def test_smallest_waste_comes_first() -> None:
    """Then the fewest tables, then the ids."""
    planned = plan_candidates(tables(2, 2, 4, 8), party_size=4)

    assert [candidate.table_ids for candidate in planned] == [
        (IDS[2],),  # 4 seats, one table
        (IDS[0], IDS[1]),  # 4 seats, two tables; with the four-top, one of them would be superfluous
        (IDS[3],),  # 8 seats
    ]


def test_tables_that_are_apart_are_not_combined() -> None:
    """Only neighbours can be pushed together, directly or through a third."""
    assert plan_candidates(tables(2, 2, 2, in_a_row=False), party_size=4) == []
    assert [one.table_ids for one in plan_candidates(tables(2, 2, 2), party_size=6)] == [tuple(IDS[:3])]
    assert [one.table_ids for one in plan_candidates(tables(2, 2, 2), party_size=4)] == [
        (IDS[0], IDS[1]),
        (IDS[1], IDS[2]),
    ]


def test_small_parties_do_not_get_tables_with_a_minimum() -> None:
    """A table's minimum party counts when it stands alone."""
    table = Table(id=IDS[0], capacity=8, minimum_party=5)

    assert plan_candidates([table], party_size=4) == []
    assert len(plan_candidates([table], party_size=5)) == 1


def test_impossible_plans_are_the_callers_fault() -> None:
    """No party, or a table named twice."""
    with pytest.raises(HoldRequestError, match="party of 0"):
        plan_candidates(tables(2), party_size=0)
    with pytest.raises(HoldRequestError, match="named twice"):
        plan_candidates([*tables(2), *tables(2)], party_size=1)


@given(
    capacities=st.lists(st.integers(1, 10), min_size=1, max_size=8),
    edges=st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7))),
    party_size=st.integers(1, 20),
    maximum_combined=st.integers(1, 4),
    order=st.randoms(use_true_random=False),
)
def test_plans_are_sound(
    capacities: list[int], edges: set[tuple[int, int]], party_size: int, maximum_combined: int, order: object
) -> None:
    """Every candidate seats the party, is connected and needs each of its tables; the input's order is no matter."""
    restaurant = [
        Table(id=IDS[n], capacity=capacity, combinable_with=frozenset(IDS[b] for a, b in edges if a == n))
        for n, capacity in enumerate(capacities)
    ]
    planned = plan_candidates(restaurant, party_size, maximum_combined)

    by_id = {table.id: table for table in restaurant}
    neighbours = {
        table.id: {
            other.id
            for other in restaurant
            if other.id != table.id and (other.id in table.combinable_with or table.id in other.combinable_with)
        }
        for table in restaurant
    }
    for candidate in planned:
        seats = [by_id[table_id].capacity for table_id in candidate.table_ids]
        assert candidate.capacity == sum(seats) >= party_size
        assert len(set(candidate.table_ids)) == len(candidate.table_ids) <= maximum_combined
        assert len(seats) == 1 or sum(seats) - min(seats) < party_size
        reached, frontier = set(), {candidate.table_ids[0]}
        while frontier:
            reached |= frontier
            frontier = {n for one in frontier for n in neighbours[one] & set(candidate.table_ids)} - reached
        assert reached == set(candidate.table_ids)
    wastes = [candidate.capacity for candidate in planned]
    assert wastes == sorted(wastes)
    assert len({candidate.table_ids for candidate in planned}) == len(planned)
    order.shuffle(restaurant)  # type: ignore[attr-defined]
    assert plan_candidates(restaurant, party_size, maximum_combined) == planned
    # Nothing is forgotten among the single tables.
    singles = {table.id for table in restaurant if table.capacity >= party_size}
    assert {candidate.table_ids[0] for candidate in planned if len(candidate.table_ids) == 1} == singles


def quote_request(restaurant_id: UUID, *capacities: int, party_size: int, **changes: object) -> QuoteRequest:
    """A booking for these tables, 18:00 to 20:00."""
    values: dict[str, Any] = {
        "restaurant_id": restaurant_id,
        "tables": tables(*capacities),
        "party_size": party_size,
        "starts_at": EVENING,
        "ends_at": EVENING + timedelta(hours=2),
        "booking_id": uuid4(),
    }
    return QuoteRequest(**(values | changes))


def selector_events(connection: psycopg.Connection) -> list[tuple[str, dict[str, Any]]]:
    """The selector's own events, oldest first."""
    return connection.execute(
        "select event_type, context from holds.observability_events"
        " where event_type like 'capacity.selector.%' order by occurred_at"
    ).fetchall()


def test_conflict_is_gone_on_from(
    client: HoldClient, connection: psycopg.Connection, restaurant_id: UUID, make_request: MakeRequest
) -> None:
    """The best table is taken: the conflict is recorded, the next one held, and the end recorded with its timings."""
    client.place(make_request(IDS[0]))

    quote = quote_tables_for_booking(client, quote_request(restaurant_id, 2, 2, 4, party_size=2))

    assert quote.hold is not None
    assert quote.hold.table_ids == (IDS[1],)
    assert (quote.attempts, quote.skip_reason) == (2, None)
    assert [window.table_id for window in quote.conflicts] == [IDS[0]]
    ((event_type, context),) = selector_events(connection)
    assert event_type == "capacity.selector.assignment"
    assert context["attempts"] == 2
    assert context["tableIds"] == [str(IDS[1])]
    assert 0 <= context["timing"]["plannerMs"] <= context["timing"]["totalMs"]
    attempts = connection.execute(
        "select context -> 'attempt' from holds.observability_events where event_type = 'capacity.rpc.conflict'"
    ).fetchall()
    assert attempts == [(1,)]


def test_full_restaurant_is_skipped(
    client: HoldClient, connection: psycopg.Connection, restaurant_id: UUID, make_request: MakeRequest
) -> None:
    """All that would fit are held: no exception, and no blame."""
    client.place(make_request(IDS[0], IDS[1]))

    quote = quote_tables_for_booking(client, quote_request(restaurant_id, 2, 2, party_size=2))

    assert (quote.hold, quote.attempts, quote.skip_reason) == (None, 2, "no_capacity")
    ((event_type, context),) = selector_events(connection)
    assert event_type == "capacity.selector.skipped"
    assert (context["skipReason"], context["retryExhausted"]) == ("no_capacity", False)


def test_attempts_are_limited(
    client: HoldClient, connection: psycopg.Connection, restaurant_id: UUID, make_request: MakeRequest
) -> None:
    """Candidates left but no attempts: exhausted, and marked so."""
    client.place(make_request(IDS[0], IDS[1]))

    quote = quote_tables_for_booking(client, quote_request(restaurant_id, 2, 2, 2, party_size=2, maximum_attempts=2))

    assert (quote.hold, quote.attempts, quote.skip_reason) == (None, 2, "attempts_exhausted")
    ((_, context),) = selector_events(connection)
    assert context["retryExhausted"] is True


def test_deadline_ends_the_search(client: HoldClient, connection: psycopg.Connection, restaurant_id: UUID) -> None:
    """No time left: nothing is tried."""
    quote = quote_tables_for_booking(client, quote_request(restaurant_id, 2, party_size=2, deadline=timedelta(0)))

    assert (quote.hold, quote.attempts, quote.skip_reason) == (None, 0, "deadline")
    assert [event_type for event_type, _ in selector_events(connection)] == ["capacity.selector.skipped"]


def test_combination_is_held_as_one(client: HoldClient, restaurant_id: UUID) -> None:
    """A party too large for any table gets two that stand together."""
    quote = quote_tables_for_booking(client, quote_request(restaurant_id, 4, 4, party_size=7))

    assert quote.hold is not None
    assert quote.hold.table_ids == (IDS[0], IDS[1])


def test_async_search_does_the_same(
    database_url: str,
    connection: psycopg.Connection,
    client: HoldClient,
    restaurant_id: UUID,
    make_request: MakeRequest,
) -> None:
    """The same candidates, the same events."""
    client.place(make_request(IDS[0]))

    async def run() -> tuple[UUID, ...]:
        async with AsyncHoldClient.connect(database_url) as waiting:
            quote = await quote_tables_for_booking_async(waiting, quote_request(restaurant_id, 2, 2, party_size=2))
            assert quote.hold is not None
            return quote.hold.table_ids

    assert asyncio.run(run()) == (IDS[1],)
    assert [event_type for event_type, _ in selector_events(connection)] == ["capacity.selector.assignment"]
