"""What every reader gives, whatever the format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, Self

from holds_core.events.errors import LineRejectedError
from holds_core.events.json_text import parse

Raw = str | bytes | dict[str, Any]
"""A line as it was read: text without its line end; bytes where they are no UTF-8; a mapping where there is no text."""


class Record(NamedTuple):
    """One line (JSON), record (CSV) or row (Parquet) of a file.

    Attributes:
        line_number: Where it begins, counted from 1; for Parquet the number of the row.
        raw: What a person needs in order to mend it.
        content: The mapping that it says; or, as a string, the reason why it says none.
    """

    line_number: int
    raw: Raw
    content: dict[str, Any] | str


class EventReader(Protocol):
    """A file being read once, front to back, in constant memory."""

    def __iter__(self) -> Iterator[Record]:
        """Give every record that is not blank."""

    def bytes_read(self) -> int:
        """Return how far into the file the reading is, of the size it has on disk; only for showing progress."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...


def read_object(text: str) -> dict[str, Any] | str:
    """Return the JSON object that the text is, or the reason why it is none."""
    try:
        value = parse(text)
    except LineRejectedError as error:
        return str(error)
    return value if isinstance(value, dict) else "no JSON object"


def read_context(text: str) -> Any:
    """Return what a cell that holds a context says; None for an empty one.

    Raises:
        LineRejectedError: It is no JSON.
    """
    if not text:
        return None
    try:
        return parse(text)
    except LineRejectedError as error:
        raise LineRejectedError(f"context: {error}") from None


def no_utf8(error: UnicodeDecodeError) -> str:
    """Return the reason for rejecting bytes that are no UTF-8."""
    return f"no UTF-8: byte 0x{error.object[error.start]:02x} at position {error.start + 1}"
