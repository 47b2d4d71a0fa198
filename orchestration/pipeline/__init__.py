"""One pass from the events to the dashboard files; importing this loads neither Dagster nor dbt."""

from orchestration.pipeline.report import Finding, PipelineError, PipelineProgress, PipelineReport
from orchestration.pipeline.run import run_pipeline

__all__ = ["Finding", "PipelineError", "PipelineProgress", "PipelineReport", "run_pipeline"]
