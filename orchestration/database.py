"""The database that a command works on: the server that ``HOLDWATCH_DATABASE_URL`` names, else the embedded one."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psycopg

from holds_core.database.connections import connect
from holds_core.database.migrations import MigrationReport, has_schema, migrate, require_schema, stored_environment
from holds_core.database.settings import Environment, Settings
from holds_core.flags.syncing import sync_definitions
from orchestration.paths import state_dir
from orchestration.server.lease import ServerLease

_log = logging.getLogger("orchestration")


@dataclass(frozen=True)
class Database:
    """A database that is up.

    Attributes:
        url: How to connect as its owner; holds a password, so never print it.
        is_embedded: Whether it is the embedded server.
        environment: ``HOLDWATCH_ENVIRONMENT`` of the caller.
    """

    url: str
    is_embedded: bool
    environment: Environment

    def migrate(self) -> MigrationReport:
        """Bring the schema and the definitions of flags up to date; see :func:`bring_up_to_date`."""
        with connect(self.url) as connection:
            return bring_up_to_date(connection, self.environment)


def bring_up_to_date(connection: psycopg.Connection, environment: Environment) -> MigrationReport:
    """Bring a database to this release: its schema, the partitions for new events, and the definitions of flags.

    Raises:
        MigrationError: See :func:`holds_core.database.migrations.migrate`.
    """
    report = migrate(connection, environment)
    sync_definitions(connection)
    return report


@contextmanager
def open_existing_database() -> Iterator[Database]:
    """The same as :func:`open_database`, for commands that only look or switch: they make no schema on a real server.

    Raises:
        MigrationError: The real server's database has no schema of ours, or an older one.
    """
    with open_database(migrated=Settings.from_environ().database_url is None) as database:
        if not database.is_embedded:
            # The login of an operator may call the functions, and see nothing of what they stand on.
            with connect(database.url) as connection, suppress(psycopg.errors.InsufficientPrivilege):
                require_schema(connection)
                _note_other_environment(connection, database)
        yield database


@contextmanager
def open_database(*, migrated: bool = True) -> Iterator[Database]:
    """Keep the database up within the block, with its schema in place unless told otherwise.

    The embedded server is started if it is not up, and stopped afterwards if nobody else uses it; its schema is brought
    up to date. On a real server an empty database gets the schema, which is said; an older schema is somebody's
    production until they say ``holdwatch db migrate``.

    Raises:
        SettingsError: An environment variable makes no sense.
        ServerError: The embedded server does not start.
        MigrationError: The schema is older than this program, or cannot be made.
        psycopg.OperationalError: The real server cannot be reached.
    """
    settings = Settings.from_environ()
    if settings.database_url is not None:
        database = Database(settings.database_url, False, settings.environment)
        if migrated:
            _set_up_or_require(database)
        yield database
        return
    with ServerLease(state_dir()).held() as server:
        database = Database(server.url(), True, settings.environment)
        if migrated:
            database.migrate()
            with connect(database.url) as connection:
                _note_other_environment(connection, database)
        yield database


def _set_up_or_require(database: Database) -> None:
    with connect(database.url) as connection:
        if has_schema(connection):
            require_schema(connection)
            migrate(connection, database.environment)  # nothing to apply: new days' partitions alone
            _note_other_environment(connection, database)
            return
        bring_up_to_date(connection, database.environment)
        where = connection.info
        _log.warning(
            "Made the schema of holdwatch in the database %s on %s, for the environment %s.",
            where.dbname, where.host, database.environment,
        )  # fmt: skip


def _note_other_environment(connection: psycopg.Connection, database: Database) -> None:
    stored = stored_environment(connection)
    if "HOLDWATCH_ENVIRONMENT" in os.environ and stored not in (None, database.environment):
        _log.warning(
            "HOLDWATCH_ENVIRONMENT is %s, and the holds of this database are those of %s: holds and switch count as "
            "%s, and only imported events as %s. To change what it is: holdwatch db migrate --change-environment ENV.",
            database.environment, stored, stored, database.environment,
        )  # fmt: skip
