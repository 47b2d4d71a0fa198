"""What a pass of the pipeline says while it runs, and what it has done at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from holds_core.errors import HoldsError


class PipelineError(HoldsError):
    """The pipeline did not come through."""


@dataclass(frozen=True)
class Finding:
    """An expectation or a test that did not hold.

    Attributes:
        title: What did not hold, of which table or view.
        observed: What was seen, with how many rows and which.
        affected_rows: How many rows of the asset it concerns; None where it is not known.
        remedy: What to do about it; empty where nobody knows.
        guide: Where the docs say it step by step; empty where they do not.
        owner: The team that mends it; empty where it is not known.
        total_rows: Of how many rows; None where it is not known.
        rows: Some of the rows, by their identity, as text by column.
    """

    title: str
    observed: str
    affected_rows: int | None
    remedy: str
    guide: str = ""
    owner: str = ""
    total_rows: int | None = None
    rows: tuple[Mapping[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.title}: {self.observed}"


@dataclass(frozen=True)
class PipelineReport:
    """What one pass did.

    Attributes:
        run_id: Under which Dagster has it.
        succeeded: Whether it came through; warnings do not keep it from that.
        is_blocked: Whether a critical expectation stopped it.
        expectations_passed: Expectations that held, at both gates.
        expectations_warned: Those that did not hold and stop nothing.
        expectations_failed: Those that did not hold and stopped the pass.
        warnings: The expectations that warned, and dbt's tests that did.
        failures: What made it fail: critical expectations, models, tests, or a step that broke.
        models_built: Models that dbt built.
        tests_passed: dbt's tests that passed.
        tests_warned: Those that found rows which stop nothing.
        tests_failed: Those that failed, or could not be run.
        files: The dashboard files, all up to date; empty when it did not come that far.
        duration_seconds: From the call to the report.
        data_docs: The index of the pages on data quality; None where no gate was reached, or they could not be written.
        log: The full log.
    """

    run_id: str
    succeeded: bool
    is_blocked: bool
    expectations_passed: int
    expectations_warned: int
    expectations_failed: int
    warnings: tuple[Finding, ...]
    failures: tuple[Finding, ...]
    models_built: int
    tests_passed: int
    tests_warned: int
    tests_failed: int
    files: tuple[Path, ...]
    duration_seconds: float
    data_docs: Path | None
    log: Path


@dataclass(frozen=True)
class PipelineProgress:
    """How far a pass is.

    Attributes:
        stage: What it is doing, for people.
        done: Assets built and checks made so far.
        total: Those it will have built and made at the end; 0 while that is not known yet.
    """

    stage: str
    done: int
    total: int
