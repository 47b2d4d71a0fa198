"""Forward-only, numbered migrations, each applied once and guarded by a checksum.

A file is ``NNNN_what_it_does.sql``. It runs in a transaction of its own together with its row in
``holdwatch_migrations``, under one advisory lock: two migrators at once queue up, and the second finds nothing to do.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import psycopg

from holds_core.database.queries import query
from holds_core.database.settings import RETENTION_DAYS, Environment
from holds_core.errors import MigrationError, SchemaBehindError

MINIMUM_SERVER_VERSION = 150000
PARTITION_DAYS_AHEAD = 14
"""Partitions made ahead, so that holds go on being recorded through a fortnight without a pipeline."""

_FILE_NAME = re.compile(r"^(\d{4})_\w+\.sql$")


@dataclass(frozen=True)
class Migration:
    """One migration file."""

    number: int
    name: str
    statements: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the file's text, in hexadecimal."""
        return hashlib.sha256(self.statements.encode()).hexdigest()


@dataclass(frozen=True)
class MigrationReport:
    """What a call of :func:`migrate` did, and the environment that the database serves since its first."""

    applied: tuple[str, ...]
    already_applied: int
    environment: Environment


def load_migrations() -> list[Migration]:
    """Return the migrations of this release in the order they apply."""
    migrations = []
    for file in (files("holds_core") / "sql" / "migrations").iterdir():
        if (match := _FILE_NAME.match(file.name)) is not None:
            migrations.append(Migration(int(match[1]), file.name.removesuffix(".sql"), file.read_text("utf-8")))
    migrations.sort(key=lambda migration: migration.number)
    if [migration.number for migration in migrations] != list(range(1, len(migrations) + 1)):
        raise MigrationError("The migrations' numbers have a gap or a double; each must be one more than the last.")
    return migrations


def migrate(
    connection: psycopg.Connection,
    environment: Environment,
    on_applied: Callable[[str], None] = lambda name: None,
) -> MigrationReport:
    """Bring the schema up to date, and make the partitions for the events of the last 90 days and the next 14.

    The first call on a database stores ``environment`` as the one that its hold tables serve; later calls keep it.

    Args:
        connection: An autocommit connection that owns, or may create, the schemas.
        environment: Stored at the first call; no matter afterwards.
        on_applied: Called with each migration's name after it was applied.

    Raises:
        MigrationError: The server is too old, a migration that was applied has been edited since, or the
            database is newer than this program.
    """
    if connection.info.server_version < MINIMUM_SERVER_VERSION:
        raise MigrationError(
            f"This server is PostgreSQL {connection.info.server_version // 10000}; holdwatch needs 15 or later."
        )
    migrations = load_migrations()
    applied_now: list[str] = []
    connection.execute(query("lock_migrations"))
    try:
        connection.execute(query("create_migrations_table"))
        applied = {number: (name, checksum) for number, name, checksum in connection.execute(query("list_migrations"))}
        _refuse_unknown(applied, migrations)
        for migration in migrations:
            if migration.number in applied:
                _refuse_edited(migration, applied[migration.number])
                continue
            with connection.transaction():
                connection.execute(migration.statements)
                connection.execute(
                    query("insert_migration"),
                    {"number": migration.number, "name": migration.name, "checksum": migration.checksum},
                )
            applied_now.append(migration.name)
            on_applied(migration.name)
        stored = _store_environment(connection, environment)
        ensure_event_partitions(connection)
    finally:
        if not connection.broken:
            connection.execute(query("unlock_migrations"))
    return MigrationReport(tuple(applied_now), len(applied), stored)


def has_schema(connection: psycopg.Connection) -> bool:
    """Tell whether the database has been migrated at all."""
    row = connection.execute(query("has_schema")).fetchone()
    return row is not None and bool(row[0])


def require_schema(connection: psycopg.Connection) -> None:
    """Make sure that the database has the schema of this program.

    Raises:
        MigrationError: It has none, or an older one.
    """
    if not has_schema(connection):
        raise MigrationError("This database has no holdwatch schema; make it with: holdwatch db migrate")
    applied = {number for number, _, _ in connection.execute(query("list_migrations"))}
    if missing := [migration.name for migration in load_migrations() if migration.number not in applied]:
        raise SchemaBehindError(
            f"This database has an older schema ({len(missing)} migrations behind, the next is {missing[0]}); bring it "
            "up to date with: holdwatch db migrate"
        )


def stored_environment(connection: psycopg.Connection) -> Environment | None:
    """Return the environment that the hold tables of this database serve; None where nothing is stored."""
    row = connection.execute(query("stored_environment")).fetchone()
    return None if row is None else Environment(row[0])


def change_environment(connection: psycopg.Connection, environment: Environment) -> None:
    """Let the hold tables of this database serve another environment from now on; events of the past keep theirs."""
    connection.execute(query("change_environment"), {"environment": environment})


def ensure_event_partitions(connection: psycopg.Connection) -> int:
    """Make the daily partitions from 90 days back to 14 days ahead that are missing; return how many were."""
    today = datetime.now(UTC).date()
    row = connection.execute(
        query("ensure_event_partitions"),
        {
            "first_day": today - timedelta(days=RETENTION_DAYS),
            "last_day": today + timedelta(days=PARTITION_DAYS_AHEAD),
        },
    ).fetchone()
    assert row is not None
    return int(row[0])


def _refuse_unknown(applied: dict[int, tuple[str, str]], migrations: list[Migration]) -> None:
    unknown = sorted(set(applied) - {migration.number for migration in migrations})
    if unknown:
        names = ", ".join(applied[number][0] for number in unknown)
        raise MigrationError(
            f"The database has migrations that this program does not know ({names}): it was migrated by a newer "
            "release. Install that release or a later one."
        )


def _refuse_edited(migration: Migration, applied: tuple[str, str]) -> None:
    if applied != (migration.name, migration.checksum):
        raise MigrationError(
            f"The migration {migration.name} was applied as {applied[0]} with another content. Migrations are never "
            "edited: restore the file as it was, and put the change into a new one."
        )


def _store_environment(connection: psycopg.Connection, environment: Environment) -> Environment:
    """Store the environment if this is the first migrate; return the one that is stored."""
    connection.execute(query("insert_settings"), {"environment": environment})
    row = connection.execute(query("stored_environment")).fetchone()
    assert row is not None
    return Environment(row[0])
