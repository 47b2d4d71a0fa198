"""The files that ops load."""

from __future__ import annotations

import dagster as dg

from orchestration.defs.dashboards.assets import dashboard_files


def definitions() -> dg.Definitions:
    """Return what this topic defines."""
    return dg.Definitions(assets=[dashboard_files])
