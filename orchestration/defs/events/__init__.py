"""The raw events, and the gate that guards what is built from them."""

from __future__ import annotations

import dagster as dg

from orchestration.defs.events.assets import hold_windows, observability_events, restaurant_settings, settings
from orchestration.defs.events.checks import events_gate
from orchestration.defs.events.sync import follow_source, sync_events_job


def definitions() -> dg.Definitions:
    """Return what this topic defines."""
    return dg.Definitions(
        assets=[observability_events, hold_windows, settings, restaurant_settings],
        asset_checks=[events_gate],
        jobs=[sync_events_job],
        schedules=[follow_source],
    )
