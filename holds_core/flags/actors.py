"""Whose a login is: several logins of one person count as that person, and a service acts for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

from holds_core.database.queries import query
from holds_core.errors import raise_translated


@dataclass(frozen=True, kw_only=True)
class FlagActor:
    """A login that may ask for changes of flags and approve them.

    Attributes:
        login: Of the database.
        person: Whose it is; of a service, its own name.
        is_service: Whether it acts for people, and has to say for whom.
        is_active: False: it may no longer.
        changed_by: Who said so.
        changed_at: When, UTC.
    """

    login: str
    person: str
    is_service: bool
    is_active: bool
    changed_by: str
    changed_at: datetime


def list_actors(connection: psycopg.Connection[Any]) -> list[FlagActor]:
    """Return everybody, by person."""
    try:
        with connection.cursor(row_factory=class_row(FlagActor)) as cursor:
            return cursor.execute(query("list_flag_actors")).fetchall()
    except psycopg.Error as error:
        raise_translated(error)


def set_actor(
    connection: psycopg.Connection[Any],
    login: str,
    *,
    person: str | None = None,
    is_service: bool = False,
    is_active: bool = True,
) -> None:
    """Say whose a login is.

    Args:
        connection: As the owner of the schema.
        login: Of the database.
        person: Whose it is; somebody of the login's own name unless given.
        is_service: Whether it acts for people.
        is_active: False takes it away.
    """
    parameters = {"login": login, "person": person or login, "is_service": is_service, "is_active": is_active}
    try:
        connection.execute(query("set_flag_actor"), parameters)
    except psycopg.Error as error:
        raise_translated(error)
