"""Searches as a platform meets them: blocked tables, turn times, buffers, repeated and limited quotes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holds_core import (
    HoldClient,
    HoldConflictError,
    HoldRequest,
    HoldRequestError,
    IdempotencyKeyReusedError,
    QuoteRequest,
    Table,
    plan_candidates,
    quote_tables_for_booking,
)
from holds_core.enforcement import set_hold_rate_limit
from holds_core.events.spool import EventSpool
from tests.faults.proxy import faulty_proxy
from tests.holds_core.conftest import EVENING, MakeRequest, event_counts
from tests.holds_core.restaurants import IDS, restaurants


def make_quote(restaurant_id: UUID, tables: list[Table], **changes: object) -> QuoteRequest:
    """A quote for two, at eight, for two hours."""
    values = {
        "restaurant_id": restaurant_id,
        "tables": tables,
        "party_size": 2,
        "starts_at": EVENING,
        "ends_at": EVENING + timedelta(hours=2),
        "booking_id": uuid4(),
    }
    return QuoteRequest(**(values | changes))  # type: ignore[arg-type]


def test_buffer_is_held_and_not_quoted(client: HoldClient, restaurant_id: UUID, connection: psycopg.Connection) -> None:
    """The next seating may start when the table is clear, and not before."""
    table = Table(id=uuid4(), capacity=2)
    buffered = {"ends_at": None, "turn_times": {2: timedelta(hours=1)}, "buffer": timedelta(minutes=15)}
    quote = quote_tables_for_booking(client, make_quote(restaurant_id, [table], **buffered))

    assert quote.hold is not None
    assert (quote.starts_at, quote.ends_at) == (EVENING, EVENING + timedelta(hours=1))
    assert quote.hold.ends_at == quote.held_until == EVENING + timedelta(hours=1, minutes=15)
    early = EVENING + timedelta(hours=1)
    assert quote_tables_for_booking(client, make_quote(restaurant_id, [table], starts_at=early)).hold is None
    clear = EVENING + timedelta(hours=1, minutes=15)
    assert quote_tables_for_booking(client, make_quote(restaurant_id, [table], starts_at=clear)).hold is not None
    with pytest.raises(HoldRequestError, match="negative"):
        quote_tables_for_booking(client, make_quote(restaurant_id, [table], buffer=timedelta(minutes=-1)))


def test_own_holds_are_not_in_the_way(client: HoldClient, restaurant_id: UUID) -> None:
    """The same booking asks again under a new key, for its only table."""
    tables = [Table(id=uuid4(), capacity=2)]
    booking_id = uuid4()
    for _ in range(2):
        assert quote_tables_for_booking(client, make_quote(restaurant_id, tables, booking_id=booking_id)).hold
    assert quote_tables_for_booking(client, make_quote(restaurant_id, tables)).hold is None


def test_repeated_quote_gets_the_same_hold(
    client: HoldClient, restaurant_id: UUID, connection: psycopg.Connection
) -> None:
    """Although a better table is free by now; under the key of another search it is refused."""
    best, other = Table(id=uuid4(), capacity=2), Table(id=uuid4(), capacity=3)
    blocker = quote_tables_for_booking(client, make_quote(restaurant_id, [best])).hold
    assert blocker is not None
    request = make_quote(restaurant_id, [best, other])
    first = quote_tables_for_booking(client, request).hold
    client.release(blocker.id)
    again = quote_tables_for_booking(client, request).hold

    assert first is not None
    assert again is not None
    assert (again.id, again.table_ids, again.is_replay) == (first.id, (other.id,), True)
    assert connection.execute("select count(*) from holds.table_holds").fetchone() == (2,)
    with pytest.raises(IdempotencyKeyReusedError):
        quote_tables_for_booking(
            client,
            make_quote(restaurant_id, [best], booking_id=request.booking_id, party_size=1,
                       idempotency_key=request.idempotency_key),
        )  # fmt: skip


def test_lost_answer_of_a_candidate_makes_no_second_hold(
    database_url: str, restaurant_id: UUID, connection: psycopg.Connection
) -> None:
    """Every reply is cut for a while: the search ends with what its first try had got."""
    with faulty_proxy(database_url) as (proxy, url), HoldClient.connect(url, max_connections=2) as client:
        client.place(
            HoldRequest(
                restaurant_id=restaurant_id,
                table_ids=(uuid4(),),
                starts_at=EVENING,
                ends_at=EVENING + timedelta(hours=1),
            )
        )
        proxy.cut_replies(3)
        quote = quote_tables_for_booking(
            client, make_quote(restaurant_id, [Table(id=uuid4(), capacity=2), Table(id=uuid4(), capacity=2)])
        )
    assert quote.hold is not None
    assert quote.hold.is_replay
    assert proxy.cut_count == 3
    assert connection.execute("select count(*) from holds.table_holds").fetchone() == (2,)


def test_silent_database_ends_the_search_in_time_and_the_repeated_quote_finds_its_hold(
    database_url: str, restaurant_id: UUID, connection: psycopg.Connection, spool: EventSpool
) -> None:
    """The hold is there, and nobody was told: under the same key it is told, although its table was the last."""
    request = make_quote(restaurant_id, [Table(id=uuid4(), capacity=2)], deadline=timedelta(seconds=1))
    with faulty_proxy(database_url) as (proxy, url), HoldClient.connect(url, max_connections=2, spool=spool) as client:
        client.find_conflicts([uuid4()], EVENING, EVENING + timedelta(hours=1))
        proxy.go_silent()
        unknown = quote_tables_for_booking(client, request)
        proxy.resume()
        found = quote_tables_for_booking(client, replace(request, deadline=timedelta(seconds=10)))

    assert (unknown.hold, unknown.skip_reason, unknown.is_outcome_unknown) == (None, "error", True)
    assert 1000 <= unknown.total_ms < 3000
    assert unknown.is_event_recorded
    assert found.hold is not None
    assert (found.hold.is_replay, found.is_outcome_unknown) == (True, False)
    assert connection.execute("select count(*) from holds.table_holds").fetchone() == (1,)


def test_busy_restaurant_is_searched_past_its_taken_tables(
    client: HoldClient, restaurant_id: UUID, make_request: MakeRequest, connection: psycopg.Connection
) -> None:
    """Pairs of two hundred tables: the first four are taken, which 790 pairs contain; two tries tell, not 790."""
    ids = [UUID(int=number) for number in range(1, 201)]
    tables = [Table(id=one, capacity=2, combinable_with=frozenset(ids)) for one in ids]
    client.place(make_request(*ids[:4]))
    quote = quote_tables_for_booking(client, make_quote(restaurant_id, tables, party_size=4))

    assert quote.hold is not None
    assert quote.hold.table_ids == (ids[4], ids[5])
    assert (quote.attempts, quote.refusals) == (3, 2)


def test_limited_search_ends_and_says_when_to_come_again(
    client: HoldClient, connection: psycopg.Connection, restaurant_id: UUID
) -> None:
    """No use in trying the other tables."""
    set_hold_rate_limit(connection, max_holds=1, per_seconds=60)
    tables = [Table(id=uuid4(), capacity=2) for _ in range(3)]
    assert quote_tables_for_booking(client, make_quote(restaurant_id, tables)).hold is not None
    quote = quote_tables_for_booking(client, make_quote(restaurant_id, tables))

    assert (quote.hold, quote.skip_reason, quote.attempts) == (None, "rate_limited", 1)
    assert quote.retry_after is not None
    assert quote.retry_after > timedelta(seconds=30)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(restaurants(), st.integers(1, 10), st.sets(st.sampled_from(IDS)), st.sets(st.sampled_from(IDS)))
def test_first_candidate_that_is_free_is_the_one_held(
    client: HoldClient, make_request: MakeRequest, tables: list[Table], party: int, taken: set[UUID], blocked: set[UUID]
) -> None:
    """Whatever is taken already, whatever is blocked."""
    restaurant_id = uuid4()
    own = {table_id: uuid4() for table_id in IDS}
    mapped = [
        Table(
            id=own[table.id],
            capacity=table.capacity,
            minimum_party=table.minimum_party,
            combinable_with=frozenset(own[other] for other in table.combinable_with),
        )
        for table in tables
    ]
    for table_id in taken:
        client.place(make_request(own[table_id], restaurant_id=restaurant_id))
    blocked_ids = frozenset(own[table_id] for table_id in blocked)
    quote = quote_tables_for_booking(
        client, make_quote(restaurant_id, mapped, party_size=party, blocked_table_ids=blocked_ids, maximum_attempts=99)
    )

    taken_ids = {own[table_id] for table_id in taken}
    free = [one.table_ids for one in plan_candidates(mapped, party, 3, blocked_ids) if not taken_ids & {*one.table_ids}]
    assert (quote.hold.table_ids if quote.hold is not None else None) == (free[0] if free else None)
    if quote.hold is not None:
        with pytest.raises(HoldConflictError):
            client.place(make_request(quote.hold.table_ids[0], restaurant_id=restaurant_id))


def test_repeated_quote_is_one_assignment(
    client: HoldClient, restaurant_id: UUID, connection: psycopg.Connection
) -> None:
    """One hold, one success; also where the hold is over by the time."""
    request = make_quote(restaurant_id, [Table(id=uuid4(), capacity=2)])
    hold = quote_tables_for_booking(client, request).hold
    assert hold is not None
    quote_tables_for_booking(client, request)
    client.release(hold.id)
    again = quote_tables_for_booking(client, request).hold

    assert again is not None
    assert again.status == "released"
    assert event_counts(connection)["capacity.selector.assignment"] == 1
