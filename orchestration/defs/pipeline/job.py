"""One pass: events, gate, dbt, gate, dashboard files."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg

from orchestration.defs.rollups.days import ROLLUP_DAYS
from orchestration.jobs import PLATFORM, run_tags
from orchestration.pipeline.runs import JOB_NAME

pipeline_job = dg.define_asset_job(
    JOB_NAME,
    # Days are compared with their events by a job of their own, each as a partition.
    selection=dg.AssetSelection.all() - dg.AssetSelection.assets(ROLLUP_DAYS),
    description=(
        "Checks the events, builds and tests the views with dbt, checks the views, and generates the dashboard files. "
        "A critical expectation that fails stops what follows it; warnings are shown and stop nothing. "
        "There is nothing to configure: launch it as it is."
    ),
    owners=PLATFORM,
    tags=run_tags(JOB_NAME, at_most=timedelta(hours=1)),
    # Every step is short, and a process of its own would load all of Dagster again.
    executor_def=dg.in_process_executor,
)
