"""The sweeper as Dagster runs it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest
from dagster import DagsterInstance, Definitions, RunRequest, SkipReason, build_schedule_context

from holds_core import HoldClient, HoldRequest, set_hold_conflict_enforcement
from holds_core.enforcement import detect_double_bookings
from orchestration.dagster_instance import DATABASE_URL_VARIABLE
from orchestration.defs.holds.sweeper import sweep_holds_every_minute
from orchestration.resources import DatabaseResource


def test_sweeper_runs_when_there_is_something_to_sweep(
    definitions: Definitions,
    instance: DagsterInstance,
    database_url: str,
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Skipped while nothing happens; a double booking is an event after the next run, and the run after has nothing."""
    monkeypatch.setenv(DATABASE_URL_VARIABLE, database_url)

    def tick() -> object:
        with build_schedule_context(
            instance=instance,
            resources={"database": DatabaseResource(url=database_url)},
            scheduled_execution_time=datetime.now(UTC),
        ) as context:
            return sweep_holds_every_minute(context)

    detect_double_bookings(connection)
    assert isinstance(tick(), SkipReason)

    set_hold_conflict_enforcement(connection, enabled=False, reason="drill")
    table = uuid4()
    starts_at = datetime.now(UTC) + timedelta(hours=1)
    with HoldClient.connect(database_url, max_connections=1) as client:
        for _ in range(2):
            client.place(
                HoldRequest(
                    restaurant_id=uuid4(),
                    table_ids=(table,),
                    starts_at=starts_at,
                    ends_at=starts_at + timedelta(hours=1),
                    booking_id=uuid4(),
                )
            )
    assert isinstance(tick(), RunRequest)
    result = definitions.resolve_job_def("sweep_holds").execute_in_process(instance=instance)

    assert result.success
    assert connection.execute(
        "select count(*) from holds.observability_events where event_type = 'capacity.hold.double_booking'"
    ).fetchone() == (1,)
    assert detect_double_bookings(connection) == 0
