"""How many holds a restaurant may place."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from holds_core import HoldClient, HoldConflictError, HoldRateLimitError, HoldRequestError
from holds_core.enforcement import set_hold_rate_limit
from tests.holds_core.conftest import MakeRequest, event_counts


def test_limit_lets_exactly_so_many_through_at_once(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """Forty callers at the same moment, ten places: ten holds, and every refusal is recorded."""
    set_hold_rate_limit(connection, max_holds=10, per_seconds=3600)

    def wait_after_placing(_: int) -> timedelta | None:
        try:
            client.place(make_request(uuid4()))
        except HoldRateLimitError as error:
            return error.retry_after
        return None

    with ThreadPoolExecutor(8) as threads:
        waits = list(threads.map(wait_after_placing, range(40)))

    assert waits.count(None) == 10
    assert all(timedelta(0) < wait <= timedelta(seconds=360) for wait in waits if wait is not None)
    assert event_counts(connection) == {
        "capacity.flags.changed": 1,
        "capacity.hold.created": 10,
        "capacity.rpc.conflict": 30,
    }
    assert connection.execute(
        "select distinct context ->> 'reason' from holds.observability_events"
        " where event_type = 'capacity.rpc.conflict'"
    ).fetchall() == [("HOLD_RATE_LIMIT",)]


def test_bucket_refills(client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest) -> None:
    """What the error says to wait is what it takes."""
    set_hold_rate_limit(connection, max_holds=2, per_seconds=1)
    for _ in range(2):
        client.place(make_request(uuid4()))
    with pytest.raises(HoldRateLimitError) as refusal:
        client.place(make_request(uuid4()))

    assert refusal.value.retry_after is not None
    connection.execute("select pg_sleep(%s)", (refusal.value.retry_after.total_seconds(),))
    client.place(make_request(uuid4()))


def test_refused_and_repeated_requests_count_for_nothing(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """A conflict takes no place, and a replay is answered although the bucket is full."""
    set_hold_rate_limit(connection, max_holds=2, per_seconds=3600)
    first = make_request(uuid4())
    hold = client.place(first)
    for _ in range(3):
        with pytest.raises(HoldConflictError):
            client.place(make_request(*first.table_ids))
    client.place(make_request(uuid4()))

    assert client.place(first).id == hold.id
    with pytest.raises(HoldRateLimitError):
        client.place(make_request(uuid4()))


def test_restaurant_may_have_a_limit_of_its_own(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """It goes before the default, and NULL gives the restaurant back to it."""
    restaurant_id = make_request(uuid4()).restaurant_id
    set_hold_rate_limit(connection, max_holds=1, per_seconds=3600)
    set_hold_rate_limit(connection, max_holds=3, per_seconds=3600, restaurant_id=restaurant_id)
    for _ in range(3):
        client.place(make_request(uuid4()))
    with pytest.raises(HoldRateLimitError):
        client.place(make_request(uuid4()))

    client.place(make_request(uuid4(), restaurant_id=uuid4()))
    set_hold_rate_limit(connection, max_holds=None)
    set_hold_rate_limit(connection, max_holds=None, restaurant_id=restaurant_id)
    client.place(make_request(uuid4()))


def test_senseless_limits_are_refused(connection: psycopg.Connection) -> None:
    """No holds at all is what the kill switch of the platform is for."""
    for max_holds, per_seconds in ((0, 60), (1, 0), (1, 100_000)):
        with pytest.raises(HoldRequestError, match="a rate limit is"):
            set_hold_rate_limit(connection, max_holds=max_holds, per_seconds=per_seconds)


@pytest.mark.parametrize("whose", ["restaurant", "all"])
def test_changed_limit_counts_from_now_on(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest, restaurant_id: UUID, whose: str
) -> None:
    """Loosened, it lets through at once what it says; it does not hold what the old one counted against anybody."""
    target = restaurant_id if whose == "restaurant" else None
    set_hold_rate_limit(connection, max_holds=2, per_seconds=86400, restaurant_id=target)
    for _ in range(2):
        client.place(make_request(uuid4()))
    with pytest.raises(HoldRateLimitError):
        client.place(make_request(uuid4()))

    set_hold_rate_limit(connection, max_holds=3, per_seconds=60, restaurant_id=target)
    for _ in range(3):
        client.place(make_request(uuid4()))
    with pytest.raises(HoldRateLimitError) as refusal:
        client.place(make_request(uuid4()))
    assert refusal.value.retry_after is not None
    assert timedelta(seconds=15) < refusal.value.retry_after <= timedelta(seconds=20)
