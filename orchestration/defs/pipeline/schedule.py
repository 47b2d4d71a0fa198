"""When the pipeline runs."""

from __future__ import annotations

import dagster as dg

from orchestration.defs.pipeline.job import pipeline_job
from orchestration.pipeline.runs import active_runs
from orchestration.resources import DatabaseResource


@dg.schedule(
    job=pipeline_job,
    # The views are live without it, and the rollups are refreshed every five minutes. This checks, tests and generates,
    # which costs 40 seconds of a core.
    cron_schedule="7,37 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Runs the pipeline every half hour, unless a run of it is waiting or at work.",
)
def every_half_hour(context: dg.ScheduleEvaluationContext, database: DatabaseResource) -> dg.RunRequest | dg.SkipReason:
    """Ask for a run, or say which one is in its way."""
    active = active_runs(context.instance, database.url)
    if active:
        return dg.SkipReason(f"Run {active[0]} of the pipeline has not ended.")
    return dg.RunRequest()
