"""What all jobs have in common: owners, one run of each at a time, an end to each run, a second try where that helps.

Two things are retried. A run whose process died is started once more, by the daemon (``dagster/max_retries``). A step
that asks the database or another server is tried again after a failure, since a connection may break (``RETRIES``).
dbt and the gates are not: what they find wrong stays wrong, and the next pass is half an hour away at most.
"""

from __future__ import annotations

from datetime import timedelta

import dagster as dg

PLATFORM = ["team:platform"]
ANALYTICS = ["team:analytics"]

JOB_TAG = "holdwatch/job"
"""Every run has it, whoever asked for it; ``dagster.yaml`` allows one run at a time for each of its values."""

RETRIES = dg.RetryPolicy(max_retries=2, delay=2, backoff=dg.Backoff.EXPONENTIAL)
"""After 2 and 4 seconds: a server that restarts is back by then, and nobody waits long for a mistake to show."""


def run_tags(job: str, *, at_most: timedelta) -> dict[str, str]:
    """Return the tags of a job's runs.

    Args:
        job: Its name.
        at_most: How long a run may take before it is ended as failed; several times what the longest takes.
    """
    return {JOB_TAG: job, "dagster/max_runtime": f"{at_most.total_seconds():.0f}", "dagster/max_retries": "1"}
