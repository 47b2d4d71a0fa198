"""As whom a command acts that leaves a trail: with a person's login, or as whoever the database's URL names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import psycopg
import typer

from holds_core.database.connections import connect
from holds_core.database.migrations import has_schema, require_schema
from holds_core.database.settings import Environment, Settings
from holds_core.errors import FlagAccessError, MigrationError, SettingsError
from holds_core.flags.changes import FlagChanges
from holds_core.flags.loading import packaged_definitions
from holds_core.flags.snapshot import read_snapshot
from holds_core.flags.values import Setting
from holds_core.flags.variables import Variables, read_variables
from orchestration.cli.progress import open_existing_database, working
from orchestration.logins import Role, url_of_person

AsOption = Annotated[
    str | None,
    typer.Option(
        "--as",
        metavar="PERSON",
        envvar="HOLDWATCH_AS",
        help="Act with this person's login, as `holdwatch db grant holds_operator PERSON` has made it.",
    ),
]
ForOption = Annotated[
    str | None, typer.Option("--for", metavar="PERSON", help="For whom a service acts; for its logins alone.")
]


_PLACEHOLDER = re.compile(r"<[^>]*>|…|\.\.\.")
"""What pages write where somebody's own words belong."""


@dataclass(frozen=True)
class Desk:
    """A connection, and what is known on this side of it.

    Attributes:
        connection: As whoever acts.
        environment: The database's own.
        process_environment: Of which environment this process is: ``HOLDWATCH_ENVIRONMENT``, else the database's.
        variables: What the environment variables of this process say.
    """

    connection: psycopg.Connection[Any]
    environment: Environment
    process_environment: Environment
    variables: Variables

    @property
    def own_settings(self) -> Mapping[str, Setting]:
        """What the variables set, where this process is of the environment that the database serves."""
        return self.variables.settings if self.process_environment == self.environment else {}


@contextmanager
def reading(person: str | None) -> Iterator[Desk]:
    """Open the database to read of flags: as a person, else as whoever its URL names. Print after the block.

    Raises:
        LoginError: No login of that person is known here.
        MigrationError: The database has no flags.
    """
    with _at_desk(person) as desk, working("asking the database"):
        yield desk


@contextmanager
def acting(person: str | None, acting_for: str | None) -> Iterator[FlagChanges]:
    """Open the database to change flags, as somebody.

    Raises:
        FlagAccessError: Nobody is named, and the login is the embedded server's own.
        HoldsError: As :func:`reading`.
    """
    if person is None and Settings.from_environ().database_url is None:
        raise FlagAccessError(
            "Say who you are: --as PERSON. Who has no login yet gets one by: holdwatch db grant holds_operator PERSON"
        )
    with _at_desk(person) as desk:
        yield FlagChanges(desk.connection, acting_for=acting_for, variables=desk.own_settings)


@contextmanager
def _at_desk(person: str | None) -> Iterator[Desk]:
    with connected(person) as connection:
        environment = read_snapshot(connection).environment
        process_environment = _process_environment() or environment
        yield Desk(connection, environment, process_environment, read_variables(packaged_definitions()))


@contextmanager
def connected(person: str | None) -> Iterator[psycopg.Connection[Any]]:
    """Open the database as a person, else as whoever its URL names, be it a login with a role and no more.

    Raises:
        LoginError: No login of that person is known here.
        MigrationError: The database has no schema of ours, or an older one.
    """
    url = Settings.from_environ().database_url
    if person is None and url is not None:
        # Perhaps somebody's own login, which cannot read what was migrated: its functions say what is missing.
        with connect(url) as connection:
            _require_schema(connection)
            yield connection
        return
    with open_existing_database() as database:
        own = database.url
        if person is not None:
            own = url_of_person(own, Role.HOLDS_OPERATOR, person, is_embedded=database.is_embedded)
        with connect(own) as connection:
            yield connection


def no_placeholder(reason: str) -> str:
    """Return a reason, unless it is a page's placeholder that was copied as it stands.

    Raises:
        BadParameter: It is one.
    """
    if _PLACEHOLDER.fullmatch(reason.strip()):
        raise typer.BadParameter(f"{reason.strip()} stands for your own words; say why", param_hint="--reason")
    return reason


def require_reason(reason: str) -> None:
    """Refuse a reason that says nothing.

    Raises:
        BadParameter: It is empty, or a placeholder.
    """
    if not no_placeholder(reason).strip():
        raise typer.BadParameter("say why", param_hint="--reason")


def named_database(text: str, option: str) -> tuple[Environment, str]:
    """Read ENV=URL: which environment's database is where.

    Raises:
        BadParameter: It is not that, or there is no such environment.
    """
    name, _, url = text.partition("=")
    if name not in [*Environment] or not url:
        raise typer.BadParameter(
            f"it is ENV=URL, with ENV one of {', '.join(Environment)}: begin it with the environment, for example "
            f"{option} staging=postgresql://… (what was given is not repeated: it may hold a password)",
            param_hint=option,
        )
    return Environment(name), checked_url(url, option)


def checked_url(url: str, option: str) -> str:
    """Return a database's URL as it is, where libpq can read it: its own complaints quote what it cannot.

    Raises:
        BadParameter: It cannot; the message does not repeat it, since it may hold a password.
    """
    try:
        Settings.from_environ({"HOLDWATCH_DATABASE_URL": url})
    except SettingsError:
        raise typer.BadParameter(
            "the URL must be one such as postgresql://user:password@host:5432/database, with special characters in the "
            "password percent-encoded (what was given is not repeated: it may hold one)",
            param_hint=option,
        ) from None
    return url


def _require_schema(connection: psycopg.Connection[Any]) -> None:
    if not has_schema(connection):
        raise MigrationError("This database has no holdwatch schema; make it with: holdwatch db migrate")
    try:
        require_schema(connection)
    except psycopg.errors.InsufficientPrivilege:
        return  # a login with a role and no more


def _process_environment() -> Environment | None:
    return Settings.from_environ().environment if os.environ.get("HOLDWATCH_ENVIRONMENT") else None
