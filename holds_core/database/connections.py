"""Connections as holdwatch wants them: UTC, autocommit, and named so that ops can tell who is who."""

from __future__ import annotations

from typing import Any

import psycopg

CONNECT_TIMEOUT_SECONDS = 10

CONNECTION_PARAMETERS: dict[str, Any] = {
    "application_name": "holdwatch",
    "connect_timeout": CONNECT_TIMEOUT_SECONDS,
    "options": "-c timezone=UTC",
}


def connect(url: str, *, autocommit: bool = True, application_name: str = "holdwatch") -> psycopg.Connection:
    """Open a connection to the database at ``url`` whose session runs in UTC.

    Raises:
        psycopg.OperationalError: The server cannot be reached or refuses the login.
    """
    parameters = CONNECTION_PARAMETERS | {"application_name": application_name}
    return psycopg.connect(url, autocommit=autocommit, **parameters)
