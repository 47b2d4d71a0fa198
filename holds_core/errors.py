"""The errors of holdwatch, and the one place where a database's words become ours.

::

    HoldsError
    ├── HoldRefusedError            the database answered, and the answer is no
    │   ├── HoldConflictError       another booking holds one of the tables
    │   └── HoldCutoffError         a lock or a statement took longer than it may
    ├── HoldUnavailableError        the database cannot be reached
    ├── HoldRequestError            the caller asked for something impossible (also a ValueError)
    ├── HoldNotFoundError           no such hold
    ├── EnforcementError            overlaps are not, or not surely, refused
    ├── MigrationError              the schema cannot be brought up to date
    └── SettingsError               an environment variable makes no sense
"""

from __future__ import annotations


class HoldsError(Exception):
    """Something went wrong in the holds core."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").splitlines()[0])


class SettingsError(HoldsError):
    """An environment variable has a value that means nothing."""


class MigrationError(HoldsError):
    """The schema cannot be brought up to date."""
