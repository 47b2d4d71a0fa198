"""What all jobs have in common: owners, one run of each at a time, an end to each run, a second try where that helps.

Two things are tried again. A run whose process died is started once more, by the daemon (``dagster/max_retries``). A
step that loses the database begins anew (:meth:`orchestration.resources.DatabaseResource.connect_in_step`). What is
wrong in itself is not: a blocked run stays blocked, and its reason stands in the log once.
"""

from __future__ import annotations

from datetime import timedelta

PLATFORM = ["team:platform"]
ANALYTICS = ["team:analytics"]

JOB_TAG = "holdwatch/job"
"""Every run has it, whoever asked for it; ``dagster.yaml`` allows one run at a time for each of its values."""


def run_tags(job: str, *, at_most: timedelta) -> dict[str, str]:
    """Return the tags of a job's runs.

    Args:
        job: Its name.
        at_most: How long a run may take before it is ended as failed; several times what the longest takes.
    """
    return {JOB_TAG: job, "dagster/max_runtime": f"{at_most.total_seconds():.0f}", "dagster/max_retries": "1"}
