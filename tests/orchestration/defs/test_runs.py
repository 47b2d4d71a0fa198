"""Which run is at work, when the schedule stands back, and how a run's end is recorded."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from dagster import (
    AssetCheckResult,
    AssetCheckSpec,
    DagsterInstance,
    DagsterRunStatus,
    Definitions,
    RunRequest,
    SkipReason,
    asset,
    build_run_status_sensor_context,
    build_schedule_context,
    define_asset_job,
    job,
    multi_asset_check,
    op,
)

from orchestration.defs.pipeline.schedule import pipeline_every_half_hour
from orchestration.defs.pipeline.sensors import record_success
from orchestration.pipeline.runs import JOB_NAME, active_runs, at_work, record_run_end
from orchestration.resources import DatabaseResource


@op
def nothing() -> None:
    """Do nothing."""


@op
def failing() -> None:
    """Fail with two lines."""
    raise RuntimeError("The disk is full.\nReally.")


@job(name=JOB_NAME)
def quiet_job() -> None:
    nothing()


@job(name=JOB_NAME)
def failing_job() -> None:
    failing()


@job(name="another")
def another_job() -> None:
    nothing()


def blocked_definitions() -> Definitions:
    @asset
    def events() -> None: ...

    @multi_asset_check(specs=[AssetCheckSpec("times_in_range", asset="events", blocking=True)])
    def gate() -> Iterator[AssetCheckResult]:
        yield AssetCheckResult(
            asset_key="events",
            check_name="times_in_range",
            passed=False,
            metadata={"observed": "1 row: id=42", "remedy": "Mend the clock."},
        )

    return Definitions(assets=[events], asset_checks=[gate], jobs=[define_asset_job(JOB_NAME)])


def start_run(instance: DagsterInstance, status: DagsterRunStatus = DagsterRunStatus.STARTED) -> str:
    return instance.create_run_for_job(quiet_job, status=status).run_id


def recorded(connection: psycopg.Connection) -> list[tuple[str, str, dict[str, object]]]:
    return connection.execute(
        "select event_type, severity, context from holds.observability_events order by occurred_at"
    ).fetchall()


def test_run_that_holds_the_lock_is_active_however_long(instance: DagsterInstance, database_url: str) -> None:
    """A run whose process is alive is active, a day later too."""
    run_id = start_run(instance)
    with at_work(database_url, run_id):
        assert active_runs(instance, database_url, datetime.now(UTC) + timedelta(days=1)) == [run_id]


def test_run_whose_process_is_gone_is_ended(instance: DagsterInstance, database_url: str) -> None:
    """A run that was killed does not keep all others waiting: it is reported as failed."""
    run_id = start_run(instance)
    assert active_runs(instance, database_url) == [run_id]
    assert active_runs(instance, database_url, datetime.now(UTC) + timedelta(minutes=2)) == []
    run = instance.get_run_by_id(run_id)
    assert run is not None
    assert run.status is DagsterRunStatus.FAILURE


def test_second_run_waits_for_the_first(database_url: str) -> None:
    """Only one holds the lock; the next one gets it when the first has ended."""
    with at_work(database_url, "first"), psycopg.connect(database_url) as second:
        second.execute("set lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            second.execute("select pg_advisory_lock(hashtextextended('holdwatch.pipeline', 0))")
    with at_work(database_url, "second"):
        pass


def test_schedule_asks_for_a_run_only_where_none_is_active(tmp_path: Path, database_url: str) -> None:
    """The schedule names the run that is in its way, and goes on when that has ended."""
    database = DatabaseResource(url=database_url)

    def evaluate(instance: DagsterInstance) -> object:
        with build_schedule_context(
            instance=instance, resources={"database": database}, scheduled_execution_time=datetime.now(UTC)
        ) as context:
            return pipeline_every_half_hour(context)

    # On the disk: the schedule opens it anew.
    with DagsterInstance.local_temp(str(tmp_path)) as instance:
        run_id = start_run(instance)
        with at_work(database_url, run_id):
            skipped = evaluate(instance)
        assert isinstance(skipped, SkipReason)
        assert run_id in (skipped.skip_message or "")
        run = instance.get_run_by_id(run_id)
        assert run is not None
        instance.report_run_failed(run)
        assert isinstance(evaluate(instance), RunRequest)


def test_success_is_recorded_once(instance: DagsterInstance, database_url: str, connection: psycopg.Connection) -> None:
    """The run itself and the sensor both record it: there is one event."""
    result = quiet_job.execute_in_process(instance=instance)
    assert record_run_end(connection, instance, result.run_id)
    context = build_run_status_sensor_context(
        sensor_name="record_success",
        dagster_event=result.get_run_success_event(),
        dagster_instance=instance,
        dagster_run=result.dagster_run,
        resources={"database": DatabaseResource(url=database_url)},
    )
    record_success(context)
    ((event_type, severity, context_json),) = recorded(connection)
    assert (event_type, severity) == ("pipeline.run.succeeded", "info")
    assert context_json["job"] == "pipeline"
    assert context_json["runId"] == result.run_id
    assert isinstance(context_json["durationMs"], int)


def test_failure_is_recorded_once_with_its_reason(instance: DagsterInstance, connection: psycopg.Connection) -> None:
    """The first line of the cause; it was no gate that stopped the run."""
    result = failing_job.execute_in_process(instance=instance, raise_on_error=False)
    assert record_run_end(connection, instance, result.run_id)
    assert record_run_end(connection, instance, result.run_id)
    ((event_type, severity, context),) = recorded(connection)
    assert (event_type, severity) == ("pipeline.run.failed", "error")
    assert context["reason"] == "failing: RuntimeError: The disk is full."
    assert context["isBlocked"] is False


def test_blocked_run_is_recorded_with_rows_and_remedy(
    instance: DagsterInstance, connection: psycopg.Connection
) -> None:
    """A gate that stopped the run is the reason, with what it saw and what to do."""
    result = blocked_definitions().resolve_job_def(JOB_NAME).execute_in_process(instance=instance, raise_on_error=False)
    assert not result.success
    assert record_run_end(connection, instance, result.run_id)
    ((_, _, context),) = recorded(connection)
    assert context["reason"] == "events: times in range. 1 row: id=42. Mend the clock."
    assert context["isBlocked"] is True


def test_run_of_another_job_is_not_recorded(instance: DagsterInstance, connection: psycopg.Connection) -> None:
    """Only the pipeline's runs are events."""
    result = another_job.execute_in_process(instance=instance)
    assert not record_run_end(connection, instance, result.run_id)
    assert recorded(connection) == []
