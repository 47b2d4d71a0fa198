"""What a caller is told when the answer does not come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from holds_core import AsyncHoldClient, HoldClient, HoldOutcomeUnknownError, HoldRequest
from holds_core.database.connections import connect
from holds_core.database.severing import severed_after
from holds_core.events.spool import EventSpool
from tests.faults.proxy import FaultyProxy, faulty_proxy

Proxied = tuple[FaultyProxy, str]
HASTY = timedelta(seconds=1)


@pytest.fixture
def proxied(database_url: str) -> Iterator[Proxied]:
    """A proxy before this test's database, and the URL through it."""
    with faulty_proxy(database_url) as proxy_and_url:
        yield proxy_and_url


@pytest.fixture
def spool(tmp_path: Path) -> EventSpool:
    """A spool of this test's own."""
    return EventSpool(tmp_path / "spool")


def some_request(restaurant_id: UUID | None = None) -> HoldRequest:
    """A table that nobody else wants."""
    starts_at = datetime.now(UTC) + timedelta(hours=3)
    return HoldRequest(
        restaurant_id=restaurant_id or uuid4(),
        table_ids=(uuid4(),),
        starts_at=starts_at,
        ends_at=starts_at + timedelta(hours=1),
        booking_id=uuid4(),
    )


def count_holds(connection: psycopg.Connection) -> int:
    """Count the holds there are."""
    row = connection.execute("select count(*) from holds.table_holds").fetchone()
    assert row is not None
    return int(row[0])


def test_reply_cut_after_commit_is_asked_for_again(proxied: Proxied, connection: psycopg.Connection) -> None:
    """The hold that nobody heard of is the one that the second try gets."""
    proxy, url = proxied
    with HoldClient.connect(url, max_connections=2) as client:
        client.place(some_request())
        proxy.cut_replies(1)
        hold = client.place(some_request())

    assert hold.is_replay
    assert hold.status == "held"
    assert proxy.cut_count == 1
    assert count_holds(connection) == 2


def test_every_change_survives_a_cut_reply(proxied: Proxied, connection: psycopg.Connection) -> None:
    """Confirm, extend, move and release: carried out once, and answered with what is."""
    proxy, url = proxied
    with HoldClient.connect(url, max_connections=2) as client:
        hold = client.place(some_request())
        elsewhere = uuid4()
        proxy.cut_replies(1)
        assert client.extend(hold.id, timedelta(minutes=30)).is_replay
        proxy.cut_replies(1)
        assert client.move(hold.id, table_ids=[elsewhere]).table_ids == (elsewhere,)
        proxy.cut_replies(1)
        assert client.confirm(hold.id).status == "confirmed"
        proxy.cut_replies(1)
        assert client.release(hold.id).status == "released"

    assert proxy.cut_count == 4
    assert connection.execute(
        "select array_agg(event_type order by recorded_at) from holds.observability_events"
    ).fetchone() == (
        [f"capacity.hold.{change}" for change in ("created", "extended", "moved", "confirmed", "released")],
    )


def test_answers_that_never_come_are_an_unknown_outcome(
    proxied: Proxied, connection: psycopg.Connection, spool: EventSpool
) -> None:
    """The deadline holds although the connection stands; the failure is an event in the spool; the key tells later."""
    proxy, url = proxied
    request = some_request()
    with HoldClient.connect(url, max_connections=2, deadline=HASTY, spool=spool) as client:
        client.place(some_request())
        proxy.go_silent()
        started = time.monotonic()
        with pytest.raises(HoldOutcomeUnknownError):
            client.place(request)
        assert time.monotonic() - started < 2 * HASTY.total_seconds()
        assert spool.depth() == 1
        proxy.resume()
        assert client.place(request).is_replay

    assert count_holds(connection) == 2
    spool.drain(connection)
    (context,) = (
        connection.execute(
            "select context from holds.observability_events where event_type = 'capacity.rpc.conflict'"
        ).fetchone()
        or ()
    )
    assert (context["code"], context["reason"], context["retryExhausted"]) == ("08006", "OUTCOME_UNKNOWN", True)


def test_async_deadline_holds_too(proxied: Proxied, connection: psycopg.Connection, spool: EventSpool) -> None:
    """The same for asyncio, where cancelling would wait for the server."""
    proxy, url = proxied
    request = some_request()

    async def run() -> float:
        async with AsyncHoldClient.connect(url, max_connections=2, deadline=HASTY, spool=spool) as client:
            await client.place(some_request())
            proxy.go_silent()
            started = time.monotonic()
            with pytest.raises(HoldOutcomeUnknownError):
                await client.place(request)
            took = time.monotonic() - started
            proxy.resume()
            assert (await client.place(request)).is_replay
            return took

    assert asyncio.run(run()) < 2 * HASTY.total_seconds()
    assert count_holds(connection) == 2


def test_dead_pool_costs_looks_and_no_deadline(proxied: Proxied, connection: psycopg.Connection) -> None:
    """Twenty connections broke at once: one call gets through them within a deadline of a second."""
    proxy, url = proxied
    with HoldClient.connect(url, max_connections=20, deadline=HASTY) as client:
        client._pool.resize(20, 20)
        client._pool.wait(timeout=20)
        proxy.close_all()
        assert client.place(some_request()).status == "held"
    assert count_holds(connection) == 1


def test_severing_spares_a_block_that_has_ended(database_url: str) -> None:
    """The connection lives on after its time, if nothing waits in it any more."""
    with connect(database_url) as connection:
        with severed_after(connection, 0.05):
            connection.execute("select 1")
        connection.execute("select pg_sleep(0.1)")
        with pytest.raises(psycopg.OperationalError) as severed, severed_after(connection, 0.1):
            connection.execute("select pg_sleep(10)")
    assert severed.value.sqlstate is None
