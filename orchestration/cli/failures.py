"""What commands say of failures that are the user's, or the world's, to mend."""

from __future__ import annotations

import psycopg

from holds_core.errors import HoldsError, first_line


def message_of(error: BaseException) -> str | None:
    """Return one clear line, without a secret in it; None for a bug, which deserves its traceback."""
    match error:
        case BaseExceptionGroup():
            # Several tasks failed together; they failed of one cause.
            said = message_of(error.exceptions[0])
        case HoldsError():
            said = str(error)
        case psycopg.Error():
            said = _of_database(error)
        case UnicodeDecodeError():
            said = f"Expected text in UTF-8, and found the byte {error.object[error.start]:#04x} at {error.start + 1}."
        case ValueError() if "null byte" in str(error):
            said = "The name of a file cannot contain a NUL byte."
        case OSError(filename=filename, strerror=strerror) if strerror is not None:
            said = f"{strerror}." if filename is None else f"{strerror}: {filename}"
        case _:
            said = None
    # One line: what a server or a library says may have more.
    return None if said is None else " ".join(said.split())


def _of_database(error: psycopg.Error) -> str:
    said = first_line(error)
    match error:
        case psycopg.errors.InsufficientPrivilege():
            return (
                f"The database said: {said}. holds_operator switches and reads of switches and flags, holds_app places "
                "and moves holds, analytics_reader reads views, and the owner alone looks at what is stored: "
                "holdwatch db grant ROLE PERSON"
            )
        case psycopg.OperationalError() if error.sqlstate is None:
            return f"Cannot reach the database: {said}"
        case _:
            return f"The database said: {said}"
