"""Connections as holdwatch wants them: UTC, autocommit, and named so that ops can tell who is who."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from holds_core.errors import DatabaseConnectionError, SettingsError, first_line

CONNECT_TIMEOUT_SECONDS = 10

CONNECTION_PARAMETERS: dict[str, Any] = {
    "application_name": "holdwatch",
    "connect_timeout": CONNECT_TIMEOUT_SECONDS,
    # The views read some hundred partitions. Where the planner takes that for much, a server with LLVM compiles every
    # expression of each of them first: half a minute for what then takes milliseconds.
    "options": "-c timezone=UTC -c jit=off",
}


UNREADABLE = (
    "must be a URL such as postgresql://user:password@host:5432/database, with special characters in the password "
    "percent-encoded (its value is not repeated: it may hold one)."
)
"""What to say of a URL that cannot be read. libpq's own complaints quote it."""


def read_url(url: str) -> dict[str, Any]:
    """Return what a URL, or a string of ``name=value``, says.

    Raises:
        SettingsError: libpq cannot read it, or would not read it as its writer meant it.
    """
    place = url.partition("://")[2].partition("?")[0]
    login, at, _ = place.partition("@")
    try:
        said = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        said = None
    # A password with @ or / in it as it is: libpq takes a part of it for the host, and says so to everybody.
    if said is None or place.count("@") > 1 or (at and "/" in login):
        raise SettingsError(f"The address of the database {UNREADABLE}")
    return said


def connection_parameters(url: str, **changes: Any) -> dict[str, Any]:
    """Return what to pass beside a URL: what it says itself stays, and its ``options`` stand beside ours.

    Raises:
        SettingsError: The URL cannot be read.
    """
    said = read_url(url)
    parameters = CONNECTION_PARAMETERS | changes
    options = " ".join(str(part) for part in (said.get("options"), parameters.get("options")) if part)
    return {name: value for name, value in parameters.items() if name not in said} | {"options": options}


def connect(url: str, *, autocommit: bool = True, application_name: str = "holdwatch") -> psycopg.Connection:
    """Open a connection to the database at ``url`` whose session runs in UTC.

    Raises:
        DatabaseConnectionError: The server cannot be reached or refuses the login.
        SettingsError: The URL cannot be read.
    """
    parameters = connection_parameters(url, application_name=application_name)
    try:
        return psycopg.connect(url, autocommit=autocommit, **parameters)
    except psycopg.OperationalError as error:
        raise DatabaseConnectionError(f"Cannot reach the database: {one_line(error)}") from error


def one_line(error: psycopg.Error) -> str:
    """Return the first line of what libpq says. It names host, port and user, and no password."""
    return " ".join(first_line(error).removeprefix("connection failed: ").split())
