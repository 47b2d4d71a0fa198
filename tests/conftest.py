"""Fixtures: a real PostgreSQL, and for each test a database of its own, cloned from one that was migrated once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest

from holds_core.database.connections import connect
from holds_core.database.settings import Environment
from orchestration.database import bring_up_to_date
from orchestration.dbt import run_dbt
from orchestration.paths import state_dir
from orchestration.server.lease import ServerLease

# As wide as for a file, whatever terminal the tests are run in: pytest-xdist hands its width on to the workers.
os.environ["COLUMNS"] = "160"

# Great Expectations imports PySpark where `make test-spark` has installed it, and PySpark takes a main module without a
# file, as that of pytest-xdist's workers is, for doctests that it is to skip: by sys.exit(0).
if not hasattr(sys.modules["__main__"], "__file__"):
    sys.modules["__main__"].__file__ = __file__


def with_database(url: str, name: str) -> str:
    """Return the URL of another database on the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def drop_history(url: str) -> None:
    """Drop the partitions of all days but those around today."""
    today = datetime.now(UTC).date()
    kept = {f"observability_events_{today + timedelta(days=days):%Y%m%d}" for days in (-1, 0, 1)}
    with connect(url) as connection:
        partitions = connection.execute(
            "select inhrelid::regclass::text from pg_inherits where inhparent = 'holds.observability_events'::regclass"
        ).fetchall()
        for (name,) in partitions:
            if name.removeprefix("holds.") not in kept:
                connection.execute(f"drop table {name}")


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """The superuser's URL of the server that the tests use: a real one where one is named, else the embedded one."""
    if url := os.environ.get("HOLDWATCH_DATABASE_URL"):
        yield url
        return
    # A server of the tests' own. What is thrown away within the second need not survive a power cut, and a clone of
    # some hundred small tables is mostly waiting for the disk.
    state = state_dir() / "tests"
    state.mkdir(mode=0o700, exist_ok=True)
    careless = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    with ServerLease(state, careless).held() as server:
        yield server.url()


@pytest.fixture(scope="session", autouse=True)
def no_settings_from_outside(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the caller's own settings out of the tests, and the tests' events out of the caller's spool."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOLDWATCH_SPOOL_DIRECTORY", str(tmp_path_factory.mktemp("spool")))
        patch.delenv("HOLDWATCH_DATABASE_URL", raising=False)
        patch.delenv("HOLDWATCH_ENVIRONMENT", raising=False)
        patch.delenv("HOLDWATCH_RUNBOOKS_URL", raising=False)
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
def whole_template(new_database: Callable[..., str]) -> str:
    """The name of a database with the newest schema and nothing in it."""
    url = new_database()
    with connect(url) as connection:
        bring_up_to_date(connection, Environment.DEV)
    return urlsplit(url).path.removeprefix("/")


@pytest.fixture(scope="session")
def small_template(new_database: Callable[..., str], whole_template: str) -> str:
    """The same with partitions for the days around today alone: a third of the files, and of the time to clone it."""
    url = new_database(whole_template)
    drop_history(url)
    return urlsplit(url).path.removeprefix("/")


@pytest.fixture(scope="session")
def views_template(
    new_database: Callable[..., str], whole_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], str]:
    """A function that makes a database with the views built, and no events."""
    url = new_database(whole_template)
    assert run_dbt(url, "run", state=tmp_path_factory.mktemp("dbt")).is_successful
    return lambda: new_database(urlsplit(url).path.removeprefix("/"))


@pytest.fixture(scope="session")
def small_views_template(new_database: Callable[..., str], views_template: Callable[[], str]) -> Callable[[], str]:
    """The same with partitions for the days around today alone."""
    url = views_template()
    drop_history(url)
    return lambda: new_database(urlsplit(url).path.removeprefix("/"))


@pytest.fixture(scope="session")
def template(whole_template: str) -> str:
    """The database that this folder's tests clone; a folder's conftest may choose the small one."""
    return whole_template


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
