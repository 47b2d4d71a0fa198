"""The job that does it all, its schedule, and the record of how each run ended."""

from __future__ import annotations

import dagster as dg

from orchestration.defs.pipeline.job import pipeline_job
from orchestration.defs.pipeline.schedule import pipeline_every_half_hour, pipeline_when_nothing_is_built
from orchestration.defs.pipeline.sensors import record_failure, record_success


def definitions() -> dg.Definitions:
    """Return what this topic defines."""
    return dg.Definitions(
        jobs=[pipeline_job],
        schedules=[pipeline_every_half_hour],
        sensors=[pipeline_when_nothing_is_built, record_success, record_failure],
    )
