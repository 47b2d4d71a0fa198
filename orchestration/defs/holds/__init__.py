"""The sweeper: holds whose time is over, double bookings that nobody has said yet, events that wait on disk."""

from __future__ import annotations

import dagster as dg

from orchestration.defs.holds.sweeper import sweep_holds_every_minute, sweep_holds_job


def definitions() -> dg.Definitions:
    """Return what this topic defines."""
    return dg.Definitions(jobs=[sweep_holds_job], schedules=[sweep_holds_every_minute])
