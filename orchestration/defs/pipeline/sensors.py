"""How a run ended becomes an event, which dashboards, alerts and ``analytics.pipeline_freshness`` read.

Each looks at a run once, whoever executed it; a second record of the same end is the same event, so nothing can storm.
"""

from __future__ import annotations

import dagster as dg

from orchestration.pipeline.runs import RECORDED_JOBS, record_run_end
from orchestration.resources import DatabaseResource

_INTERVAL_SECONDS = 30


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    # Runs of `holdwatch pipeline run` belong to no code location.
    monitor_all_code_locations=True,
    minimum_interval_seconds=_INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Records the end of each run of pipeline and refresh that succeeded as an event, pipeline.run.succeeded, which "
        "dashboards and alerts read. It starts no run."
    ),
)
def record_success(context: dg.RunStatusSensorContext, database: DatabaseResource) -> dg.SkipReason | None:
    """Record a run that succeeded."""
    return _record(context, database)


@dg.run_failure_sensor(
    monitor_all_code_locations=True,
    minimum_interval_seconds=_INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Records the end of each run of pipeline and refresh that failed as an event, pipeline.run.failed, with the "
        "reason and whether a gate blocked it; dashboards and alerts read it. It starts no run."
    ),
)
def record_failure(context: dg.RunFailureSensorContext, database: DatabaseResource) -> dg.SkipReason | None:
    """Record a run that failed."""
    return _record(context, database)


def _record(context: dg.RunStatusSensorContext, database: DatabaseResource) -> dg.SkipReason | None:
    if context.dagster_run.job_name not in RECORDED_JOBS:
        return dg.SkipReason(f"Runs of {context.dagster_run.job_name} are not recorded as events.")
    with database.connect() as connection:
        record_run_end(connection, context.instance, context.dagster_run.run_id)
    return None
