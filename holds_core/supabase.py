"""The holds core over Supabase's API (PostgREST), for platforms without a connection to the database itself.

The same SQL functions, called as RPCs of the schema ``holds``; what the API says is translated by the same table as
what the database says (:func:`holds_core.errors.meaning_of`). Needs the extra ``supabase``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import Any, Self, TypeVar
from uuid import UUID

import httpx
from postgrest import APIError, SyncPostgrestClient

from holds_core.calls import (
    DEFAULT_DEADLINE,
    Call,
    Row,
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
from holds_core.errors import (
    HoldAccessError,
    HoldConflictError,
    HoldOutcomeUnknownError,
    HoldRequestError,
    HoldsError,
    HoldUnavailableError,
    SchemaBehindError,
    TransientError,
    meaning_of,
)
from holds_core.events.record import Event
from holds_core.events.spool import EventRefusedError, EventSpool, default_spool
from holds_core.events.telemetry import Telemetry
from holds_core.flags.client import Flags
from holds_core.flags.model import Flag
from holds_core.models import DEFAULT_TIME_TO_LIVE, ConflictingWindow, Hold, HoldRequest

RECORD_DEADLINE = timedelta(seconds=2)

_NESTED = ("event_context", "request_fingerprint")
"""What an older schema, or an API's stale cache of it, may not know: the call goes without it then."""

_WITHOUT_LOCK_TIMEOUT = ("find_hold_conflicts", "expire_table_holds", "record_event")
_ENDS_AT: ContextVar[float] = ContextVar("holdwatch_ends_at")

T = TypeVar("T")


class SupabaseHoldClient:
    """What :class:`~holds_core.client.HoldClient` does, over HTTP. Safe to share between threads.

    Every call ends within its deadline. An answer that does not come is asked for again under the same idempotency key.
    """

    def __init__(
        self,
        api: SyncPostgrestClient,
        *,
        deadline: timedelta = DEFAULT_DEADLINE,
        spool: EventSpool | None = None,
        flags: Flags | None = None,
    ) -> None:
        """Use a client of the API, set to the schema ``holds``, as :meth:`connect` makes one."""
        self._api = api
        self._deadline = deadline
        may_spool = None if flags is None else lambda: flags.is_on(Flag.SPOOL, default=True)
        self._telemetry = Telemetry(spool or default_spool(str(api.base_url)), self._bring, may_spool)

    @classmethod
    @contextmanager
    def connect(
        cls,
        url: str,
        key: str,
        *,
        deadline: timedelta = DEFAULT_DEADLINE,
        spool: EventSpool | None = None,
        flags: Flags | None = None,
    ) -> Iterator[Self]:
        """Open connections to the API for the length of the block.

        Args:
            url: The API's, for example ``https://PROJECT.supabase.co/rest/v1``.
            key: Of a role that has been granted ``holds_app``; as a rule the service key. It is never logged.
            deadline: How long a call may take.
            spool: Where events wait that could not be recorded.
            flags: The feature flags to heed; None means the defaults.

        Raises:
            HoldAccessError: The key is empty.
        """
        if not key.strip():
            raise HoldAccessError("The API's key is empty; give that of a role that has been granted holds_app.")
        headers = {"apikey": key, "Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        # Each request's timeout is what is left of its call's deadline.
        hooks: dict[str, list[Callable[..., Any]]] = {"request": [_limit_time], "response": [_limit_body]}
        profile = {"Accept-Profile": "holds", "Content-Profile": "holds"}
        with httpx.Client(
            base_url=url, headers=headers | profile, timeout=deadline.total_seconds(), event_hooks=hooks
        ) as session:
            api = SyncPostgrestClient(url, schema="holds", headers=headers, http_client=session, retry_enabled=False)
            client = cls(api, deadline=deadline, spool=spool, flags=flags)
            client._telemetry.drain_in_background()
            yield client
            client.drain()

    def place(self, request: HoldRequest, *, attempt: int = 1, deadline: timedelta | None = None) -> Hold:
        """See :meth:`holds_core.client.HoldClient.place`.

        Where the schema or the API's cache of it is behind (42703, PGRST204, PGRST202), the hold is placed without what
        is unknown there: its event context. A conflict is still a :class:`~holds_core.errors.HoldConflictError`, with
        the windows that :meth:`find_conflicts` finds. (A quote's hold needs a schema that knows fingerprints.)
        """
        parameters = place_parameters(request, attempt)
        try:
            return self._place(parameters, self._deadline if deadline is None else deadline)
        except HoldConflictError as conflict:
            if conflict.conflicts:
                raise
            raise HoldConflictError(self._windows_in_the_way(request)) from None

    def confirm(self, hold_id: UUID) -> Hold:
        """See :meth:`holds_core.client.HoldClient.confirm`."""
        return self._call("confirm_table_hold", change_parameters(hold_id), confirmed_from)

    def extend(self, hold_id: UUID, time_to_live: timedelta = DEFAULT_TIME_TO_LIVE) -> Hold:
        """See :meth:`holds_core.client.HoldClient.extend`."""
        return self._call("extend_table_hold", extend_parameters(hold_id, time_to_live), extended_from)

    def move(
        self,
        hold_id: UUID,
        *,
        table_ids: Sequence[UUID] | None = None,
        starts_at: datetime | None = None,
        ends_at: datetime | None = None,
    ) -> Hold:
        """See :meth:`holds_core.client.HoldClient.move`."""
        return self._call("move_table_hold", move_parameters(hold_id, table_ids, starts_at, ends_at), moved_from)

    def release(self, hold_id: UUID) -> Hold:
        """See :meth:`holds_core.client.HoldClient.release`."""
        return self._call("release_table_hold", change_parameters(hold_id), hold_from)

    def find_conflicts(
        self,
        table_ids: Sequence[UUID],
        starts_at: datetime,
        ends_at: datetime,
        booking_id: UUID | None = None,
        *,
        deadline: timedelta | None = None,
    ) -> list[ConflictingWindow]:
        """See :meth:`holds_core.client.HoldClient.find_conflicts`."""
        parameters = find_parameters(table_ids, starts_at, ends_at, booking_id)
        call = Call("find_hold_conflicts", parameters, deadline or self._deadline)
        return [conflicting_window_from(row_from(row)) for row in self._data(call)]

    def is_strict_conflicts_enabled(self) -> bool:
        """Tell whether overlapping holds are refused, as the database has it."""
        call = Call("is_holds_strict_conflicts_enabled", {}, self._deadline)
        return bool(self._data(call))

    def record(self, event: Event) -> bool:
        """See :meth:`holds_core.client.HoldClient.record`."""
        try:
            return self._record(event) or self._telemetry.keep(event)
        except (HoldsError, APIError, httpx.HTTPError, TypeError, ValueError):  # the last two: not JSON
            return self._telemetry.keep(event)

    def drain(self) -> None:
        """Bring the events that wait in the spool to the database; what cannot be recorded now stays."""
        self._telemetry.drain()

    def _bring(self, spool: EventSpool) -> None:
        # What waits stays where this fails, and the next drain comes.
        with suppress(HoldsError, APIError, httpx.HTTPError, OSError):
            spool.drain_one_by_one(self._store)

    def _place(self, parameters: dict[str, Any], deadline: timedelta) -> Hold:
        ends_at = time.monotonic() + deadline.total_seconds()
        try:
            return self._call("create_table_hold", parameters, hold_from, deadline)
        except SchemaBehindError:
            without = {name: value for name, value in parameters.items() if name not in _NESTED}
            if parameters["request_fingerprint"] is not None:
                # Without it the key would stand for these tables alone, and the search's next candidate be refused.
                without["request_fingerprint"] = parameters["request_fingerprint"]
            left = max(ends_at - time.monotonic(), 0.001)
            return self._call("create_table_hold", without, hold_from, timedelta(seconds=left))

    def _windows_in_the_way(self, request: HoldRequest) -> list[ConflictingWindow]:
        """Look up what a refusal did not name: the table alone where the other has gone already."""
        found = self.find_conflicts(request.table_ids, request.starts_at, request.ends_at, request.booking_id)
        return found or [ConflictingWindow(request.table_ids[0], request.starts_at, request.ends_at)]

    def _record(self, event: Event) -> bool:
        parameters = event.parameters() | {"context": dict(event.context)}
        return bool(self._data(Call("record_event", parameters, min(self._deadline, RECORD_DEADLINE))))

    def _store(self, event: Event) -> None:
        parameters = {f"p_{name}": _as_json(value) for name, value in event.parameters().items()}
        _ENDS_AT.set(time.monotonic() + RECORD_DEADLINE.total_seconds())
        try:
            self._api.rpc("store_event", parameters | {"p_context": dict(event.context)}).execute()
        except APIError as error:
            # A SQLSTATE is the database's answer; an HTTP status or a code of the API's own says that it was not asked.
            if len(error.code or "") != 5:
                raise
            raise EventRefusedError(error.message or "refused", error.code) from error

    def _call(
        self, name: str, parameters: Mapping[str, Any], read: Callable[[Row], T], deadline: timedelta | None = None
    ) -> T:
        call = Call(name, parameters, self._deadline if deadline is None else deadline)
        row = row_from(self._data(call))
        if unrecorded := unrecorded_events(row):
            row["event_recorded"] = self._telemetry.keep_all(unrecorded)
        self._telemetry.drain_in_background()
        return call.read(row, read)

    def _data(self, call: Call) -> Any:
        while True:
            parameters = call.next_parameters()
            if call.name in _WITHOUT_LOCK_TIMEOUT or not parameters.keys() - {"lock_timeout_ms"}:
                del parameters["lock_timeout_ms"]
            _ENDS_AT.set(time.monotonic() + call.remaining_seconds())
            try:
                return (
                    self._api.rpc(call.name, {f"p_{name}": _as_json(value) for name, value in parameters.items()})
                    .execute()
                    .data
                )
            except (APIError, httpx.HTTPError) as failure:
                meaning = _meaning(failure)
                pause = call.pause_after(meaning)
                if pause is None:
                    error = call.final_error(meaning)
                    self._tell(call, error, failure)
                    # What the API says of a conflict names the other booking.
                    raise error from (None if isinstance(error, HoldConflictError) else failure)
            time.sleep(pause)

    def _tell(self, call: Call, error: HoldsError, failure: Exception) -> None:
        code = failure.code if isinstance(failure, APIError) else None
        event = call.failure_event(error, code)
        if event is None:
            return
        if isinstance(error, HoldUnavailableError | HoldOutcomeUnknownError):
            self._telemetry.keep(event)
        else:
            self.record(event)


class _TimeLeft(dict[str, float]):
    """The timeouts of one request: whatever it waits for, all that is left until one moment.

    httpx has a timeout for connecting, one for writing and one for each read, and none for all of them together; but it
    asks for each when its turn comes.
    """

    def __init__(self, ends_at: float) -> None:
        super().__init__()
        self._ends_at = ends_at

    def get(self, _phase: str, _default: object = None) -> float:
        return max(self._ends_at - time.monotonic(), 0.001)


class _BodyInTime(httpx.SyncByteStream):
    """A body that has to be there by a moment, however slowly it drips."""

    def __init__(self, body: httpx.SyncByteStream, ends_at: float) -> None:
        self._body = body
        self._ends_at = ends_at

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._body:
            if time.monotonic() > self._ends_at:
                raise httpx.ReadTimeout("the answer's body took too long")
            yield chunk

    def close(self) -> None:
        self._body.close()


def _limit_time(request: httpx.Request) -> None:
    if (ends_at := _ENDS_AT.get(None)) is not None:
        request.extensions["timeout"] = _TimeLeft(ends_at)


def _limit_body(response: httpx.Response) -> None:
    if (ends_at := _ENDS_AT.get(None)) is not None and isinstance(response.stream, httpx.SyncByteStream):
        response.stream = _BodyInTime(response.stream, ends_at)


def _meaning(failure: APIError | httpx.HTTPError) -> HoldsError:
    """Return what a failed try means.

    Raises:
        APIError: It means nothing to the holds core.
    """
    if isinstance(failure, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
        return HoldUnavailableError()  # nothing was sent
    if isinstance(failure, httpx.LocalProtocolError | httpx.UnsupportedProtocol):
        return HoldRequestError(f"The API's URL or key cannot be sent: {type(failure).__name__}.")
    if not isinstance(failure, APIError):
        return HoldOutcomeUnknownError()
    code = failure.code or ""
    meaning = meaning_of(code, message=failure.message, hint=failure.hint)
    if meaning is None and len(code) == 3:
        # An HTTP status: what answered is not PostgREST but something before it.
        meaning = (
            HoldAccessError() if code in ("401", "403")
            else TransientError() if code == "429"
            else HoldOutcomeUnknownError() if code.startswith("5")
            else None
        )  # fmt: skip
    if meaning is None:
        raise failure
    return meaning


def _as_json(value: object) -> Any:
    match value:
        case UUID():
            return str(value)
        case datetime():
            return value.isoformat()
        case list():
            return [_as_json(entry) for entry in value]
        case _:
            return value
