"""When the pipeline runs."""

from __future__ import annotations

import dagster as dg

from orchestration.defs.pipeline.job import pipeline_job
from orchestration.pipeline.runs import active_runs
from orchestration.resources import DatabaseResource
from orchestration.rollups import rolled_up_to

MINUTES = (10, 40)
"""Past the hour. The views are live without it, and the rollups are refreshed every five minutes; a pass checks, tests
and generates, which costs 40 seconds of a core."""


@dg.schedule(
    job=pipeline_job,
    # Looked at more often than it runs: a database in which nothing is built yet does not wait for half an hour.
    cron_schedule="*/5 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description=(
        "Runs the pipeline at 10 and 40 past each hour, and within five minutes where the views have not been built; "
        "not while a run of it is waiting or at work."
    ),
)
def every_half_hour(context: dg.ScheduleEvaluationContext, database: DatabaseResource) -> dg.RunRequest | dg.SkipReason:
    """Ask for a run, or say what is in its way."""
    if context.scheduled_execution_time.minute not in MINUTES:
        with database.connect() as connection:
            if rolled_up_to(connection) is not None:
                return dg.SkipReason("It runs at 10 and 40 past the hour.")
    active = active_runs(context.instance, database.url)
    if active:
        return dg.SkipReason(f"Run {active[0]} of the pipeline has not ended.")
    return dg.RunRequest()
