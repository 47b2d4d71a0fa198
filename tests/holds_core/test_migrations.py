"""Migrations are applied once, in order, and never edited."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest

from holds_core.database.connections import connect
from holds_core.database.migrations import load_migrations, migrate
from holds_core.database.settings import Environment
from holds_core.errors import MigrationError


def test_second_migrate_applies_nothing(connection: psycopg.Connection) -> None:
    """A second run is harmless, and the environment of the first one stays."""
    report = migrate(connection, Environment.PROD)

    assert report.applied == ()
    assert report.already_applied == len(load_migrations())
    assert report.environment == Environment.DEV


def test_two_migrators_at_once_apply_each_migration_once(new_database: Callable[..., str]) -> None:
    """Of several at once one does the work; none fails."""
    url = new_database()
    barrier = threading.Barrier(4)
    applied: list[str] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            with connect(url) as connection:
                barrier.wait()
                applied.extend(migrate(connection, Environment.DEV).applied)
        except BaseException as error:  # noqa: BLE001  a thread's failure is asserted on below
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert applied == [migration.name for migration in load_migrations()]


def test_migrations_are_as_they_were_handed_on() -> None:
    """A database that has one would refuse it as edited; one that is new has to be added to the list."""
    lines = (Path(__file__).parents[1] / "fixtures" / "released_migrations.txt").read_text("utf-8").splitlines()
    handed_on = [line for line in lines if not line.startswith("#")]

    assert [f"{migration.checksum}  {migration.name}" for migration in load_migrations()] == handed_on


def test_edited_migration_is_refused(connection: psycopg.Connection) -> None:
    """A checksum that differs names the migration and changes nothing."""
    connection.execute("update public.holdwatch_migrations set checksum = 'other' where number = 2")

    with pytest.raises(MigrationError, match="0002_observability_events was applied"):
        migrate(connection, Environment.DEV)


def test_newer_database_is_refused(connection: psycopg.Connection) -> None:
    """A database of a later release is left alone."""
    connection.execute("insert into public.holdwatch_migrations values (9999, '9999_later', 'x')")

    with pytest.raises(MigrationError, match="9999_later"):
        migrate(connection, Environment.DEV)


def test_partitions_cover_the_retention_and_a_fortnight(connection: psycopg.Connection) -> None:
    """An event of any time within range finds a partition; one before it does not."""
    insert = (
        "insert into holds.observability_events (occurred_at, environment, source, event_type)"
        " values (%s, 'dev', 'test', 'x')"
    )
    migrate(connection, Environment.DEV)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for days in (-90, 0, 14):
        connection.execute(insert, (today + timedelta(days=days),))

    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(insert, (today - timedelta(days=90, microseconds=1),))


def test_whoever_migrates_may_act_as_a_reader(new_database: Callable[..., str]) -> None:
    """As PostgreSQL 16 has it, who makes a role may grant it and not act as it; the views' readers do."""
    url = new_database()
    owner = f"owner_{uuid4().hex[:12]}"
    parts = urlsplit(url)
    own_url = urlunsplit(parts._replace(netloc=f"{owner}:x@{parts.netloc.rpartition('@')[2]}"))
    with connect(url) as administrator:
        name = administrator.info.dbname
        admin = (
            "admin true, inherit false, set false" if administrator.info.server_version >= 160000 else "admin option"
        )
        administrator.execute(f"create role {owner} login createrole password 'x'")
        administrator.execute(f'alter database "{name}" owner to {owner}')
        administrator.execute(f"grant analytics_reader to {owner} with {admin}")
        try:
            with connect(own_url) as connection:
                migrate(connection, Environment.DEV)
                connection.execute("set role analytics_reader")
                assert connection.execute("select current_user").fetchone() == ("analytics_reader",)
        finally:
            administrator.execute(f"reassign owned by {owner} to current_user")
            administrator.execute(f"drop owned by {owner}")
            administrator.execute(f"drop role {owner}")
