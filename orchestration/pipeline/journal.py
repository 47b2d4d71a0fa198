"""What a run says as it goes on, put together to a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import dagster as dg
from dagster import DagsterEventType

from expectations.data_docs.site import INDEX
from orchestration.dbt import DbtResult, read_results, summarize
from orchestration.dbt_manifest import target_folder
from orchestration.gates import AFFECTED_ROWS, DATA_DOCS, GUIDE, OBSERVED, OWNER, REMEDY, ROWS, TOTAL_ROWS
from orchestration.paths import DATA_DOCS as DATA_DOCS_FOLDER
from orchestration.pipeline.dbt_findings import dbt_findings
from orchestration.pipeline.report import Finding, PipelineProgress, PipelineReport
from orchestration.pipeline.runs import JOB_NAME, step_error

_STAGES = {
    "holds__observability_events": "counting events",
    "events_gate": "checking the events",
    "dbt_build": "building and testing the views",
    "views_gate": "checking the views",
    "dashboard_files": "generating dashboard files",
    "dashboards__report": "writing the report",
    "flag_reports": "reporting feature flags",
}


class Journal:
    """Listens to one run."""

    def __init__(self, definitions: dg.Definitions, on_event: Callable[[PipelineProgress], None]) -> None:
        layer = definitions.resolve_job_def(JOB_NAME).asset_layer
        self._total = len(layer.selected_asset_keys) + len(layer.asset_graph.asset_check_keys)
        self._done = 0
        self._stage = "starting"
        self._on_event = on_event
        self._evaluations: list[dg.AssetCheckEvaluation] = []
        self._errors: list[Finding] = []
        self._files: list[Path] = []

    def note(self, entry: dg.EventLogEntry) -> None:
        """Take in an event of the run."""
        if not entry.is_dagster_event:
            return
        event = entry.get_dagster_event()
        match event.event_type:
            case DagsterEventType.STEP_START:
                self._stage = _STAGES.get(event.step_key or "", event.step_key or "")
            case DagsterEventType.ASSET_CHECK_EVALUATION:
                self._evaluations.append(event.asset_check_evaluation_data)
                self._done += 1
            case DagsterEventType.ASSET_MATERIALIZATION:
                self._note_files(event)
                self._done += 1
            case DagsterEventType.STEP_FAILURE:
                self._errors.append(Finding(event.step_key or "step", step_error(event), None, ""))
            case _:
                return
        self._on_event(PipelineProgress(self._stage, self._done, self._total))

    def report(
        self, run_id: str, url: str, home: Path, *, succeeded: bool, duration_seconds: float, log: Path
    ) -> PipelineReport:
        """Put together what was noted, and what dbt says of its part."""
        expectations = [evaluation for evaluation in self._evaluations if OBSERVED in evaluation.metadata]
        failed = [evaluation for evaluation in expectations if not evaluation.passed]
        blocking = tuple(_finding(evaluation) for evaluation in failed if evaluation.blocking)
        warned = tuple(_finding(evaluation) for evaluation in failed if not evaluation.blocking)
        dbt = _dbt_result(home)
        compiled = target_folder(home) / "compiled"
        dbt_warnings = [problem for problem in dbt.problems if problem.status == "warn"]
        dbt_failures = [problem for problem in dbt.problems if problem.status != "warn"]
        return PipelineReport(
            run_id=run_id,
            succeeded=succeeded,
            is_blocked=bool(blocking),
            expectations_passed=len(expectations) - len(failed),
            expectations_warned=len(warned),
            expectations_failed=len(blocking),
            warnings=(*warned, *dbt_findings(url, dbt_warnings, compiled)),
            # What a step says of its failure repeats the checks that failed it.
            failures=(*blocking, *dbt_findings(url, dbt_failures, compiled)) or tuple(self._errors),
            models_built=dbt.models_built,
            tests_passed=dbt.tests_passed,
            tests_warned=len(dbt_warnings),
            tests_failed=dbt.tests_failed,
            files=tuple(self._files),
            duration_seconds=duration_seconds,
            data_docs=self._data_docs(home),
            log=log,
        )

    def _data_docs(self, home: Path) -> Path | None:
        is_written = any(DATA_DOCS in evaluation.metadata for evaluation in self._evaluations)
        return home.parent / DATA_DOCS_FOLDER / INDEX if is_written else None

    def _note_files(self, event: dg.DagsterEvent) -> None:
        metadata = event.step_materialization_data.materialization.metadata
        folder, names = metadata.get("folder"), metadata.get("names")
        if (
            isinstance(folder, dg.PathMetadataValue)
            and folder.path is not None
            and isinstance(names, dg.MarkdownMetadataValue)
        ):
            self._files += [Path(folder.path) / line.removeprefix("- ") for line in names.value.splitlines()]


def _dbt_result(home: Path) -> DbtResult:
    """What dbt did in this run; nothing where it was not reached."""
    results = target_folder(home) / "run_results.json"
    files = [read_results(results)] if results.exists() else []
    return summarize(files, is_successful=bool(files), log=target_folder(home) / "dbt.log")


def _finding(evaluation: dg.AssetCheckEvaluation) -> Finding:
    metadata = evaluation.metadata
    rows = metadata.get(ROWS)
    return Finding(
        title=f"{evaluation.asset_key.path[-1]}: {evaluation.check_name.replace('_', ' ')}",
        observed=_text(metadata, OBSERVED),
        affected_rows=_count(metadata, AFFECTED_ROWS),
        remedy=_text(metadata, REMEDY),
        guide=_text(metadata, GUIDE),
        owner=_text(metadata, OWNER),
        total_rows=_count(metadata, TOTAL_ROWS),
        rows=tuple({name: str(value) for name, value in record.data.items()} for record in rows.records)
        if isinstance(rows, dg.TableMetadataValue)
        else (),
    )


def _text(metadata: Mapping[str, dg.MetadataValue], name: str) -> str:
    return "" if name not in metadata else str(metadata[name].value)


def _count(metadata: Mapping[str, dg.MetadataValue], name: str) -> int | None:
    value = None if name not in metadata else metadata[name].value
    return value if isinstance(value, int) else None
