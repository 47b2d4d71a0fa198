"""Feature flags: the page about them, what they are everywhere, the trail of their changes, staged rollouts."""

from __future__ import annotations

import dagster as dg

from orchestration.defs.flags.assets import flag_reports
from orchestration.defs.flags.rollouts import guard_rollouts


def definitions() -> dg.Definitions:
    """Return what this topic defines."""
    return dg.Definitions(assets=[flag_reports], sensors=[guard_rollouts])
