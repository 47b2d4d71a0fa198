"""A throwaway database on the embedded server that holds a made-up incident, with the views built over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg import sql

from holds_core.database.connections import connect
from holds_core.database.migrations import migrate
from holds_core.database.settings import Environment
from orchestration.dbt import DbtError, run_dbt
from orchestration.incident import Incident, write_incident
from orchestration.paths import state_dir
from orchestration.server.lease import ServerLease

_PREFIX = "holdwatch_incident_"

_LEFT_BEHIND = """
select datname
from pg_database
where
    starts_with(datname, %s)
    and not exists (select from pg_stat_activity where pg_stat_activity.datname = pg_database.datname)
"""


@contextmanager
def incident_database(
    on_step: Callable[[str], None] = lambda step: None, *, incident: Incident | None = None, state: Path | None = None
) -> Iterator[str]:
    """Make the database, yield its owner's URL, and drop it again, whatever happens within the block.

    A real server that ``HOLDWATCH_DATABASE_URL`` names is left alone.

    Args:
        on_step: Called with what is done next, in words.
        incident: What to make up; the one that ends now unless given.
        state: The state folder whose server is used; ``.holdwatch`` unless given.

    Raises:
        ServerError: The embedded server does not start.
        MissingExtraError: dbt is not installed.
        DbtError: A view could not be built.
    """
    with ServerLease(state or state_dir()).held() as server:
        name = f"{_PREFIX}{uuid4().hex[:12]}"
        with psycopg.connect(server.url("postgres"), autocommit=True) as administrator:
            # Those of calls that were killed. A call that goes on keeps a connection to its own.
            for (left_behind,) in administrator.execute(_LEFT_BEHIND, (_PREFIX,)).fetchall():
                _drop(administrator, left_behind)
            administrator.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
            try:
                url = server.url(name)
                with connect(url) as connection:
                    _fill(connection, incident or Incident(until=datetime.now(UTC)), on_step)
                    on_step("building the views")
                    result = run_dbt(url, "run", state=state)
                    if not result.is_successful:
                        raise DbtError(
                            f"dbt could not build the views: {result.problems[0].message}. Its log: {result.log}"
                        )
                    yield url
            finally:
                _drop(administrator, name)


def _fill(connection: psycopg.Connection, incident: Incident, on_step: Callable[[str], None]) -> None:
    on_step("migrating a database of its own")
    migrate(connection, Environment.DEV)
    write_incident(
        connection, incident, lambda day, days: on_step(f"making up {days} days and an incident: day {day} of {days}")
    )
    connection.execute("analyze")


def _drop(administrator: psycopg.Connection, name: str) -> None:
    administrator.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
