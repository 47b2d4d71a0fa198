"""When the pipeline runs."""

from __future__ import annotations

import dagster as dg

from orchestration.defs.pipeline.job import pipeline_job
from orchestration.pipeline.runs import active_runs
from orchestration.resources import DatabaseResource


@dg.schedule(
    job=pipeline_job,
    # The evaluation period of the alerts.
    cron_schedule="*/5 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Runs the pipeline every five minutes, unless a run of it is waiting or at work.",
)
def every_five_minutes(
    context: dg.ScheduleEvaluationContext, database: DatabaseResource
) -> dg.RunRequest | dg.SkipReason:
    """Ask for a run, or say which one is in its way."""
    active = active_runs(context.instance, database.url)
    if active:
        return dg.SkipReason(f"Run {active[0]} of the pipeline has not ended.")
    return dg.RunRequest()
