"""What can go wrong with a file of events, and with one line of it.

::

    HoldsError
    └── EventImportError            the file as a whole; carries what was imported before
        ├── UnreadableFileError     it is missing, of an unknown kind, damaged, or has a wrong header
        └── MissingReaderError      reading its format needs an extra that is not installed
    LineRejectedError               one line cannot become an event; goes to the rejects file, never to the caller
"""

from __future__ import annotations

from holds_core.errors import HoldsError
from holds_core.extras import install_command


class EventImportError(HoldsError):
    """A file of events could not be imported to its end."""


class UnreadableFileError(EventImportError):
    """A file of events cannot be read."""


class MissingReaderError(EventImportError):
    """A file's format needs an extra that is not installed."""

    def __init__(self, extra: str, what: str) -> None:
        super().__init__(f"{what} needs the extra {extra!r}: {install_command(extra)}")
        self.extra = extra


class LineRejectedError(Exception):
    """One line cannot become an event; the message is the reason that a person reads beside it."""
