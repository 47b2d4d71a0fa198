"""A database with the real views over seeded events, built once."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

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
