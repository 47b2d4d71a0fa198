"""One pass: events, gate, dbt, gate, dashboard files."""

from __future__ import annotations

import dagster as dg

from orchestration.defs.rollups.days import ROLLUP_DAYS
from orchestration.pipeline.runs import JOB_NAME

pipeline_job = dg.define_asset_job(
    JOB_NAME,
    # Days are compared with their events by a job of their own, each as a partition.
    selection=dg.AssetSelection.all() - dg.AssetSelection.assets(ROLLUP_DAYS),
    description=(
        "Checks the events, builds and tests the views with dbt, checks the views, and generates the dashboard files. "
        "A critical expectation that fails stops what follows it; warnings are shown and stop nothing."
    ),
    # Every step is short, and a process of its own would load all of Dagster again.
    executor_def=dg.in_process_executor,
)
