"""A database with the real views over seeded events, built once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
import yaml

import dashboards
from dashboards.checks.queries import QueryReport, run_queries
from holds_core.database.connections import connect
from tests.dashboards.seed import seed_double_booking, seed_events


@pytest.fixture(scope="session")
def seeded_url(views_template: Callable[[], str]) -> str:
    """The URL of a database with the views and seeded events, for tests that change nothing."""
    url = views_template()
    with connect(url) as connection:
        seed_events(connection)
        seed_double_booking(connection)
        connection.execute("analyze")
    return url


@pytest.fixture
def seeded(seeded_url: str) -> Iterator[psycopg.Connection]:
    """An autocommit connection to the seeded database, as its owner."""
    with connect(seeded_url) as connection:
        yield connection


@pytest.fixture(scope="session")
def boards() -> dict[str, dict[str, Any]]:
    """The generated dashboards."""
    return {file: json.loads(text) for file, text in dashboards.generate().items() if file.startswith("grafana/")}


@pytest.fixture(scope="session")
def alerting() -> dict[str, dict[str, Any]]:
    """The generated alerting files."""
    return {
        file: yaml.safe_load(text)
        for file, text in dashboards.generate().items()
        if file.startswith("grafana-alerting/")
    }


@pytest.fixture(scope="session")
def report(seeded_url: str, boards: dict[str, dict[str, Any]], alerting: dict[str, dict[str, Any]]) -> QueryReport:
    """All queries, run once on the seeded database."""
    with connect(seeded_url) as connection:
        return run_queries(connection, boards, alerting)
