"""The errors of holdwatch, and the one place where a database's words become ours.

::

    HoldsError
    ├── HoldRefusedError                the database answered, and the answer is no
    │   ├── HoldConflictError           another booking holds one of the tables
    │   ├── HoldCutoffError             a lock or a statement took longer than it may
    │   └── HoldExpiredError            the hold's time was over
    ├── HoldRequestError                the caller asked for something impossible (also a ValueError)
    │   ├── IdempotencyKeyReusedError   the key belongs to another request
    │   └── HoldNotFoundError           no such hold (also a LookupError)
    ├── HoldUnavailableError            no connection within the deadline; nothing was sent
    ├── HoldRetryExhaustedError         a transient failure came back until the deadline
    ├── HoldOutcomeUnknownError         the answer was lost: the hold may or may not exist
    ├── EnforcementError                overlaps are not, or not surely, refused
    ├── MigrationError                  the schema cannot be brought up to date
    └── SettingsError                   an environment variable makes no sense
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import psycopg

from holds_core.models import ConflictingWindow

NO_OVERLAP_CONSTRAINT = "table_hold_windows_no_overlap"
IDEMPOTENCY_KEY_CONSTRAINT = "table_holds_idempotency_key"


class HoldsError(Exception):
    """Something went wrong in the holds core."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").splitlines()[0])


class HoldRefusedError(HoldsError):
    """The database answered, and the answer is no."""


class HoldConflictError(HoldRefusedError):
    """Another booking holds one of the tables in part of the window. Try other tables.

    Attributes:
        conflicts: The windows in the way. Whose they are is not said.
    """

    def __init__(self, conflicts: Sequence[ConflictingWindow] = ()) -> None:
        tables = ", ".join(sorted({str(window.table_id) for window in conflicts}))
        super().__init__(
            f"Another booking holds table {tables} in part of the window. Try other tables." if tables else None
        )
        self.conflicts = tuple(conflicts)


class HoldCutoffError(HoldRefusedError):
    """A lock or a statement took longer than it may (CUTOFF). Try again within your deadline."""


class HoldExpiredError(HoldRefusedError):
    """The hold's time was over before it was confirmed. Place a new hold."""


class HoldRequestError(HoldsError, ValueError):
    """The request asks for something impossible."""


class IdempotencyKeyReusedError(HoldRequestError):
    """The idempotency key was used for another request of this restaurant. Use a new key for a new request."""


class HoldNotFoundError(HoldRequestError, LookupError):
    """There is no such hold."""


class HoldUnavailableError(HoldsError):
    """No connection to the database within the deadline. Nothing was sent, so nothing is held."""


class HoldRetryExhaustedError(HoldsError):
    """A transient failure came back at every try until the deadline. Nothing is held.

    Attributes:
        attempts: How many tries there were.
    """

    def __init__(self, attempts: int) -> None:
        super().__init__(f"A transient failure came back at each of {attempts} tries. Nothing is held.")
        self.attempts = attempts


class HoldOutcomeUnknownError(HoldsError):
    """The answer was lost: the hold may or may not exist. Repeat with the same idempotency key; else it expires."""


class EnforcementError(HoldsError):
    """Overlapping holds are not, or not surely, refused.

    Attributes:
        problems: What is wrong, one sentence each.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("Overlapping holds are not surely refused: " + "; ".join(problems) + ".")
        self.problems = tuple(problems)


class MigrationError(HoldsError):
    """The schema cannot be brought up to date."""


class SettingsError(HoldsError):
    """An environment variable has a value that means nothing."""


class TransientError(HoldsError):
    """The database gave up for a reason that passes: a deadlock or a serialization failure. The client tries again."""


_BY_CONSTRAINT: dict[str, type[HoldsError]] = {
    NO_OVERLAP_CONSTRAINT: HoldConflictError,
    IDEMPOTENCY_KEY_CONSTRAINT: IdempotencyKeyReusedError,
}

_SCHEMA_MISSING = ("3F000", "42883", "42P01")  # invalid_schema_name, undefined_function, undefined_table

_BY_SQLSTATE: dict[str, type[HoldsError]] = {
    "55P03": HoldCutoffError,  # lock_not_available
    "57014": HoldCutoffError,  # query_canceled: statement_timeout
    "40P01": TransientError,  # deadlock_detected
    "40001": TransientError,  # serialization_failure
}


def translate(error: psycopg.Error) -> HoldsError | None:
    """Return what a database error means to us, or None where it means nothing of ours and should go on as it is.

    Decided by constraint name and SQLSTATE, never by text: messages are localised, and the DETAIL of an exclusion
    violation names the other booking.
    """
    sqlstate = error.sqlstate
    if sqlstate is None and isinstance(error, psycopg.DataError):
        return HoldRequestError(str(error))  # psycopg cannot send it, for example a NUL character
    if sqlstate is None:
        # The connection broke, or never was; psycopg has no SQLSTATE to give.
        return HoldOutcomeUnknownError() if isinstance(error, psycopg.OperationalError) else None
    meaning = _BY_CONSTRAINT.get(error.diag.constraint_name or "") or _BY_SQLSTATE.get(sqlstate)
    if meaning is None and sqlstate.startswith(("08", "57P0")):
        meaning = HoldOutcomeUnknownError
    elif meaning is None and (sqlstate in ("23514", "25001") or sqlstate.startswith("22")):
        return HoldRequestError(error.diag.message_primary)
    elif meaning is None and sqlstate in _SCHEMA_MISSING:
        return MigrationError(
            "This database lacks the schema of holdwatch, or has an older one; run: holdwatch db migrate"
        )
    elif meaning is None and sqlstate == "55000":
        said = (error.diag.message_primary, error.diag.message_hint)
        return EnforcementError([". ".join(part.rstrip(".") for part in said if part)])
    return None if meaning is None else meaning()


def raise_translated(error: psycopg.Error) -> NoReturn:
    """Raise what a database error means to us, or the error itself where it means nothing of ours.

    A conflict is raised without its cause, whose DETAIL names the other booking and would stand in every traceback.

    Raises:
        HoldsError: What it means.
        psycopg.Error: It means nothing of ours.
    """
    meaning = translate(error)
    if meaning is None:
        raise error
    raise meaning from (None if isinstance(meaning, HoldConflictError) else error)
