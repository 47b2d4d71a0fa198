"""Refreshes the rollups: every five minutes if anything has come in, and sooner when many events wait.

The views are live without it: what has not been rolled up is read as it is. That is quick as long as it is little. A
run takes ten seconds of a core, nearly all of it for the start of Dagster's process and dbt's. So where nothing has
come in none is started, and the positions are moved on from here.
"""

from datetime import timedelta

import dagster as dg

from orchestration.jobs import ANALYTICS, run_tags
from orchestration.pipeline.runs import REFRESH_JOB_NAME, active_runs
from orchestration.resources import DatabaseResource, PipelineLock
from orchestration.rollups import (
    REFRESH_AT_EVENTS,
    ROLLUPS,
    move_on_if_quiet,
    refresh_rollups,
    rolled_up_to,
    waiting_events,
)

_BLOCKED = """
select blocked_reason from analytics.pipeline_freshness where is_blocked limit 1
"""


@dg.op(name="refresh_rollups", description="Merges the events that have come in into the rollups, by `dbt run`.")
def refresh(context: dg.OpExecutionContext, database: DatabaseResource, pipeline_lock: PipelineLock) -> None:
    """Refresh all rollups; one that fails leaves the others refreshed, and itself as it was."""
    with database.connect_in_step() as connection:
        before = rolled_up_to(connection)
    result = refresh_rollups(database.url)
    for problem in result.problems:
        context.log.error("%s: %s", problem.name, problem.message)
    if not result.is_successful:
        raise dg.Failure("; ".join(f"{one.name}: {one.message}" for one in result.problems) or "dbt failed.")
    with database.connect_in_step() as connection:
        after, waiting = rolled_up_to(connection), waiting_events(connection)
    for materialization in _materializations(after):
        context.log_event(materialization)
    context.add_output_metadata(
        {"position_before": before or -1, "position": after or -1, "events_waiting": waiting, "seconds": result.seconds}
    )


@dg.job(
    name=REFRESH_JOB_NAME,
    description=(
        "Merges the events that have come in since the last time into the rollups. The views are live without it; it "
        "keeps them quick (docs/rollups.md)."
    ),
    owners=ANALYTICS,
    tags=run_tags(REFRESH_JOB_NAME, at_most=timedelta(minutes=30)),
    # A process of its own for one op would load all of Dagster again.
    executor_def=dg.in_process_executor,
)
def refresh_job() -> None:
    """Refresh once."""
    refresh()


def _materializations(position: int | None) -> list[dg.AssetMaterialization]:
    metadata = {"position": -1 if position is None else position}
    return [dg.AssetMaterialization(["analytics", rollup], metadata=metadata) for rollup in ROLLUPS]


def _in_the_way(instance: dg.DagsterInstance, database: DatabaseResource) -> str | None:
    """Return why no refresh is to be started now; None where nothing speaks against it."""
    active = active_runs(instance, database.url, job_name=REFRESH_JOB_NAME)
    if active:
        return f"Run {active[0]} of this job has not ended."
    with database.connect() as connection:
        if rolled_up_to(connection) is None:
            return "There are no rollups yet, or those of another server; the pipeline builds them."
        row = connection.execute(_BLOCKED).fetchone()
    return None if row is None else f"A gate has blocked the pipeline; the rollups stay as they are: {row[0]}"


@dg.schedule(
    job=refresh_job,
    cron_schedule="*/5 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    owners=ANALYTICS,
    description=(
        "Refreshes the rollups every five minutes, unless nothing has come in, one is under way, or a gate has blocked "
        "the pipeline."
    ),
)
def refresh_every_five_minutes(
    context: dg.ScheduleEvaluationContext, database: DatabaseResource
) -> dg.RunRequest | dg.SkipReason:
    """Ask for a refresh, or say what is in its way; where nothing has come in, do without one."""
    if (reason := _in_the_way(context.instance, database)) is not None:
        return dg.SkipReason(reason)
    with database.connect() as connection:
        position = move_on_if_quiet(connection)
    if position is None:
        return dg.RunRequest()
    for materialization in _materializations(position):
        context.instance.report_runless_asset_event(materialization)
    return dg.SkipReason(
        f"No event has come in since the last refresh: the rollups hold all up to position {position}."
    )


@dg.sensor(
    job=refresh_job,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    owners=ANALYTICS,
    description=f"Refreshes the rollups as soon as {REFRESH_AT_EVENTS:,} events wait for it.",
)
def refresh_when_events_wait(
    context: dg.SensorEvaluationContext, database: DatabaseResource
) -> dg.RunRequest | dg.SkipReason:
    """Ask for a refresh where many events wait."""
    with database.connect() as connection:
        waiting = waiting_events(connection)
    if waiting < REFRESH_AT_EVENTS:
        return dg.SkipReason(f"{waiting:,} events wait; the next refresh will take them in.")
    reason = _in_the_way(context.instance, database)
    return dg.RunRequest() if reason is None else dg.SkipReason(reason)
