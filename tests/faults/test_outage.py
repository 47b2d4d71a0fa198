"""A server that was away for some seconds: who is served again, and how soon."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from holds_core import AsyncHoldClient, Hold, HoldClient, HoldOutcomeUnknownError, HoldRequest, HoldUnavailableError
from orchestration.server.embedded import EmbeddedServer

AWAY_SECONDS = 8.0
"""By then psycopg_pool's own pauses, doubled each time, are 8 s long."""

SOON_SECONDS = 4.0
"""A try a second, a connection, and a busy machine."""


def some_request() -> HoldRequest:
    """A table that nobody else wants."""
    evening = datetime.now(UTC) + timedelta(days=1)
    return HoldRequest(
        restaurant_id=uuid4(), table_ids=(uuid4(),), starts_at=evening, ends_at=evening + timedelta(hours=2)
    )


def wait_for_a_hold(url: str) -> tuple[Hold, float]:
    """Ask once, with all the patience there is; return the hold, and when it came."""
    with HoldClient.connect(url, deadline=timedelta(seconds=60)) as client:
        return client.place(some_request()), time.monotonic()


def wait_for_a_hold_async(url: str) -> tuple[Hold, float]:
    """The same for asyncio."""

    async def wait() -> tuple[Hold, float]:
        async with AsyncHoldClient.connect(url, deadline=timedelta(seconds=60)) as client:
            return await client.place(some_request()), time.monotonic()

    return asyncio.run(wait())


def test_calls_are_served_as_soon_as_the_server_is_back(own_server: EmbeddedServer) -> None:
    """Those that come then, and those that have waited all the time without another call to wake their pool."""
    url = own_server.url()
    with HoldClient.connect(url, deadline=timedelta(seconds=0.5)) as client, ThreadPoolExecutor() as threads:
        client.place(some_request())
        own_server.stop()
        with pytest.raises(HoldOutcomeUnknownError, match="Do it again; that is harmless"):
            client.release(uuid4())  # over the connection that it had
        waiting: list[Future[tuple[Hold, float]]] = [
            threads.submit(wait, url) for wait in (wait_for_a_hold, wait_for_a_hold_async)
        ]
        away_until = time.monotonic() + AWAY_SECONDS
        while time.monotonic() < away_until:
            with pytest.raises(HoldUnavailableError, match=r"has changed\. The last try to connect: .*refused"):
                client.release(uuid4())
        own_server.start()
        back_at = time.monotonic()

        request = some_request()
        while True:
            try:
                assert client.place(request).status == "held"
                break
            except (HoldUnavailableError, HoldOutcomeUnknownError):  # not there yet; or there, and slow at first
                assert time.monotonic() < back_at + SOON_SECONDS
        for hold, came_at in (future.result() for future in waiting):
            assert hold.status == "held"
            assert came_at < back_at + SOON_SECONDS
