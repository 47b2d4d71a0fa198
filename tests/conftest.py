"""Fixtures: a real PostgreSQL, and for each test a database of its own, cloned from one that was migrated once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest

from holds_core.database.connections import connect
from holds_core.database.migrations import migrate
from holds_core.database.settings import Environment
from orchestration.paths import state_dir
from orchestration.server.lease import ServerLease


def with_database(url: str, name: str) -> str:
    """Return the URL of another database on the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """The superuser's URL of the server that the tests use: a real one where one is named, else the embedded one."""
    if (url := os.environ.get("HOLDWATCH_DATABASE_URL")) is not None:
        yield url
        return
    with ServerLease(state_dir()).held() as server:
        yield server.url()


@pytest.fixture(scope="session", autouse=True)
def no_settings_from_outside(server_url: str) -> Iterator[None]:
    """Keep the caller's own settings out of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("HOLDWATCH_DATABASE_URL", raising=False)
        patch.delenv("HOLDWATCH_ENVIRONMENT", raising=False)
        yield


@pytest.fixture(scope="session")
def new_database(server_url: str) -> Iterator[Callable[..., str]]:
    """A function that makes a database, from a template if one is named, and returns its URL."""
    made: list[str] = []

    def make(template: str | None = None) -> str:
        name = f"holdwatch_test_{uuid4().hex[:12]}"
        with psycopg.connect(server_url, autocommit=True) as connection:
            # Copying files beats logging every page of a template of some hundred small tables.
            like = "" if template is None else f' template "{template}" strategy file_copy'
            connection.execute(f'create database "{name}"{like}')
        made.append(name)
        return with_database(server_url, name)

    yield make
    with psycopg.connect(server_url, autocommit=True) as connection:
        for name in made:
            connection.execute(f'drop database if exists "{name}" with (force)')


@pytest.fixture(scope="session")
def template(new_database: Callable[..., str]) -> str:
    """The name of a database with the newest schema and nothing in it."""
    url = new_database()
    with connect(url) as connection:
        migrate(connection, Environment.DEV)
    return urlsplit(url).path.removeprefix("/")


@pytest.fixture
def database_url(new_database: Callable[..., str], template: str, server_url: str) -> Iterator[str]:
    """The URL of a fresh, migrated database of this test's own."""
    url = new_database(template)
    yield url
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'drop database if exists "{urlsplit(url).path.removeprefix("/")}" with (force)')


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    """An autocommit connection to this test's database, as its owner, in UTC."""
    with connect(database_url) as opened:
        yield opened
