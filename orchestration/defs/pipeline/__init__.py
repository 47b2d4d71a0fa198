"""The job that does it all, its schedule, and the record of how each run ended."""

from __future__ import annotations

import dagster as dg

from orchestration.defs.pipeline.job import pipeline_job
from orchestration.defs.pipeline.schedule import every_half_hour
from orchestration.defs.pipeline.sensors import record_failure, record_success


def definitions() -> dg.Definitions:
    """Return what this topic defines."""
    return dg.Definitions(jobs=[pipeline_job], schedules=[every_half_hour], sensors=[record_success, record_failure])
