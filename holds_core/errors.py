"""The errors of holdwatch, and the one place where a database's words become ours.

::

    HoldsError
    ├── HoldRefusedError                the database answered, and the answer is no
    │   ├── HoldConflictError           another booking holds one of the tables
    │   ├── HoldRateLimitError          the restaurant places more holds than it may
    │   ├── HoldCutoffError             a lock or a statement took longer than it may
    │   └── HoldExpiredError            the hold's time was over
    ├── HoldRequestError                the caller asked for something impossible (also a ValueError)
    │   ├── IdempotencyKeyReusedError   the key belongs to another request
    │   └── HoldNotFoundError           no such hold (also a LookupError)
    ├── HoldUnavailableError            no connection within the deadline; nothing was sent
    │   └── DatabaseConnectionError     the database cannot be reached, or refuses the login (also an OperationalError)
    ├── HoldRetryExhaustedError         a transient failure came back until the deadline
    ├── HoldOutcomeUnknownError         the answer was lost: the hold may or may not exist
    ├── HoldAccessError                 this login may not do that
    ├── EnforcementError                overlaps are not, or not surely, refused
    ├── MigrationError                  the schema is missing, or cannot be brought up to date
    │   └── SchemaBehindError           the schema, or an API's cache of it, is older than this program
    ├── FlagError                       a feature flag, or a change of one, is not as it has to be
    │   ├── FlagDefinitionError         a definition makes no sense
    │   ├── FlagRequestError            a change asks for something impossible (also a ValueError)
    │   ├── FlagAccessError             this person may not do that to this change
    │   ├── FlagStateError              the change, or the flag, has gone on since
    │   ├── FlagStageError              the next stage of a rollout is not due, or its guardrails do not hold
    │   └── FlagUnsafeError             the change would make an unsafe combination
    └── SettingsError                   an environment variable, or a database's URL, makes no sense
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import NoReturn

import psycopg

from holds_core.models import ConflictingWindow

NO_OVERLAP_CONSTRAINT = "table_hold_windows_no_overlap"
IDEMPOTENCY_KEY_CONSTRAINT = "table_holds_idempotency_key"

_DOTTED = re.compile(r"\w+\.\w")


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says; PostgreSQL says more than one, and some errors say nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


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
        # A booking that has placed two holds is in the way twice, with one window.
        self.conflicts = tuple(dict.fromkeys(conflicts))


class HoldRateLimitError(HoldRefusedError):
    """The restaurant places more holds than its rate limit lets through (HOLD_RATE_LIMIT). Try again later.

    Attributes:
        retry_after: How long until there is room for one more; None where it is not known.
    """

    def __init__(self, retry_after: timedelta | None = None) -> None:
        later = "later" if retry_after is None else f"in {retry_after.total_seconds():.1f} s"
        super().__init__(
            f"The restaurant places more holds than its rate limit lets through (HOLD_RATE_LIMIT). Try again {later}."
        )
        self.retry_after = retry_after


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
    """No connection to the database within the deadline. Nothing was sent, so nothing has changed.

    Attributes:
        last_error: What the last try to connect failed of, where there was one: it names host and user, so it is for
            your log, not for your guests.
    """

    def __init__(self, message: str | None = None, *, last_error: str | None = None) -> None:
        said = message or "No connection to the database within the deadline. Nothing was sent, so nothing has changed."
        super().__init__(said if last_error is None else f"{said} The last try to connect: {last_error}")
        self.last_error = last_error


class DatabaseConnectionError(HoldUnavailableError, psycopg.OperationalError):
    """The database cannot be reached, or refuses the login."""


class HoldRetryExhaustedError(HoldsError):
    """A transient failure came back at every try until the deadline. Nothing has changed.

    Attributes:
        attempts: How many tries there were.
    """

    def __init__(self, attempts: int) -> None:
        super().__init__(f"A transient failure came back at each of {attempts} tries. Nothing has changed.")
        self.attempts = attempts


class HoldOutcomeUnknownError(HoldsError):
    """The answer was lost: the hold may or may not exist. Repeat with the same idempotency key; else it expires."""


class HoldAccessError(HoldsError):
    """This login may not do that. Grant it the role that may: holds_app places holds, holds_operator switches."""


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


class SchemaBehindError(MigrationError):
    """The schema, or an API's cache of it, is older than this program. Migrate the one, or reload the other."""


class FlagError(HoldsError):
    """A feature flag, or a change of one, is not as it has to be."""


class FlagDefinitionError(FlagError):
    """A definition of a flag makes no sense."""


class FlagRequestError(FlagError, ValueError):
    """A change of a flag asks for something impossible."""


class FlagAccessError(FlagError):
    """This person may not do that to this change of a flag."""


class FlagStateError(FlagError):
    """The change, or the flag itself, has gone on since. Look at it again."""


class FlagStageError(FlagError):
    """The next stage of a rollout is not due yet, or its guardrails do not hold."""


class FlagUnsafeError(FlagError):
    """The change would make an unsafe combination of flags."""


class SettingsError(HoldsError):
    """An environment variable, or a database's URL, has a value that means nothing."""


class TransientError(HoldsError):
    """The database gave up for a reason that passes: a deadlock or a serialization failure. The client tries again."""


_BY_CONSTRAINT: dict[str, type[HoldsError]] = {
    NO_OVERLAP_CONSTRAINT: HoldConflictError,
    IDEMPOTENCY_KEY_CONSTRAINT: IdempotencyKeyReusedError,
}

_REQUEST_BY_CONSTRAINT = {
    "maintenance_windows_known_environment": "An environment is dev, staging or prod.",
    "maintenance_windows_lasts": "Maintenance lasts more than nothing, and at most 7 days.",
    "maintenance_windows_weekdays": "Weekly maintenance needs one or more days of the week, 1 (Monday) to 7.",
    "maintenance_windows_recur": "Maintenance that comes once has no time of day of its own.",
    "maintenance_windows_reason": "Maintenance needs a reason: whoever misses an alert will ask.",
}
"""What a caller asked for in vain, in words; the server would name the constraint alone."""

_FLAG_REFUSALS: dict[str, type[FlagError]] = {
    "flag_changes_value": FlagRequestError,
    "flag_changes_actor": FlagAccessError,
    "flag_changes_state": FlagStateError,
    "flag_changes_stage": FlagStageError,
    "flag_changes_unsafe": FlagUnsafeError,
}
"""How the functions that change flags say no: in words of ours, under a constraint's name."""

_BY_CODE: dict[str, type[HoldsError]] = {
    "23P01": HoldConflictError,  # exclusion_violation
    "55P03": HoldCutoffError,  # lock_not_available
    "57014": HoldCutoffError,  # query_canceled: statement_timeout
    "40P01": TransientError,  # deadlock_detected
    "40001": TransientError,  # serialization_failure
    "42501": HoldAccessError,  # insufficient_privilege
    "42703": SchemaBehindError,  # undefined_column
    "PGRST204": SchemaBehindError,  # a column is not in PostgREST's schema cache
    "PGRST202": SchemaBehindError,  # a function, or one of its parameters, is not
    "PGRST000": HoldUnavailableError,  # PostgREST has no connection to the database
    "PGRST001": HoldOutcomeUnknownError,  # it lost its connection, perhaps while the database was at work
    "PGRST002": HoldUnavailableError,  # nor a schema cache
    "PGRST003": HoldUnavailableError,  # nor got one from its pool in time
    "PGRST301": HoldAccessError,  # the token is not valid
    "PGRST302": HoldAccessError,  # there is none, and anonymous access is off
    "PGRST303": HoldAccessError,  # the token's claims do not hold, for example it expired
}

_BY_RAISED_NAME: dict[str, type[HoldsError]] = {
    "HOLD_CONFLICT": HoldConflictError,
    "HOLD_RATE_LIMIT": HoldRateLimitError,
    "CUTOFF": HoldCutoffError,
}
"""What a function of the platform's own says by ``raise exception 'HOLD_RATE_LIMIT …'`` (P0001): a name, then text."""

_SCHEMA_MISSING = ("3F000", "42883", "42P01")  # invalid_schema_name, undefined_function, undefined_table


def meaning_of(  # noqa: PLR0911  a table, one row a line
    code: str, *, constraint: str | None = None, message: str | None = None, hint: str | None = None
) -> HoldsError | None:
    """Return what a SQLSTATE, or a code of PostgREST, means to us; None where it means nothing of ours.

    Decided by code and constraint, never by text: messages are localised, and the DETAIL of an exclusion violation
    names the other booking.

    Args:
        code: Five characters of SQLSTATE, or ``PGRST`` and three digits.
        constraint: The constraint that was violated, where it is known.
        message: The server's message, for errors whose words are ours or blame the caller.
        hint: The server's hint.
    """
    if (refusal := _FLAG_REFUSALS.get(constraint or "")) is not None:
        return refusal(_sentence(message, hint))
    meaning = _BY_CONSTRAINT.get(constraint or "") or _BY_CODE.get(code)
    if meaning is not None:
        return meaning()
    if (request := _REQUEST_BY_CONSTRAINT.get(constraint or "")) is not None:
        return HoldRequestError(request)
    if code == "P0001" and (raised := _BY_RAISED_NAME.get((message or "").partition(" ")[0].rstrip(":"))):
        return raised()
    if code.startswith(("08", "57P0")):
        return HoldOutcomeUnknownError()
    if code in ("23514", "25001") or code.startswith("22"):
        return HoldRequestError(message)
    if code in _SCHEMA_MISSING:
        return MigrationError(
            "This database lacks the schema of holdwatch, or has an older one; run: holdwatch db migrate"
        )
    if code == "55000":
        return EnforcementError([". ".join(part.rstrip(".") for part in (message, hint) if part)])
    return None


def _sentence(*parts: str | None) -> str:
    said = ". ".join(part.rstrip(".") for part in parts if part)
    # A flag's name is a name, at the beginning of a sentence too.
    return f"{said}." if _DOTTED.match(said) else f"{said[:1].upper()}{said[1:]}."


def translate(error: psycopg.Error) -> HoldsError | None:
    """Return what a database error means to us, or None where it means nothing of ours and should go on as it is."""
    if isinstance(error, HoldsError):
        return error
    if error.sqlstate is not None:
        said = error.diag
        return meaning_of(
            error.sqlstate, constraint=said.constraint_name, message=said.message_primary, hint=said.message_hint
        )
    if isinstance(error, psycopg.DataError):
        return HoldRequestError(str(error))  # psycopg cannot send it, for example a NUL character
    # The connection broke, or never was; psycopg has no SQLSTATE to give.
    return HoldOutcomeUnknownError() if isinstance(error, psycopg.OperationalError) else None


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
