"""Clients that place, confirm, extend, move and release holds: one round trip each, one deadline, safe to repeat.

The two clients differ only in who waits. What they send, how they read the answer and when they try again is
:class:`~holds_core.calls.Call`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, NoReturn, Self, TypeVar
from uuid import UUID

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolClosed, PoolTimeout

from holds_core.calls import (
    DEFAULT_DEADLINE,
    SERVER_SHARE,
    Call,
    Row,
    as_texts,
    change_parameters,
    confirmed_from,
    conflicting_window_from,
    extend_parameters,
    extended_from,
    find_parameters,
    hold_from,
    move_parameters,
    moved_from,
    place_parameters,
    row_from,
    unrecorded_events,
)
from holds_core.database.connections import CONNECTION_PARAMETERS, connection_parameters
from holds_core.database.pools import last_failure, make_async_pool, make_pool
from holds_core.database.queries import query
from holds_core.database.severing import severed_after, severed_after_async
from holds_core.errors import (
    HoldConflictError,
    HoldOutcomeUnknownError,
    HoldsError,
    HoldUnavailableError,
    raise_translated,
    translate,
)
from holds_core.events.record import Event
from holds_core.events.spool import EventSpool, default_spool
from holds_core.events.telemetry import Telemetry
from holds_core.flags.client import Flags
from holds_core.flags.model import Flag
from holds_core.models import DEFAULT_TIME_TO_LIVE, ConflictingWindow, Hold, HoldRequest

RECORD_DEADLINE = timedelta(seconds=2)
"""How long an event may wait for the database before it goes to the spool: its caller waits with it."""

T = TypeVar("T")


def find_hold_conflicts(
    connection: psycopg.Connection[Any],
    table_ids: Sequence[UUID],
    starts_at: datetime,
    ends_at: datetime,
    booking_id: UUID | None = None,
) -> list[ConflictingWindow]:
    """Return the live windows on these tables that overlap ``[starts_at, ends_at)``, the booking's own left out.

    Good for showing what is free; never for deciding: only placing a hold decides.
    """
    parameters = find_parameters(table_ids, starts_at, ends_at, booking_id)
    try:
        with connection.cursor(row_factory=tuple_row) as cursor:
            row = cursor.execute(query("find_hold_conflicts"), as_texts(parameters)).fetchone()
    except psycopg.Error as error:
        raise_translated(error)
    return _windows(_answer(row))


def _bringing_over(pool: ConnectionPool[Any] | AsyncConnectionPool[Any]) -> Callable[[EventSpool], None]:
    """Return what drains a spool over a connection of its own, made as those of the pool are."""

    def bring(spool: EventSpool) -> None:
        conninfo, kwargs = pool.conninfo, pool.kwargs
        if not isinstance(conninfo, str) or not isinstance(kwargs, dict | None):
            return  # a pool whose address is made anew each time; `holdwatch events drain` has one of its own
        # What waits stays where this fails, and the next drain comes.
        with suppress(psycopg.Error, OSError), psycopg.connect(conninfo, **(kwargs or {})) as connection:
            spool.drain(connection)

    return bring


def _spool_of(pool: ConnectionPool[Any] | AsyncConnectionPool[Any]) -> EventSpool:
    """Return the spool of the pool's database."""
    conninfo, kwargs = pool.conninfo, pool.kwargs
    if not isinstance(conninfo, str) or not isinstance(kwargs, dict | None):
        return default_spool(None)  # its address is made anew each time
    where = {name: (kwargs or {}).get(name) for name in ("host", "hostaddr", "port", "dbname")}
    try:
        return default_spool(make_conninfo(conninfo, **where))
    except psycopg.ProgrammingError:
        return default_spool(None)  # nobody can connect to that


def _spooling(flags: Flags | None) -> Callable[[], bool] | None:
    """Return what says whether events may wait on disk; None where nobody has flags."""
    return None if flags is None else lambda: flags.is_on(Flag.SPOOL, default=True)


def _answer(row: tuple[Any, ...] | None) -> Any:
    assert row is not None
    return json.loads(row[0])


def _windows(rows: Sequence[Mapping[str, Any]]) -> list[ConflictingWindow]:
    return [conflicting_window_from(row_from(row)) for row in rows]


def _meaning(error: psycopg.Error, pool: ConnectionPool[Any] | AsyncConnectionPool[Any]) -> HoldsError:
    """Return what a failed try on a connection of the pool means.

    Raises:
        psycopg.Error: It means nothing to the holds core.
    """
    if isinstance(error, PoolClosed):
        raise HoldUnavailableError("The client's pool is closed; nothing was sent.") from error
    if isinstance(error, PoolTimeout):
        return HoldUnavailableError(last_error=last_failure(pool))
    meaning = translate(error)
    if meaning is None:
        raise error
    return meaning


def _is_database_away(meaning: HoldsError) -> bool:
    """Tell whether an event had better go to the spool at once: nobody waits for the database once more."""
    return isinstance(meaning, HoldUnavailableError | HoldOutcomeUnknownError)


def _showable(failure: psycopg.Error, error: HoldsError) -> psycopg.Error | None:
    """Return the cause to show; a conflict's names the other booking, and would stand in every traceback."""
    return None if isinstance(error, HoldConflictError) else failure


# Where one connection broke, the others of its pool have as a rule: each costs a look, not a try with its pause.


def _is_alive(connection: psycopg.Connection[Any]) -> bool:
    try:
        ConnectionPool.check_connection(connection)
    except psycopg.OperationalError:
        return False
    return True


async def _is_alive_async(connection: psycopg.AsyncConnection[Any]) -> bool:
    try:
        await AsyncConnectionPool.check_connection(connection)
    except psycopg.OperationalError:
        return False
    return True


def _connection_parameters(url: str, deadline: timedelta, *, transaction_pooling: bool) -> dict[str, Any]:
    common = {"autocommit": True, "application_name": "holdwatch-client"}
    if transaction_pooling:
        # Another client's call comes over the same server connection: nothing may be prepared or set on it.
        return {
            "connect_timeout": CONNECTION_PARAMETERS["connect_timeout"], **common, "prepare_threshold": None,
        }  # fmt: skip
    # What takes longer than its caller waits is given up by the server too.
    timeout_ms = int(deadline.total_seconds() * 1000 * SERVER_SHARE) + 1
    options = f"{CONNECTION_PARAMETERS['options']} -c statement_timeout={timeout_ms}"
    return connection_parameters(url, **common, options=options)


class HoldClient:
    """Places, confirms, extends, moves and releases holds over a pool of connections. Safe to share between threads.

    Every call ends within its deadline. A deadlock, a serialization failure or a lost connection is tried again with
    the same idempotency key, so that no try makes a second hold. What failed is an event: stored over another
    connection, else kept in the spool until the database is back.
    """

    def __init__(
        self,
        pool: ConnectionPool[Any],
        *,
        deadline: timedelta = DEFAULT_DEADLINE,
        spool: EventSpool | None = None,
        flags: Flags | None = None,
    ) -> None:
        """Use a pool of autocommit connections, as :meth:`connect` makes one.

        Args:
            pool: Open.
            deadline: How long a call may take.
            spool: Where events wait that the database did not take; that of the pool's database
                (:func:`~holds_core.events.spool.default_spool`) unless given.
            flags: The feature flags to heed; None means the defaults.
        """
        self._pool = pool
        self._deadline = deadline
        self._telemetry = Telemetry(spool or _spool_of(pool), _bringing_over(pool), _spooling(flags))

    @classmethod
    @contextmanager
    def connect(
        cls,
        url: str,
        *,
        max_connections: int = 10,
        deadline: timedelta = DEFAULT_DEADLINE,
        spool: EventSpool | None = None,
        flags: Flags | None = None,
        transaction_pooling: bool = False,
    ) -> Iterator[Self]:
        """Open a pool to the database at ``url`` for the length of the block.

        Args:
            url: The database, with a login that has the role ``holds_app``.
            max_connections: Most connections at once.
            deadline: How long a call may take.
            spool: See :meth:`__init__`.
            flags: See :meth:`__init__`.
            transaction_pooling: Say True where ``url`` leads through a pooler that hands a server's connection from
                transaction to transaction (PgBouncer's transaction mode, Supabase's port 6543): then nothing is
                prepared, and no session setting is relied on.

        Raises:
            SettingsError: ``url`` cannot be read. (That nobody answers there is for the first call to say.)
        """
        parameters = _connection_parameters(url, deadline, transaction_pooling=transaction_pooling)
        with make_pool(url, max_connections, parameters) as pool:
            client = cls(pool, deadline=deadline, spool=spool, flags=flags)
            client._telemetry.drain_in_background()
            yield client
            client._telemetry.drain()

    def place(self, request: HoldRequest, *, attempt: int = 1, deadline: timedelta | None = None) -> Hold:
        """Hold one or more tables until the hold is confirmed, released or expires; all of them or none.

        Overlap is decided by ``table_hold_windows_no_overlap`` alone, never by a prior read.

        Args:
            request: Tables, half-open window ``[starts_at, ends_at)``, booking and restaurant.
            attempt: Which try of its booking this is; recorded in the events.
            deadline: How long this call may take; the client's own unless given.

        Returns:
            The stored hold; its ``capacity.hold.created`` event is committed with it. Where this key was answered
            before, the hold as it is now (``is_replay``).

        Raises:
            HoldConflictError: Another booking holds one of the tables in part of the window. The conflict events are
                recorded before this is raised.
            HoldRateLimitError: The restaurant places more holds than it may; ``retry_after`` says when to come again.
            HoldCutoffError: A lock or the statement took longer than it may.
            HoldRequestError: The request cannot be fulfilled by anybody; a subclass where its key was used before.
            HoldUnavailableError: No connection within the deadline; nothing was sent.
            HoldRetryExhaustedError: A transient failure came back at every try.
            HoldOutcomeUnknownError: The connection was lost and the answer with it, and so at every try.
            HoldAccessError: The login lacks the role ``holds_app``.
        """
        return self._call("create_table_hold", place_parameters(request, attempt), hold_from, deadline)

    def confirm(self, hold_id: UUID) -> Hold:
        """Make a hold lasting. Confirming it again is harmless.

        Raises:
            HoldExpiredError: Its time was over, or it was released.
            HoldNotFoundError: There is no such hold.
            HoldsError: As for :meth:`place`.
        """
        return self._call("confirm_table_hold", change_parameters(hold_id), confirmed_from)

    def extend(self, hold_id: UUID, time_to_live: timedelta = DEFAULT_TIME_TO_LIVE) -> Hold:
        """Let a hold last at least ``time_to_live`` from now, at most a day. A confirmed one lasts anyway.

        Raises:
            HoldExpiredError: Its time was over, or it was released.
            HoldNotFoundError: There is no such hold.
            HoldsError: As for :meth:`place`.
        """
        return self._call("extend_table_hold", extend_parameters(hold_id, time_to_live), extended_from)

    def move(
        self,
        hold_id: UUID,
        *,
        table_ids: Sequence[UUID] | None = None,
        starts_at: datetime | None = None,
        ends_at: datetime | None = None,
    ) -> Hold:
        """Move a hold, confirmed or not, to other tables, another window or both; what is None stays as it is.

        All of it or nothing: where the new place is not free, the hold keeps the one it has.

        Raises:
            HoldConflictError: Another booking holds one of the tables in part of the window.
            HoldExpiredError: Its time was over, or it was released.
            HoldNotFoundError: There is no such hold.
            HoldsError: As for :meth:`place`.
        """
        return self._call("move_table_hold", move_parameters(hold_id, table_ids, starts_at, ends_at), moved_from)

    def release(self, hold_id: UUID) -> Hold:
        """Free the tables of a hold, confirmed or not. Releasing it again, or after it expired, is harmless.

        Raises:
            HoldNotFoundError: There is no such hold.
            HoldsError: As for :meth:`place`.
        """
        return self._call("release_table_hold", change_parameters(hold_id), hold_from)

    def expire(self, limit: int = 1000) -> int:
        """End holds whose time is over, up to ``limit`` windows; return how many holds ended."""
        return int(self._ask(Call("expire_table_holds", {"limit": limit}, self._deadline)))

    def find_conflicts(
        self,
        table_ids: Sequence[UUID],
        starts_at: datetime,
        ends_at: datetime,
        booking_id: UUID | None = None,
        *,
        deadline: timedelta | None = None,
    ) -> list[ConflictingWindow]:
        """See :func:`find_hold_conflicts`; ``deadline`` as for :meth:`place`."""
        parameters = find_parameters(table_ids, starts_at, ends_at, booking_id)
        return _windows(self._ask(Call("find_hold_conflicts", parameters, deadline or self._deadline)))

    def record(self, event: Event) -> bool:
        """Record an event; return whether it is stored, or kept in the spool until it can be.

        Telemetry never fails its caller: this does not raise.
        """
        try:
            call = Call("record_event", event.parameters(), min(self._deadline, RECORD_DEADLINE))
            is_stored = bool(self._ask(call))
        except (HoldsError, psycopg.Error, TypeError, ValueError):  # the last two: it cannot be written as JSON
            is_stored = False
        return is_stored or self._telemetry.keep(event)

    def _call(
        self, name: str, parameters: dict[str, Any], read: Callable[[Row], T], deadline: timedelta | None = None
    ) -> T:
        call = Call(name, parameters, self._deadline if deadline is None else deadline)
        row = row_from(self._ask(call))
        if unrecorded := unrecorded_events(row):
            row["event_recorded"] = self._telemetry.keep_all(unrecorded)
        self._telemetry.drain_in_background()
        return call.read(row, read)

    def _ask(self, call: Call) -> Any:
        """Ask until there is an answer, or no time."""
        while True:
            try:
                # Taken and given back by hand: there is no transaction to end, which is what the pool's block is for.
                connection = self._pool.getconn(timeout=call.remaining_seconds())
                try:
                    with severed_after(connection, call.remaining_seconds()):
                        if call.is_outcome_unknown and not _is_alive(connection):
                            continue
                        cursor = connection.cursor(row_factory=tuple_row)
                        cursor.execute(query(call.name), as_texts(call.next_parameters()))
                        return _answer(cursor.fetchone())
                finally:
                    self._pool.putconn(connection)
            except psycopg.Error as failure:
                meaning = _meaning(failure, self._pool)
                pause = call.pause_after(meaning)
                if pause is None:
                    self._fail(call, meaning, failure)
            time.sleep(pause)

    def _fail(self, call: Call, meaning: HoldsError, failure: psycopg.Error) -> NoReturn:
        error = call.final_error(meaning)
        if (event := call.failure_event(error, failure.sqlstate)) is not None:
            if _is_database_away(meaning):
                self._telemetry.keep(event)
            else:
                self.record(event)
        raise error from _showable(failure, error)


class AsyncHoldClient:
    """The same as :class:`HoldClient`, for asyncio."""

    def __init__(
        self,
        pool: AsyncConnectionPool[Any],
        *,
        deadline: timedelta = DEFAULT_DEADLINE,
        spool: EventSpool | None = None,
        flags: Flags | None = None,
    ) -> None:
        """See :meth:`HoldClient.__init__`."""
        self._pool = pool
        self._deadline = deadline
        self._telemetry = Telemetry(spool or _spool_of(pool), _bringing_over(pool), _spooling(flags))

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        url: str,
        *,
        max_connections: int = 10,
        deadline: timedelta = DEFAULT_DEADLINE,
        spool: EventSpool | None = None,
        flags: Flags | None = None,
        transaction_pooling: bool = False,
    ) -> AsyncIterator[Self]:
        """See :meth:`HoldClient.connect`."""
        parameters = _connection_parameters(url, deadline, transaction_pooling=transaction_pooling)
        async with make_async_pool(url, max_connections, parameters) as pool:
            client = cls(pool, deadline=deadline, spool=spool, flags=flags)
            client._telemetry.drain_in_background()
            yield client
            await asyncio.to_thread(client._telemetry.drain)

    async def place(self, request: HoldRequest, *, attempt: int = 1, deadline: timedelta | None = None) -> Hold:
        """See :meth:`HoldClient.place`."""
        return await self._call("create_table_hold", place_parameters(request, attempt), hold_from, deadline)

    async def confirm(self, hold_id: UUID) -> Hold:
        """See :meth:`HoldClient.confirm`."""
        return await self._call("confirm_table_hold", change_parameters(hold_id), confirmed_from)

    async def extend(self, hold_id: UUID, time_to_live: timedelta = DEFAULT_TIME_TO_LIVE) -> Hold:
        """See :meth:`HoldClient.extend`."""
        return await self._call("extend_table_hold", extend_parameters(hold_id, time_to_live), extended_from)

    async def move(
        self,
        hold_id: UUID,
        *,
        table_ids: Sequence[UUID] | None = None,
        starts_at: datetime | None = None,
        ends_at: datetime | None = None,
    ) -> Hold:
        """See :meth:`HoldClient.move`."""
        return await self._call("move_table_hold", move_parameters(hold_id, table_ids, starts_at, ends_at), moved_from)

    async def release(self, hold_id: UUID) -> Hold:
        """See :meth:`HoldClient.release`."""
        return await self._call("release_table_hold", change_parameters(hold_id), hold_from)

    async def expire(self, limit: int = 1000) -> int:
        """See :meth:`HoldClient.expire`."""
        return int(await self._ask(Call("expire_table_holds", {"limit": limit}, self._deadline)))

    async def find_conflicts(
        self,
        table_ids: Sequence[UUID],
        starts_at: datetime,
        ends_at: datetime,
        booking_id: UUID | None = None,
        *,
        deadline: timedelta | None = None,
    ) -> list[ConflictingWindow]:
        """See :meth:`HoldClient.find_conflicts`."""
        parameters = find_parameters(table_ids, starts_at, ends_at, booking_id)
        return _windows(await self._ask(Call("find_hold_conflicts", parameters, deadline or self._deadline)))

    async def record(self, event: Event) -> bool:
        """See :meth:`HoldClient.record`."""
        try:
            call = Call("record_event", event.parameters(), min(self._deadline, RECORD_DEADLINE))
            is_stored = bool(await self._ask(call))
        except (HoldsError, psycopg.Error, TypeError, ValueError):  # the last two: it cannot be written as JSON
            is_stored = False
        return is_stored or await asyncio.to_thread(self._telemetry.keep, event)

    async def _call(
        self, name: str, parameters: dict[str, Any], read: Callable[[Row], T], deadline: timedelta | None = None
    ) -> T:
        call = Call(name, parameters, self._deadline if deadline is None else deadline)
        row = row_from(await self._ask(call))
        if unrecorded := unrecorded_events(row):
            row["event_recorded"] = await asyncio.to_thread(self._telemetry.keep_all, unrecorded)
        self._telemetry.drain_in_background()
        return call.read(row, read)

    async def _ask(self, call: Call) -> Any:
        """Ask until there is an answer, or no time."""
        while True:
            try:
                connection = await self._pool.getconn(timeout=call.remaining_seconds())
                try:
                    with severed_after_async(connection, call.remaining_seconds()):
                        if call.is_outcome_unknown and not await _is_alive_async(connection):
                            continue
                        cursor = connection.cursor(row_factory=tuple_row)
                        await cursor.execute(query(call.name), as_texts(call.next_parameters()))
                        return _answer(await cursor.fetchone())
                finally:
                    await self._pool.putconn(connection)
            except psycopg.Error as failure:
                meaning = _meaning(failure, self._pool)
                pause = call.pause_after(meaning)
                if pause is None:
                    await self._fail(call, meaning, failure)
            await asyncio.sleep(pause)

    async def _fail(self, call: Call, meaning: HoldsError, failure: psycopg.Error) -> NoReturn:
        error = call.final_error(meaning)
        if (event := call.failure_event(error, failure.sqlstate)) is not None:
            if _is_database_away(meaning):
                await asyncio.to_thread(self._telemetry.keep, event)
            else:
                await self.record(event)
        raise error from _showable(failure, error)
