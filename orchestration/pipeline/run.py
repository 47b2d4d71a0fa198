"""One full pass of the pipeline in this process, recorded in Dagster like any other run."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from uuid import uuid4

from holds_core.database.connections import connect
from orchestration.dagster_instance import dagster_home, environment_variables, process_environment
from orchestration.database import Database
from orchestration.extras import require_extras
from orchestration.pipeline.report import PipelineProgress, PipelineReport
from orchestration.validation_worker import discard_prepared, prepare_worker


def run_pipeline(
    database: Database,
    on_event: Callable[[PipelineProgress], None] = lambda progress: None,
    *,
    state: Path | None = None,
    dashboards_directory: Path | None = None,
) -> PipelineReport:
    """Run the pipeline once: events, gate, dbt, gate, dashboard files.

    Waits where another run is at work. While it runs, standard output and error of this process go to the log; within
    ``on_event`` they are the caller's again. (Another thread, such as one that redraws a progress bar, has to hold a
    stream of its own.)

    Args:
        database: Migrated.
        on_event: Called as it goes on.
        state: Where Dagster's home and the log are; ``.holdwatch`` unless given.
        dashboards_directory: Where the dashboard files go; their own folder unless given.

    Returns:
        The report, of a blocked or failed run too.

    Raises:
        MissingExtraError: Dagster, dbt or Great Expectations is not installed.
        DbtError: dbt cannot parse its project.
    """
    require_extras("The pipeline", "pipeline")
    started = time.monotonic()
    home = dagster_home(state)
    log = home.parent / "logs" / "pipeline.log"
    log.parent.mkdir(mode=0o700, exist_ok=True)
    on_event(PipelineProgress("loading Dagster, dbt and Great Expectations", 0, 0))
    # Their imports take as long as all the work: one of them goes on beside the others.
    prepare_worker()
    try:
        variables = process_environment(database.url, database.environment, home)
        with environment_variables(variables), _output_to(log, on_event) as report_progress:
            return _run(database, home, log, started, report_progress, dashboards_directory)
    finally:
        discard_prepared()


@contextmanager
def _output_to(log: Path, on_event: Callable[[PipelineProgress], None]) -> Iterator[Callable[[PipelineProgress], None]]:
    """Send this process's output to the log; the function that this yields calls ``on_event`` with the caller's."""
    out, err = sys.stdout, sys.stderr

    def with_own_output(progress: PipelineProgress) -> None:
        with redirect_stdout(out), redirect_stderr(err):
            on_event(progress)

    # Logging holds on to the stream that it was given: what Dagster warns of would be between the lines for people.
    handlers = [
        handler
        for handler in logging.getLogger().handlers
        if isinstance(handler, logging.StreamHandler) and handler.stream is err
    ]
    with log.open("w", encoding="utf-8") as file, redirect_stdout(file), redirect_stderr(file):
        for handler in handlers:
            handler.setStream(file)
        try:
            yield with_own_output
        finally:
            for handler in handlers:
                handler.setStream(err)


def _run(
    database: Database,
    home: Path,
    log: Path,
    started: float,
    on_event: Callable[[PipelineProgress], None],
    dashboards_directory: Path | None,
) -> PipelineReport:
    import dagster as dg  # noqa: PLC0415  2 seconds

    from orchestration.dbt_manifest import discard_results  # noqa: PLC0415
    from orchestration.definitions import build_definitions  # noqa: PLC0415  5 seconds
    from orchestration.pipeline.journal import Journal  # noqa: PLC0415
    from orchestration.pipeline.runs import JOB_NAME, active_runs, record_run_end  # noqa: PLC0415

    definitions = build_definitions(dashboards_directory)
    discard_results(home)
    run_id = str(uuid4())
    with dg.DagsterInstance.get() as instance:
        # Else it opens a connection for every event that it stores: a tenth of a second, a hundred times.
        instance.optimize_for_webserver(statement_timeout=60_000, pool_recycle=3600, max_overflow=20)
        journal = Journal(definitions, on_event)
        instance.add_event_listener(run_id, journal.note)
        if waiting_for := active_runs(instance, database.url):
            on_event(PipelineProgress(f"waiting for run {waiting_for[0][:8]} to end", 0, 0))
        result = definitions.resolve_job_def(JOB_NAME).execute_in_process(
            instance=instance, run_id=run_id, raise_on_error=False
        )
        if not result.success and _was_interrupted(result.all_events):
            # Dagster makes a failed step of a Ctrl-C or a SIGTERM; nothing has failed.
            raise KeyboardInterrupt
        with connect(database.url) as connection:
            record_run_end(connection, instance, run_id)
    return journal.report(
        run_id, database.url, home, succeeded=result.success, duration_seconds=time.monotonic() - started, log=log
    )


def _was_interrupted(events: Iterable[Any]) -> bool:
    errors = (getattr(event.event_specific_data, "error", None) for event in events if event.is_step_failure)
    return any(error is not None and "DagsterExecutionInterruptedError" in error.to_string() for error in errors)
