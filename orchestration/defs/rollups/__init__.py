"""The rollups: refreshed every few minutes, and compared with the events day by day."""

from __future__ import annotations

import dagster as dg

from orchestration.defs.rollups.days import reconcile_days_every_night, reconcile_days_job, rollup_days
from orchestration.defs.rollups.refresh import refresh_every_five_minutes, refresh_job, refresh_when_events_wait


def definitions() -> dg.Definitions:
    """Return what this topic defines."""
    return dg.Definitions(
        assets=[rollup_days],
        jobs=[refresh_job, reconcile_days_job],
        schedules=[refresh_every_five_minutes, reconcile_days_every_night],
        sensors=[refresh_when_events_wait],
    )
