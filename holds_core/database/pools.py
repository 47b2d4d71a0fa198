"""Pools that serve again as soon as the database does, and that know why they could not connect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, ClassVar

import psycopg
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolClosed, PoolTimeout

from holds_core.database.connections import one_line

RECONNECT_SECONDS = 2.0
"""After so long a pool gives a row of tries up and begins another one, for whoever waits.

psycopg_pool waits twice as long after each failed try of a row (1 s, 2 s, 4 s, …), and a row is 5 minutes by default:
after an outage of half a minute, calls went on failing for up to half a minute. Rows this short try once a second.
"""

_AT_ONCE = 0.001


class _Remembered:
    """The part of a connection's class that one pool alone has."""

    last_failure: ClassVar[str | None] = None
    """What the last try to connect failed of, on one line; None since one went well."""

    @classmethod
    @contextmanager
    def remembering(cls) -> Iterator[None]:
        """Keep how a try to connect ends."""
        try:
            yield
        except psycopg.Error as error:
            cls.last_failure = one_line(error)
            raise
        cls.last_failure = None


def make_pool(url: str, max_connections: int, parameters: dict[str, Any]) -> ConnectionPool[Any]:
    """Return a pool of threads, not open yet."""

    class Remembered(psycopg.Connection[Any], _Remembered):
        @classmethod
        def connect(cls, *args: Any, **kwargs: Any) -> Any:
            with cls.remembering():
                return super().connect(*args, **kwargs)

    return ConnectionPool(
        url,
        connection_class=Remembered,
        reconnect_failed=_begin_again,
        **_options(max_connections, parameters),
    )


def make_async_pool(url: str, max_connections: int, parameters: dict[str, Any]) -> AsyncConnectionPool[Any]:
    """Return a pool of asyncio, not open yet."""

    class Remembered(psycopg.AsyncConnection[Any], _Remembered):
        @classmethod
        async def connect(cls, *args: Any, **kwargs: Any) -> Any:
            with cls.remembering():
                return await super().connect(*args, **kwargs)

    return AsyncConnectionPool(
        url,
        connection_class=Remembered,
        reconnect_failed=_begin_again_async,
        **_options(max_connections, parameters),
    )


def _options(max_connections: int, parameters: dict[str, Any]) -> dict[str, Any]:
    return {
        "kwargs": parameters,
        "min_size": 1,
        "max_size": max_connections,
        "reconnect_timeout": RECONNECT_SECONDS,
        "open": False,
    }


def last_failure(pool: ConnectionPool[Any] | AsyncConnectionPool[Any]) -> str | None:
    """Return why a pool of this module cannot connect; None where it can, or where the pool is somebody else's."""
    kind = pool.connection_class
    return kind.last_failure if issubclass(kind, _Remembered) else None


# A pool that has given up tries again when it is asked for a connection, and not before: those that wait already would
# wait in vain. Asking in their place is all that it takes.


def _begin_again(pool: ConnectionPool[Any]) -> None:
    if pool.get_stats().get("requests_waiting"):
        with suppress(PoolTimeout, PoolClosed):
            pool.putconn(pool.getconn(timeout=_AT_ONCE))


async def _begin_again_async(pool: AsyncConnectionPool[Any]) -> None:
    if pool.get_stats().get("requests_waiting"):
        with suppress(PoolTimeout, PoolClosed):
            await pool.putconn(await pool.getconn(timeout=_AT_ONCE))
