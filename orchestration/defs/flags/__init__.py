"""Feature flags: the page about them, what they are everywhere, and whether the trail of their changes holds."""

from __future__ import annotations

import dagster as dg

from orchestration.defs.flags.assets import flag_changes, flag_reports


def definitions() -> dg.Definitions:
    """Return what this topic defines."""
    return dg.Definitions(assets=[flag_changes, flag_reports])
