"""The raw events, and the gate that guards what is built from them."""

from __future__ import annotations

import dagster as dg

from orchestration.defs.events.assets import (
    flag_changes,
    hold_windows,
    observability_events,
    restaurant_settings,
    settings,
)
from orchestration.defs.events.checks import events_gate
from orchestration.defs.events.sync import sync_events_every_five_minutes, sync_events_job


def definitions() -> dg.Definitions:
    """Return what this topic defines."""
    return dg.Definitions(
        assets=[observability_events, hold_windows, settings, restaurant_settings, flag_changes],
        asset_checks=[events_gate],
        jobs=[sync_events_job],
        schedules=[sync_events_every_five_minutes],
    )
