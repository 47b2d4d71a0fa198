"""The queries of the pages run, as the role that analysts have, and find something."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from holds_core.database.connections import connect
from orchestration.dbt import DbtResult
from orchestration.history import History, write_history
from tests.dbt_project.loading import insert_event

PAGE = Path(__file__).parents[2] / "docs" / "views.md"
QUERIES = re.findall(r"^```sql\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def url(new_views_database: Callable[[], str], dbt: Callable[..., DbtResult]) -> str:
    made = new_views_database()
    with connect(made) as connection:
        write_history(connection, History(5_000, 3, datetime.now(UTC)))
        # Just after midnight the history may have none of today.
        insert_event(connection, "capacity.selector.assignment", '{"timing": {"totalMs": 5}}', restaurant_id=uuid4())
    assert dbt(made, "run", "--select", "restaurants_over_90_days").is_successful
    return made


@pytest.mark.parametrize("number", range(len(QUERIES)))
def test_query_of_the_page_runs(url: str, number: int) -> None:
    with connect(url) as connection:
        connection.execute("set role analytics_reader")
        assert connection.execute(QUERIES[number]).fetchall()
