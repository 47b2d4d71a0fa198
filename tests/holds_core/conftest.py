"""What the tests of the core share: a client, and requests for an evening that nobody else wants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from holds_core import HoldClient, HoldRequest
from holds_core.events.spool import EventSpool

EVENING = datetime.now(UTC).replace(hour=18, minute=0, second=0, microsecond=0) + timedelta(days=3)

MakeRequest = Callable[..., HoldRequest]


@pytest.fixture(scope="session")
def template(small_template: str) -> str:
    """Holds are of today and later: no history is needed."""
    return small_template


@pytest.fixture
def spool(tmp_path: Path) -> EventSpool:
    """A spool of this test's own."""
    return EventSpool(tmp_path / "spool")


@pytest.fixture
def client(database_url: str, spool: EventSpool) -> Iterator[HoldClient]:
    """A client with a small pool."""
    with HoldClient.connect(database_url, max_connections=4, deadline=timedelta(seconds=20), spool=spool) as opened:
        yield opened


@pytest.fixture
def restaurant_id() -> UUID:
    """A restaurant of this test's own."""
    return uuid4()


@pytest.fixture
def make_request(restaurant_id: UUID) -> MakeRequest:
    """A function that makes a request: these tables, from 18:00 for two hours unless told otherwise, some booking."""

    def make(*table_ids: UUID, starts: float = 0, hours: float = 2, **changes: Any) -> HoldRequest:
        values: dict[str, Any] = {
            "restaurant_id": restaurant_id,
            "table_ids": table_ids,
            "starts_at": EVENING + timedelta(hours=starts),
            "ends_at": EVENING + timedelta(hours=starts + hours),
            "booking_id": uuid4(),
        }
        return HoldRequest(**(values | changes))

    return make


def event_counts(connection: psycopg.Connection) -> dict[str, int]:
    """Count the events by type."""
    return dict(
        connection.execute("select event_type, count(*) from holds.observability_events group by event_type").fetchall()
    )
