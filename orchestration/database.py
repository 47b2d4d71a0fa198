"""The database that a command works on: the server that ``HOLDWATCH_DATABASE_URL`` names, else the embedded one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from holds_core.database.connections import connect
from holds_core.database.migrations import MigrationReport, migrate, require_schema
from holds_core.database.settings import Environment, Settings
from orchestration.paths import state_dir
from orchestration.server.lease import ServerLease


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
        """Bring the schema up to date; see :func:`holds_core.database.migrations.migrate`."""
        with connect(self.url) as connection:
            return migrate(connection, self.environment)


@contextmanager
def open_existing_database() -> Iterator[Database]:
    """The same as :func:`open_database`, for commands that only look or switch: they migrate no real server.

    Raises:
        MigrationError: The real server's database has no schema of ours.
    """
    with open_database(migrated=Settings.from_environ().database_url is None) as database:
        if not database.is_embedded:
            with connect(database.url) as connection:
                require_schema(connection)
        yield database


@contextmanager
def open_database(*, migrated: bool = True) -> Iterator[Database]:
    """Keep the database up within the block, with its schema brought up to date unless told otherwise.

    The embedded server is started if it is not up, and stopped afterwards if nobody else uses it.

    Raises:
        SettingsError: An environment variable makes no sense.
        ServerError: The embedded server does not start.
        MigrationError: The schema cannot be brought up to date.
        psycopg.OperationalError: The real server cannot be reached.
    """
    settings = Settings.from_environ()
    if settings.database_url is not None:
        database = Database(settings.database_url, False, settings.environment)
        if migrated:
            database.migrate()
        yield database
        return
    with ServerLease(state_dir()).held() as server:
        database = Database(server.url(), True, settings.environment)
        if migrated:
            database.migrate()
        yield database
