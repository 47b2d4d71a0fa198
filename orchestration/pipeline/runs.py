"""Runs of the pipeline: which one is at work, and how each one's end is recorded as an event."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_URL, uuid5

import dagster as dg
import psycopg

from holds_core.database.connections import connect
from holds_core.events.record import Event, record_event
from holds_core.events.types import EventType, Severity
from orchestration.gates import GUIDE, OBSERVED, REMEDY

JOB_NAME = "pipeline"
REFRESH_JOB_NAME = "refresh"
RECORDED_JOBS = (JOB_NAME, REFRESH_JOB_NAME)

_LOCK_TIMEOUT = "15min"
_APPLICATION_PREFIX = "holdwatch run "
_START_GRACE = timedelta(minutes=5)
_LOCK_GRACE = timedelta(minutes=1)
_REASON_LENGTH = 1000
_EVENT_NAMESPACE = uuid5(NAMESPACE_URL, "holdwatch/pipeline.run")

_WAITING = (dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING)
_WORKING = (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)


@contextmanager
def at_work(url: str, run_id: str) -> Iterator[None]:
    """Keep other runs of the pipeline waiting, and show that this one is alive, within the block.

    Both hang on one database connection, so both end with the process, however that ends.
    """
    with connect(url, application_name=f"{_APPLICATION_PREFIX}{run_id}") as connection:
        connection.execute(f"set lock_timeout = '{_LOCK_TIMEOUT}'")
        connection.execute("select pg_advisory_lock(hashtextextended('holdwatch.pipeline', 0))")
        yield


def active_runs(
    instance: dg.DagsterInstance, url: str, now: datetime | None = None, *, job_name: str = JOB_NAME
) -> list[str]:
    """Return the ids of a job's runs that are waiting or at work, the newest first.

    A run whose process is gone, killed or lost with its machine, would stand as started for ever and keep all others
    from starting: it is reported as failed here, and is not among them.
    """
    now = datetime.now(UTC) if now is None else now
    with connect(url) as connection:
        alive = {
            name.removeprefix(_APPLICATION_PREFIX)
            for (name,) in connection.execute(
                "select application_name from pg_stat_activity where datname = current_database()"
            )
            if name.startswith(_APPLICATION_PREFIX)
        }
    filters = dg.RunsFilter(job_name=job_name, statuses=[*_WAITING, *_WORKING])
    active = []
    for record in instance.get_run_records(filters):
        run = record.dagster_run
        is_working = run.status in _WORKING
        grace = _LOCK_GRACE if is_working else _START_GRACE
        since = datetime.fromtimestamp(record.start_time or record.create_timestamp.timestamp(), UTC)
        if run.run_id in alive or run.status is dg.DagsterRunStatus.QUEUED or now - since < grace:
            active.append(run.run_id)
        else:
            instance.report_run_failed(run, "The process that executed this run is gone.")
    return active


def record_run_end(connection: psycopg.Connection, instance: dg.DagsterInstance, run_id: str) -> bool:
    """Record the event ``pipeline.run.succeeded`` or ``.failed`` of a run that ended.

    Id and time are the run's own, so it does not matter how many record it: there is one event.

    Returns:
        Whether there is an event of it now; False for a run of another job, or one that has not ended or was cancelled.
    """
    record = instance.get_run_record_by_id(run_id)
    if record is None or record.dagster_run.job_name not in RECORDED_JOBS or record.end_time is None:
        return False
    match record.dagster_run.status:
        case dg.DagsterRunStatus.SUCCESS:
            event_type, severity, outcome = EventType.PIPELINE_SUCCEEDED, Severity.INFO, {}
        case dg.DagsterRunStatus.FAILURE:
            event_type, severity, outcome = EventType.PIPELINE_FAILED, Severity.ERROR, _why(instance, run_id)
        case _:
            return False
    started = record.start_time or record.create_timestamp.timestamp()
    return record_event(
        connection,
        Event(
            id=uuid5(_EVENT_NAMESPACE, run_id),
            occurred_at=datetime.fromtimestamp(record.end_time, UTC),
            event_type=event_type,
            severity=severity,
            source="pipeline",
            context={
                "job": record.dagster_run.job_name,
                "runId": run_id,
                "durationMs": round((record.end_time - started) * 1000),
                **outcome,
            },
        ),
    )


def _why(instance: dg.DagsterInstance, run_id: str) -> dict[str, object]:
    """Return ``reason``, and ``isBlocked``: whether a gate stopped it, where it did not simply break."""
    blocking: list[str] = []
    errors: list[str] = []
    for entry in instance.all_logs(
        run_id,
        of_type={
            dg.DagsterEventType.ASSET_CHECK_EVALUATION,
            dg.DagsterEventType.STEP_FAILURE,
            dg.DagsterEventType.RUN_FAILURE,
        },
    ):
        event = entry.get_dagster_event()
        if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            evaluation = event.asset_check_evaluation_data
            if evaluation.blocking and not evaluation.passed:
                # dbt's tests are checks too, but no gates.
                (blocking if OBSERVED in evaluation.metadata else errors).append(describe_check(evaluation))
        elif event.event_type is dg.DagsterEventType.STEP_FAILURE:
            errors.append(f"{event.step_key}: {step_error(event)}")
        else:
            errors.append(event.message or "The run failed.")
    reason = "; ".join(blocking or errors[:1]) or "The run failed."
    return {"reason": reason[:_REASON_LENGTH], "isBlocked": bool(blocking)}


def describe_check(evaluation: dg.AssetCheckEvaluation) -> str:
    """Say which check failed, with what was observed, the remedy, and where that is said step by step."""
    said = f"{evaluation.asset_key.path[-1]}: {evaluation.check_name.replace('_', ' ')}"
    for name in (OBSERVED, REMEDY, GUIDE):
        if name in evaluation.metadata:
            said += f". {str(evaluation.metadata[name].value).removesuffix('.')}"
    # A path that ends in a full stop is not found.
    return said if GUIDE in evaluation.metadata else f"{said}."


def step_error(event: dg.DagsterEvent) -> str:
    """Return the first line of what failed a step, as its cause put it."""
    error = event.step_failure_data.error
    # The cause of what a process of its own raises is its traceback as a text: no cause, and nothing for people.
    while error is not None and error.cause is not None and error.cause.cls_name != "_RemoteTraceback":
        error = error.cause
    message = (error.message if error is not None else event.message) or "no reason was given"
    return message.strip().splitlines()[0]
