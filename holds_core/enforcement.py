"""The kill switch of strict conflicts, and the proof that overlapping holds are refused."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import tuple_row

from holds_core.database.queries import query
from holds_core.errors import EnforcementError, raise_translated


def is_holds_strict_conflicts_enabled(connection: psycopg.Connection[Any]) -> bool:
    """Tell whether overlapping holds are refused, as the database has it."""
    return bool(_value(connection, "is_holds_strict_conflicts_enabled"))


def set_hold_conflict_enforcement(connection: psycopg.Connection[Any], *, enabled: bool, reason: str) -> bool:
    """Switch strict conflicts on or off for the whole database; return what is in force now.

    Off takes effect at once: later holds that overlap are stored unenforced, and recorded as what strict mode would
    have refused. On waits for holds that are being placed. Either is recorded as ``capacity.enforcement.changed``.

    Raises:
        EnforcementError: Live windows overlap, so it cannot be switched on.
    """
    try:
        return bool(_value(connection, "set_hold_conflict_enforcement", {"enabled": enabled, "reason": reason}))
    except psycopg.Error as error:
        raise_translated(error)


def enforcement_problems(connection: psycopg.Connection[Any]) -> list[str]:
    """Return every reason to doubt that overlapping holds are refused; an empty list means they are.

    Looks at the constraint, its index and the switch, and tries to double-book a table, which leaves nothing behind.
    """
    try:
        with connection.cursor(row_factory=tuple_row) as cursor:
            return [problem for (problem,) in cursor.execute(query("enforcement_problems"))]
    except psycopg.Error as error:
        raise_translated(error)


def assert_enforced(connection: psycopg.Connection[Any]) -> None:
    """Make sure that overlapping holds are refused; for the start-up of whatever places them.

    Raises:
        EnforcementError: They are not, or not surely; ``problems`` says why.
        MigrationError: The database lacks the schema.
    """
    if problems := enforcement_problems(connection):
        raise EnforcementError(problems)


def _value(connection: psycopg.Connection[Any], name: str, parameters: dict[str, Any] | None = None) -> Any:
    with connection.cursor(row_factory=tuple_row) as cursor:
        row = cursor.execute(query(name), parameters).fetchone()
    assert row is not None
    return row[0]
