"""The files that ops load, and the report for everybody else."""

from __future__ import annotations

import dagster as dg

from orchestration.defs.dashboards.assets import dashboard_files
from orchestration.defs.dashboards.report import report


def definitions() -> dg.Definitions:
    """Return what this topic defines."""
    return dg.Definitions(assets=[dashboard_files, report])
