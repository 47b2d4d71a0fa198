"""One call of the holds core within its deadline: what to send, when to try again, what an answer or a failure means.

Nothing here does input or output, so that every client shares it, whoever waits and whatever carries the call.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

from holds_core.errors import (
    HoldAccessError,
    HoldConflictError,
    HoldCutoffError,
    HoldExpiredError,
    HoldNotFoundError,
    HoldOutcomeUnknownError,
    HoldRateLimitError,
    HoldRequestError,
    HoldRetryExhaustedError,
    HoldsError,
    HoldUnavailableError,
    TransientError,
)
from holds_core.events.record import Event, event_from
from holds_core.events.types import EventType, Severity
from holds_core.models import ConflictingWindow, Hold, HoldRequest

DEFAULT_DEADLINE = timedelta(seconds=10)
LONGEST_LOCK_WAIT_MS = 2_000
SERVER_SHARE = 0.9
"""Of the time that is left, what the server may use: its refusal is worth more than a connection that was cut."""
SOURCE = "holds.core"
_FIRST_BACKOFF_SECONDS = 0.02
_LONGEST_BACKOFF_SECONDS = 1.0

Row = dict[str, Any]
T = TypeVar("T")


class Call:
    """One call, tried until it is answered or its time is over; every try sends the same key and the same event id.

    Attributes:
        name: The SQL function's name, and that of its query.
        attempts: Tries so far.
        is_outcome_unknown: Whether the answer to a try was lost: what it did may stand.
    """

    def __init__(self, name: str, parameters: Mapping[str, Any], deadline: timedelta) -> None:
        self.name = name
        self.attempts = 0
        self.is_outcome_unknown = False
        self._parameters = parameters
        self._ends_at = time.monotonic() + deadline.total_seconds()

    def remaining_seconds(self) -> float:
        """Return how long the call may still take; at least a millisecond, so that waiting on it fails at once."""
        return max(self._ends_at - time.monotonic(), 0.001)

    def next_parameters(self) -> dict[str, Any]:
        """Return what to send; the server gives up a lock while there is time left for it to say so."""
        self.attempts += 1
        lock_timeout_ms = min(LONGEST_LOCK_WAIT_MS, int(self.remaining_seconds() * 1000 * SERVER_SHARE) + 1)
        return {**self._parameters, "lock_timeout_ms": lock_timeout_ms}

    def pause_after(self, meaning: HoldsError) -> float | None:
        """Return the seconds to wait before the next try (full jitter, so that losers do not meet again).

        Returns:
            None where there will be no next try: :meth:`final_error` says with what the call ends.
        """
        self.is_outcome_unknown |= isinstance(meaning, HoldOutcomeUnknownError)
        if not isinstance(meaning, TransientError | HoldOutcomeUnknownError | HoldUnavailableError):
            return None
        longest = min(_LONGEST_BACKOFF_SECONDS, _FIRST_BACKOFF_SECONDS * 2.0 ** (self.attempts - 1))
        pause = random.uniform(0, longest)  # noqa: S311  jitter, not a secret
        return pause if time.monotonic() + pause < self._ends_at else None

    def final_error(self, meaning: HoldsError) -> HoldsError:
        """Return the error that the call ends with, after one that is not tried again."""
        if self.is_outcome_unknown and isinstance(
            # Perhaps it was a lock of our own lost try; and whatever is in the way now, the lost try may stand.
            meaning, HoldOutcomeUnknownError | TransientError | HoldCutoffError | HoldUnavailableError
        ):  # fmt: skip
            return self._unknown()
        if isinstance(meaning, TransientError):
            return HoldRetryExhaustedError(self.attempts)
        return meaning

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
                raise self._unknown() from None
            raise

    def _unknown(self) -> HoldOutcomeUnknownError:
        if self.name == "create_table_hold":
            return HoldOutcomeUnknownError()
        return HoldOutcomeUnknownError("The answer was lost: it may or may not be done. Do it again; that is harmless.")

    def failure_event(self, error: HoldsError, code: str | None) -> Event | None:
        """Return the event of a call that failed without an answer: nothing of it was committed that would say so.

        Args:
            error: What the call ended with.
            code: The SQLSTATE, or the API's code; None where there was none to give.
        """
        reason = _FAILURE_REASONS.get(type(error))
        if reason is None or self.name not in _HOLD_CALLS:
            return None
        parameters = self._parameters
        context: dict[str, Any] = {
            **parameters.get("event_context", {}),
            "call": self.name,
            "code": code or "08006",  # connection_failure
            "reason": reason,
            "attempt": parameters.get("attempt", 1),
            "tries": self.attempts,
            "retryExhausted": isinstance(error, HoldRetryExhaustedError | HoldOutcomeUnknownError),
        }
        if "hold_id" in parameters:
            context["holdId"] = str(parameters["hold_id"])
        if parameters.get("table_ids") is not None:
            context["tableIds"] = [str(table_id) for table_id in parameters["table_ids"]]
        return Event(
            event_type=EventType.RPC_CONFLICT,
            source=SOURCE,
            severity=Severity.WARNING,
            restaurant_id=parameters.get("restaurant_id"),
            booking_id=parameters.get("booking_id"),
            context=context,
        )


_HOLD_CALLS = (
    "create_table_hold",
    "confirm_table_hold",
    "extend_table_hold",
    "move_table_hold",
    "release_table_hold",
)

_FAILURE_REASONS: dict[type[HoldsError], str] = {
    HoldCutoffError: "CUTOFF",
    HoldRetryExhaustedError: "RETRY_EXHAUSTED",
    HoldOutcomeUnknownError: "OUTCOME_UNKNOWN",
    HoldUnavailableError: "UNAVAILABLE",
    HoldRequestError: "HOLD_REQUEST",
    HoldAccessError: "HOLD_ACCESS",
}


def _array_text(values: Sequence[object]) -> str:
    return "{" + ",".join(map(str, values)) + "}"


_TO_TEXT: dict[type, Callable[[Any], str | None]] = {
    type(None): lambda value: value,
    str: lambda value: value,
    UUID: str,
    int: str,
    float: str,
    datetime: datetime.isoformat,
    list: _array_text,
    dict: json.dumps,
}


def as_texts(parameters: Mapping[str, Any]) -> dict[str, str | None]:
    """Return parameters as PostgreSQL reads them; the function's own parameter types say what they are."""
    return {name: _TO_TEXT.get(type(value), str)(value) for name, value in parameters.items()}


_TIMES = ("starts_at", "ends_at", "created_at", "expires_at")


def row_from(data: Mapping[str, Any]) -> Row:
    """Read a row that came as JSON: times, in UTC, and ids."""
    row = dict(data)
    for name in _TIMES:
        if row.get(name) is not None:
            row[name] = datetime.fromisoformat(row[name]).astimezone(UTC)
    for name in ("hold_id", "table_id"):
        if row.get(name) is not None:
            row[name] = UUID(row[name])
    if row.get("table_ids") is not None:
        row["table_ids"] = [UUID(table_id) for table_id in row["table_ids"]]
    return row


def unrecorded_events(row: Row) -> list[Event]:
    """Return the events of an answer that could not be stored with it; the same events, so that each counts once."""
    return [event_from(fields) for fields in row.get("unrecorded_events") or []]


def _require_time_zones(**times: datetime | None) -> None:
    for name, value in times.items():
        if value is not None and value.tzinfo is None:
            raise HoldRequestError(f"{name} has no time zone; give it one, for example UTC.")


def place_parameters(request: HoldRequest, attempt: int) -> dict[str, Any]:
    """Return the parameters of ``create_table_hold``."""
    _require_time_zones(starts_at=request.starts_at, ends_at=request.ends_at)
    return {
        "restaurant_id": request.restaurant_id,
        "table_ids": list(request.table_ids),
        "starts_at": request.starts_at,
        "ends_at": request.ends_at,
        "idempotency_key": request.idempotency_key,
        "booking_id": request.booking_id,
        "ttl_seconds": request.time_to_live.total_seconds(),
        "event_context": dict(request.event_context),
        "request_fingerprint": request.request_fingerprint,
        "attempt": attempt,
        "event_id": uuid4(),
        "attempted_at": datetime.now(UTC),
    }


def change_parameters(hold_id: UUID) -> dict[str, Any]:
    """Return the parameters of ``confirm_table_hold`` and ``release_table_hold``, and what the others share."""
    return {"hold_id": hold_id, "event_id": uuid4(), "occurred_at": datetime.now(UTC)}


def extend_parameters(hold_id: UUID, time_to_live: timedelta) -> dict[str, Any]:
    """Return the parameters of ``extend_table_hold``."""
    return change_parameters(hold_id) | {"ttl_seconds": time_to_live.total_seconds()}


def move_parameters(
    hold_id: UUID, table_ids: Sequence[UUID] | None, starts_at: datetime | None, ends_at: datetime | None
) -> dict[str, Any]:
    """Return the parameters of ``move_table_hold``."""
    _require_time_zones(starts_at=starts_at, ends_at=ends_at)
    return change_parameters(hold_id) | {
        "table_ids": None if table_ids is None else list(table_ids),
        "starts_at": starts_at,
        "ends_at": ends_at,
    }


def find_parameters(
    table_ids: Sequence[UUID], starts_at: datetime, ends_at: datetime, booking_id: UUID | None
) -> dict[str, Any]:
    """Return the parameters of ``find_hold_conflicts``."""
    _require_time_zones(starts_at=starts_at, ends_at=ends_at)
    return {"table_ids": list(table_ids), "starts_at": starts_at, "ends_at": ends_at, "booking_id": booking_id}


def hold_from(row: Row) -> Hold:
    """Read a ``holds.table_hold_result``.

    Raises:
        HoldsError: It is a refusal.
    """
    match row["outcome"]:
        case "conflict":
            raise HoldConflictError([_window_from(window) for window in row["conflicts"]])
        case "rate_limited":
            seconds = row["retry_after_seconds"]
            raise HoldRateLimitError(None if seconds is None else timedelta(seconds=seconds))
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


def confirmed_from(row: Row) -> Hold:
    """Read the answer to a confirm.

    Raises:
        HoldExpiredError: The hold is over.
    """
    return _with_status(row, "confirmed", doing="confirmed")


def extended_from(row: Row) -> Hold:
    """Read the answer to an extend; a confirmed hold lasts anyway.

    Raises:
        HoldExpiredError: The hold is over.
    """
    return _with_status(row, "held", "confirmed", doing="extended")


def moved_from(row: Row) -> Hold:
    """Read the answer to a move.

    Raises:
        HoldExpiredError: The hold is over.
        HoldConflictError: Another booking holds one of the tables.
    """
    return _with_status(row, "held", "confirmed", doing="moved")


def _with_status(row: Row, *statuses: str, doing: str) -> Hold:
    hold = hold_from(row)
    if hold.status not in statuses:
        raise HoldExpiredError(f"The hold is {hold.status}; it cannot be {doing} any more. Place a new hold.")
    return hold


def conflicting_window_from(row: Row) -> ConflictingWindow:
    """Read a row of ``find_hold_conflicts``."""
    return ConflictingWindow(row["table_id"], row["starts_at"], row["ends_at"])


def _window_from(window: dict[str, str]) -> ConflictingWindow:
    return ConflictingWindow(
        UUID(window["tableId"]),
        datetime.fromisoformat(window["startsAt"]).astimezone(UTC),
        datetime.fromisoformat(window["endsAt"]).astimezone(UTC),
    )
