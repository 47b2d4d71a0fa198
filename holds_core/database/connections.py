"""Connections as holdwatch wants them: UTC, autocommit, and named so that ops can tell who is who."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

CONNECT_TIMEOUT_SECONDS = 10

CONNECTION_PARAMETERS: dict[str, Any] = {
    "application_name": "holdwatch",
    "connect_timeout": CONNECT_TIMEOUT_SECONDS,
    # The views read some hundred partitions. Where the planner takes that for much, a server with LLVM compiles every
    # expression of each of them first: half a minute for what then takes milliseconds.
    "options": "-c timezone=UTC -c jit=off",
}


def connection_parameters(url: str, **changes: Any) -> dict[str, Any]:
    """Return what to pass beside a URL: what it says itself stays, and its ``options`` stand beside ours."""
    said = conninfo_to_dict(url)
    parameters = CONNECTION_PARAMETERS | changes
    options = " ".join(str(part) for part in (said.get("options"), parameters.get("options")) if part)
    return {name: value for name, value in parameters.items() if name not in said} | {"options": options}


def connect(url: str, *, autocommit: bool = True, application_name: str = "holdwatch") -> psycopg.Connection:
    """Open a connection to the database at ``url`` whose session runs in UTC.

    Raises:
        psycopg.OperationalError: The server cannot be reached or refuses the login.
    """
    parameters = connection_parameters(url, application_name=application_name)
    return psycopg.connect(url, autocommit=autocommit, **parameters)
