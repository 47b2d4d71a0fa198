"""Databases with the views built in them: once for the session, then cloned."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from holds_core.database.connections import connect
from orchestration.dbt import KEPT_RUNS, DbtResult, run_dbt

RunDbt = Callable[..., DbtResult]


@pytest.fixture(scope="session")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> RunDbt:
    """Runs dbt on a database, with all it writes outside of the checkout."""
    state: Path = tmp_path_factory.mktemp("state")
    for number in range(KEPT_RUNS):
        (state / "dbt" / "runs" / f"20200101T0000{number:02}-old").mkdir(parents=True)
    return lambda url, *arguments: run_dbt(url, *arguments, state=state)


@pytest.fixture(scope="session")
def first_build(new_database: Callable[..., str], template: str, dbt: RunDbt) -> tuple[str, DbtResult]:
    """The URL of a database in which nothing but `dbt build` has happened, and what that said."""
    url = new_database(template)
    return url, dbt(url, "build")


@pytest.fixture(scope="session")
def new_views_database(new_database: Callable[..., str], first_build: tuple[str, DbtResult]) -> Callable[[], str]:
    """Makes a database with the views and no events, and returns its URL."""
    url, result = first_build
    assert result.is_successful, result.problems
    return lambda: new_database(urlsplit(url).path.removeprefix("/"))


@pytest.fixture(scope="module")
def empty_views(new_views_database: Callable[[], str]) -> Iterator[psycopg.Connection]:
    """An autocommit connection to a database with the views and no events, for tests that change nothing."""
    with connect(new_views_database()) as connection:
        yield connection


@pytest.fixture
def views(empty_views: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """A connection to a database with the views and no events, in a transaction that is undone after the test."""
    with empty_views.transaction(force_rollback=True):
        yield empty_views
