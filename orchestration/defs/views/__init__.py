"""What dbt builds from the events, and the gate that guards what is generated from it."""

from __future__ import annotations

import dagster as dg

from orchestration.defs.views.assets import views
from orchestration.defs.views.checks import views_gate


def definitions() -> dg.Definitions:
    """Return what this topic defines."""
    return dg.Definitions(assets=[views], asset_checks=[views_gate])
