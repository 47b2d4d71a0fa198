"""What commands say of failures that are the user's, or the world's, to mend."""

from __future__ import annotations

import psycopg

from holds_core.errors import HoldsError


def message_of(error: BaseException) -> str | None:
    """Return one clear line, without a secret in it; None for a bug, which deserves its traceback."""
    match error:
        case BaseExceptionGroup():
            # Several tasks failed together; they failed of one cause.
            return message_of(error.exceptions[0])
        case HoldsError():
            return str(error)
        case psycopg.errors.InsufficientPrivilege():
            return f"The database said: {first_line(error)}. Another login may: holdwatch doctor shows what this one lacks."
        case psycopg.Error():
            said = first_line(error)
            return f"Cannot reach the database: {said}" if error.sqlstate is None else f"The database said: {said}"
        case BrokenPipeError():
            return "Whoever read the output has gone; the rest of it was not written."
        case UnicodeDecodeError():
            return f"That is no text in UTF-8: byte {error.start + 1} is {error.object[error.start]:#04x}."
        case OSError(filename=filename, strerror=strerror) if filename is not None:
            return f"{strerror}: {filename}"
        case OSError(strerror=strerror) if strerror is not None:
            return f"{strerror}."
        case _:
            return None


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says; PostgreSQL says more than one."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
