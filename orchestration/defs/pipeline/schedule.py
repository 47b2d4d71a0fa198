"""When the pipeline runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg

from orchestration.defs.pipeline.job import pipeline_job
from orchestration.jobs import PLATFORM
from orchestration.pipeline.runs import JOB_NAME, active_runs
from orchestration.resources import DatabaseResource
from orchestration.rollups import rolled_up_to

MINUTES = (10, 40)
"""Past the hour. The views are live without it, and the rollups are refreshed every five minutes; a pass checks, tests
and generates, which costs 40 seconds of a core."""

_AGAIN_AFTER = timedelta(minutes=5)


@dg.schedule(
    job=pipeline_job,
    cron_schedule=f"{','.join(map(str, MINUTES))} * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    owners=PLATFORM,
    description="Runs the pipeline at 10 and 40 past each hour; not while a run of it is waiting or at work.",
)
def pipeline_every_half_hour(
    context: dg.ScheduleEvaluationContext, database: DatabaseResource
) -> dg.RunRequest | dg.SkipReason:
    """Ask for a run, or say what is in its way."""
    return _run_unless_active(context.instance, database)


@dg.sensor(
    job=pipeline_job,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    owners=PLATFORM,
    description=(
        "Runs the pipeline where the views have not been built yet, or are those of another server, so that a new "
        "database does not wait for half an hour. Every five minutes at most, so that what fails does not storm."
    ),
)
def pipeline_when_nothing_is_built(
    context: dg.SensorEvaluationContext, database: DatabaseResource
) -> dg.RunRequest | dg.SkipReason:
    """Ask for the first run; again only five minutes after the last one began."""
    with database.connect() as connection:
        if rolled_up_to(connection) is not None:
            return dg.SkipReason("The views are built; the schedule runs the pipeline from now on.")
    since = datetime.now(UTC) - _AGAIN_AFTER
    recent = context.instance.get_run_records(dg.RunsFilter(job_name=JOB_NAME, created_after=since), limit=1)
    if recent:
        return dg.SkipReason(f"Run {recent[0].dagster_run.run_id} began less than five minutes ago.")
    return _run_unless_active(context.instance, database)


def _run_unless_active(instance: dg.DagsterInstance, database: DatabaseResource) -> dg.RunRequest | dg.SkipReason:
    active = active_runs(instance, database.url)
    return dg.SkipReason(f"Run {active[0]} of the pipeline has not ended.") if active else dg.RunRequest()
