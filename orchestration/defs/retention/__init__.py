"""What is let go of, and when: events after 90 days, ended holds with them, Dagster's own history after 14."""

from __future__ import annotations

import dagster as dg

from orchestration.defs.retention.job import retention_every_day, retention_job


def definitions() -> dg.Definitions:
    """Return what this topic defines."""
    return dg.Definitions(jobs=[retention_job], schedules=[retention_every_day])
