"""The rollups: refreshed every few minutes, and compared with the events day by day."""

from __future__ import annotations

import dagster as dg

from orchestration.defs.rollups.days import every_night, reconcile_days_job, rollup_days
from orchestration.defs.rollups.refresh import every_five_minutes, refresh_job, when_events_wait


def definitions() -> dg.Definitions:
    """Return what this topic defines."""
    return dg.Definitions(
        assets=[rollup_days],
        jobs=[refresh_job, reconcile_days_job],
        schedules=[every_five_minutes, every_night],
        sensors=[when_events_wait],
    )
