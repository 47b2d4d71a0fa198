"""What the views say, sent to where people look at metrics."""

from __future__ import annotations

import dagster as dg

from orchestration.defs.metrics.datadog import push_metrics_job, push_to_datadog


def definitions() -> dg.Definitions:
    """Return what this topic defines."""
    return dg.Definitions(jobs=[push_metrics_job], sensors=[push_to_datadog])
