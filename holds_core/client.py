"""Clients that place, confirm and release holds: one round trip each, one deadline, safe to repeat.

The two clients differ only in who waits. What they send, how they read the answer and when they try again is
:class:`_Call`, which does no input or output.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Self, TypeVar
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolClosed, PoolTimeout

from holds_core.database.connections import CONNECTION_PARAMETERS
from holds_core.database.queries import query
from holds_core.errors import (
    HoldConflictError,
    HoldCutoffError,
    HoldExpiredError,
    HoldNotFoundError,
    HoldOutcomeUnknownError,
    HoldRequestError,
    HoldRetryExhaustedError,
    HoldsError,
    HoldUnavailableError,
    TransientError,
    raise_translated,
    translate,
)
from holds_core.events.record import Event
from holds_core.models import ConflictingWindow, Hold, HoldRequest

DEFAULT_DEADLINE = timedelta(seconds=10)
LONGEST_LOCK_WAIT_MS = 2_000
_FIRST_BACKOFF_SECONDS = 0.02
_LONGEST_BACKOFF_SECONDS = 1.0

Row = dict[str, Any]
T = TypeVar("T")


class _Call:
    """One call within its deadline: what to send, and what an answer or a failure means."""

    def __init__(self, name: str, parameters: dict[str, Any], deadline: timedelta) -> None:
        self.statement = query(name)
        self.attempts = 0
        self._parameters = parameters
        self._ends_at = time.monotonic() + deadline.total_seconds()
        self.is_outcome_unknown = False

    def remaining_seconds(self) -> float:
        """Return how long the call may still take; at least a millisecond, so that waiting on it fails at once."""
        return max(self._ends_at - time.monotonic(), 0.001)

    def next_parameters(self) -> dict[str, Any]:
        """Return what to send; the same key and event id at every try, and no lock wait beyond the deadline."""
        self.attempts += 1
        lock_timeout_ms = min(LONGEST_LOCK_WAIT_MS, int(self.remaining_seconds() * 1000) + 1)
        return self._parameters | {"lock_timeout_ms": lock_timeout_ms}

    def pause_after(self, error: psycopg.Error) -> float:
        """Return the seconds to wait before the next try (full jitter, so that losers do not meet again).

        Raises:
            HoldsError: There will be no next try.
            psycopg.Error: The error means nothing to the holds core.
        """
        if isinstance(error, PoolTimeout | PoolClosed):
            raise (HoldOutcomeUnknownError() if self.is_outcome_unknown else HoldUnavailableError()) from error
        meaning = translate(error)
        if isinstance(meaning, HoldCutoffError) and self.is_outcome_unknown:
            meaning = HoldOutcomeUnknownError()  # perhaps a lock of our own lost try
        if not isinstance(meaning, TransientError | HoldOutcomeUnknownError):
            raise_translated(error)
        self.is_outcome_unknown |= isinstance(meaning, HoldOutcomeUnknownError)
        longest = min(_LONGEST_BACKOFF_SECONDS, _FIRST_BACKOFF_SECONDS * 2.0 ** (self.attempts - 1))
        pause = random.uniform(0, longest)  # noqa: S311  jitter, not a secret
        if time.monotonic() + pause >= self._ends_at:
            if self.is_outcome_unknown:
                raise HoldOutcomeUnknownError from error
            raise HoldRetryExhaustedError(self.attempts) from error
        return pause

    def read(self, row: Row, reader: Callable[[Row], T]) -> T:
        """Return what the answer means.

        Raises:
            HoldOutcomeUnknownError: An earlier try's answer was lost, and this one only says that a lock was in the
                way: perhaps that of the lost try.
            HoldsError: The answer is no.
        """
        try:
            return reader(row)
        except HoldCutoffError:
            if self.is_outcome_unknown:
                raise HoldOutcomeUnknownError from None
            raise


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
    parameters = _find_parameters(table_ids, starts_at, ends_at, booking_id)
    try:
        with connection.cursor(row_factory=dict_row) as cursor:
            cursor.execute(query("find_hold_conflicts"), parameters)
            return [ConflictingWindow(**row) for row in cursor]
    except psycopg.Error as error:
        raise_translated(error)


def _require_time_zones(starts_at: datetime, ends_at: datetime) -> None:
    for name, value in (("starts_at", starts_at), ("ends_at", ends_at)):
        if value.tzinfo is None:
            raise HoldRequestError(f"{name} has no time zone; give it one, for example UTC.")


def _place_parameters(request: HoldRequest, attempt: int) -> dict[str, Any]:
    _require_time_zones(request.starts_at, request.ends_at)
    return {
        "restaurant_id": request.restaurant_id,
        "table_ids": list(request.table_ids),
        "starts_at": request.starts_at,
        "ends_at": request.ends_at,
        "idempotency_key": request.idempotency_key,
        "booking_id": request.booking_id,
        "ttl_seconds": request.time_to_live.total_seconds(),
        "event_context": Jsonb(dict(request.event_context)),
        "attempt": attempt,
        "event_id": uuid4(),
        "attempted_at": datetime.now(UTC),
    }


def _change_parameters(hold_id: UUID) -> dict[str, Any]:
    return {"hold_id": hold_id, "event_id": uuid4(), "occurred_at": datetime.now(UTC)}


def _find_parameters(
    table_ids: Sequence[UUID], starts_at: datetime, ends_at: datetime, booking_id: UUID | None
) -> dict[str, Any]:
    _require_time_zones(starts_at, ends_at)
    return {"table_ids": list(table_ids), "starts_at": starts_at, "ends_at": ends_at, "booking_id": booking_id}


def _hold_from(row: Row) -> Hold:
    match row["outcome"]:
        case "conflict":
            raise HoldConflictError([_window_from(window) for window in row["conflicts"]])
        case "cutoff":
            raise HoldCutoffError
        case "not_found":
            raise HoldNotFoundError
    return Hold(
        id=row["hold_id"],
        status=row["status"],
        table_ids=tuple(row["table_ids"]),
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
        is_enforced=row["is_enforced"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        is_replay=row["outcome"] == "replayed",
        is_event_recorded=row["event_recorded"],
    )


def _confirmed_from(row: Row) -> Hold:
    hold = _hold_from(row)
    if hold.status != "confirmed":
        raise HoldExpiredError(f"The hold is {hold.status}; it cannot be confirmed any more. Place a new hold.")
    return hold


def _window_from(window: dict[str, str]) -> ConflictingWindow:
    return ConflictingWindow(
        UUID(window["tableId"]),
        datetime.fromisoformat(window["startsAt"]).astimezone(UTC),
        datetime.fromisoformat(window["endsAt"]).astimezone(UTC),
    )


def _connection_parameters() -> dict[str, Any]:
    return CONNECTION_PARAMETERS | {"autocommit": True, "row_factory": dict_row, "application_name": "holdwatch-client"}


class HoldClient:
    """Places, confirms and releases holds over a pool of connections. Safe to share between threads.

    Every call ends within its deadline. A deadlock, a serialization failure or a lost connection is tried again with
    the same idempotency key, so that no try makes a second hold.
    """

    def __init__(self, pool: ConnectionPool[Any], *, deadline: timedelta = DEFAULT_DEADLINE) -> None:
        """Use a pool of autocommit connections that return rows as dicts, as :meth:`connect` makes one."""
        self._pool = pool
        self._deadline = deadline

    @classmethod
    @contextmanager
    def connect(cls, url: str, *, max_connections: int = 10, deadline: timedelta = DEFAULT_DEADLINE) -> Iterator[Self]:
        """Open a pool to the database at ``url`` for the length of the block."""
        with ConnectionPool(
            url, min_size=1, max_size=max_connections, kwargs=_connection_parameters(), open=False
        ) as pool:
            yield cls(pool, deadline=deadline)

    def place(self, request: HoldRequest, *, attempt: int = 1) -> Hold:
        """Hold one or more tables until the hold is confirmed, released or expires; all of them or none.

        Overlap is decided by ``table_hold_windows_no_overlap`` alone, never by a prior read.

        Args:
            request: Tables, half-open window ``[starts_at, ends_at)``, booking and restaurant.
            attempt: Which try of its booking this is; recorded in the events.

        Returns:
            The stored hold; its ``capacity.hold.created`` event is committed with it.

        Raises:
            HoldConflictError: Another booking holds one of the tables in part of the window. The conflict events are
                recorded before this is raised.
            HoldCutoffError: A lock took longer than it may.
            HoldRequestError: The request cannot be fulfilled by anybody; a subclass where its key was used before.
            HoldUnavailableError: No connection within the deadline; nothing was sent.
            HoldRetryExhaustedError: A transient failure came back at every try.
            HoldOutcomeUnknownError: The connection was lost and the answer with it.
        """
        return self._call("create_table_hold", _place_parameters(request, attempt), _hold_from)

    def confirm(self, hold_id: UUID) -> Hold:
        """Make a hold lasting. Confirming it again is harmless.

        Raises:
            HoldExpiredError: Its time was over, or it was released.
            HoldNotFoundError: There is no such hold.
            HoldsError: As for :meth:`place`.
        """
        return self._call("confirm_table_hold", _change_parameters(hold_id), _confirmed_from)

    def release(self, hold_id: UUID) -> Hold:
        """Free the tables of a hold, confirmed or not. Releasing it again, or after it expired, is harmless.

        Raises:
            HoldNotFoundError: There is no such hold.
            HoldsError: As for :meth:`place`.
        """
        return self._call("release_table_hold", _change_parameters(hold_id), _hold_from)

    def expire(self, limit: int = 1000) -> int:
        """End holds whose time is over, up to ``limit`` windows; return how many holds ended."""
        return self._call("expire_table_holds", {"limit": limit}, lambda row: int(row["expire_table_holds"]))

    def find_conflicts(
        self, table_ids: Sequence[UUID], starts_at: datetime, ends_at: datetime, booking_id: UUID | None = None
    ) -> list[ConflictingWindow]:
        """See :func:`find_hold_conflicts`."""
        parameters = _find_parameters(table_ids, starts_at, ends_at, booking_id)
        call = _Call("find_hold_conflicts", parameters, self._deadline)
        return [ConflictingWindow(**row) for row in self._rows(call)]

    def record(self, event: Event) -> bool:
        """Record an event; return whether it was stored. Telemetry never fails its caller: this does not raise."""
        try:
            return self._call("record_event", event.parameters(), lambda row: bool(row["record_event"]))
        except (HoldsError, psycopg.Error):
            return False

    def _call(self, name: str, parameters: dict[str, Any], read: Callable[[Row], T]) -> T:
        call = _Call(name, parameters, self._deadline)
        return call.read(self._rows(call)[0], read)

    def _rows(self, call: _Call) -> list[Row]:
        while True:
            try:
                with self._pool.connection(timeout=call.remaining_seconds()) as connection:
                    rows: list[Row] = connection.execute(call.statement, call.next_parameters()).fetchall()
                    return rows
            except psycopg.Error as error:
                pause = call.pause_after(error)
            time.sleep(pause)


class AsyncHoldClient:
    """The same as :class:`HoldClient`, for asyncio."""

    def __init__(self, pool: AsyncConnectionPool[Any], *, deadline: timedelta = DEFAULT_DEADLINE) -> None:
        """Use a pool of autocommit connections that return rows as dicts, as :meth:`connect` makes one."""
        self._pool = pool
        self._deadline = deadline

    @classmethod
    @asynccontextmanager
    async def connect(
        cls, url: str, *, max_connections: int = 10, deadline: timedelta = DEFAULT_DEADLINE
    ) -> AsyncIterator[Self]:
        """Open a pool to the database at ``url`` for the length of the block."""
        async with AsyncConnectionPool(
            url, min_size=1, max_size=max_connections, kwargs=_connection_parameters(), open=False
        ) as pool:
            yield cls(pool, deadline=deadline)

    async def place(self, request: HoldRequest, *, attempt: int = 1) -> Hold:
        """See :meth:`HoldClient.place`."""
        return await self._call("create_table_hold", _place_parameters(request, attempt), _hold_from)

    async def confirm(self, hold_id: UUID) -> Hold:
        """See :meth:`HoldClient.confirm`."""
        return await self._call("confirm_table_hold", _change_parameters(hold_id), _confirmed_from)

    async def release(self, hold_id: UUID) -> Hold:
        """See :meth:`HoldClient.release`."""
        return await self._call("release_table_hold", _change_parameters(hold_id), _hold_from)

    async def expire(self, limit: int = 1000) -> int:
        """See :meth:`HoldClient.expire`."""
        return await self._call("expire_table_holds", {"limit": limit}, lambda row: int(row["expire_table_holds"]))

    async def find_conflicts(
        self, table_ids: Sequence[UUID], starts_at: datetime, ends_at: datetime, booking_id: UUID | None = None
    ) -> list[ConflictingWindow]:
        """See :func:`find_hold_conflicts`."""
        parameters = _find_parameters(table_ids, starts_at, ends_at, booking_id)
        call = _Call("find_hold_conflicts", parameters, self._deadline)
        return [ConflictingWindow(**row) for row in await self._rows(call)]

    async def record(self, event: Event) -> bool:
        """See :meth:`HoldClient.record`."""
        try:
            return await self._call("record_event", event.parameters(), lambda row: bool(row["record_event"]))
        except (HoldsError, psycopg.Error):
            return False

    async def _call(self, name: str, parameters: dict[str, Any], read: Callable[[Row], T]) -> T:
        call = _Call(name, parameters, self._deadline)
        return call.read((await self._rows(call))[0], read)

    async def _rows(self, call: _Call) -> list[Row]:
        while True:
            try:
                async with self._pool.connection(timeout=call.remaining_seconds()) as connection:
                    cursor = await connection.execute(call.statement, call.next_parameters())
                    rows: list[Row] = await cursor.fetchall()
                    return rows
            except psycopg.Error as error:
                pause = call.pause_after(error)
            await asyncio.sleep(pause)
