"""``holdwatch pipeline``: one full pass, from the events to the dashboard files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from importlib.util import find_spec
from json import dumps
from pathlib import Path
from textwrap import shorten
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from expectations.data_docs.site import DataDocsError
from expectations.data_docs.site import rebuild as rebuild_data_docs
from holds_core.database.connections import connect
from orchestration.cli.output import JsonOption, print_json, results
from orchestration.cli.progress import open_database, open_existing_database, working
from orchestration.cli.tables import print_facts
from orchestration.dbt import generate_docs, run_dbt
from orchestration.errors import MissingExtraError
from orchestration.paths import DATA_DOCS, PROJECT_ROOT, state_dir
from orchestration.pipeline import Finding, PipelineError, PipelineProgress, PipelineReport, run_pipeline
from orchestration.rollups import rolled_up_to
from orchestration.spark import run_on_spark

_ROWS_SHOWN = 3

app = typer.Typer(no_args_is_help=True, help="Events to views to dashboard files, with expectations at both ends.")


@app.command()
def run(json: JsonOption = False) -> None:
    """Run the pipeline once in this process: check the events, build the views, check them, write the dashboards.

    Dagster records the run, so that `holdwatch up` shows it. Exits 1 when a critical expectation blocks it, or when it
    fails; warnings are shown and stop nothing.

    Example: holdwatch pipeline run --json
    """
    with open_database() as database, pipeline_progress() as show:
        report = run_pipeline(database, show)
    if json:
        print_json(as_dict(report))
    else:
        print_report(report)
    if not report.succeeded:
        raise PipelineError(_in_one_line(report))


@app.command()
def rebuild(
    day: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="one UTC day; all of the history unless given"),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Make the rollups anew from the events: of one day, or all of them. The views go on meanwhile.

    For a rollup that is known to be wrong. To find out, look at the asset analytics/rollup_days in Dagster.

    Example: holdwatch pipeline rebuild --day 2026-11-01
    """
    # All of it with the views, since an upgrade may have changed what is beneath them.
    which = ["--full-refresh"]
    if day is not None:
        bounds = {"rebuild_from": f"{day:%Y-%m-%d}", "rebuild_before": f"{day + timedelta(days=1):%Y-%m-%d}"}
        which = ["--select", "staging", "intermediate", "rollups", "--vars", dumps(bounds)]
    with open_existing_database() as database:
        if day is not None:
            with connect(database.url) as connection:
                if rolled_up_to(connection) is None:
                    raise PipelineError("There are no rollups yet; build them with: holdwatch pipeline run")
        with working("dbt makes the rollups anew"):
            result = run_dbt(database.url, "run", *which)
    if not result.is_successful:
        raise PipelineError(f"The rollups are as they were: {result.problems[0].message} dbt's log: {result.log}")
    if json:
        print_json({"day": None if day is None else f"{day:%Y-%m-%d}", "seconds": round(result.seconds, 1)})
        return
    typer.echo(f"The rollups of {f'{day:%Y-%m-%d}' if day else 'all days'} were made anew in {result.seconds:.0f} s.")


@app.command()
def spark(
    events: Annotated[
        str,
        typer.Argument(metavar="DIRECTORY", help="what `holdwatch events export` wrote, or an address of a copy of it"),
    ],
    rebuild: Annotated[bool, typer.Option("--rebuild", help="make the rollups anew from all events")] = False,
    json: JsonOption = False,
) -> None:
    """Build the views from exported events on Spark, for more events than one PostgreSQL should read.

    A second time it reads only the days that a newer export has changed.

    Unless SPARK_CONF_DIR names a configuration, Spark runs on this machine
    alone, and keeps what it makes in .holdwatch/spark/.

    Example: holdwatch events export /data/events && holdwatch pipeline spark /data/events
    """
    with working("Spark is at work; a first run takes some minutes"):
        run = run_on_spark(events, rebuild=rebuild)
    result = run.result
    if not result.is_successful:
        # Of what Spark says the rest is its query and its own stack.
        said = "; ".join(f"{problem.name}: {shorten(problem.message, 200)}" for problem in result.problems[:2])
        raise PipelineError(f"Spark could not build the views: {said}. dbt's log: {result.log}")
    if json:
        print_json(
            {
                "models_built": result.models_built,
                "tests_passed": result.tests_passed,
                "seconds": round(result.seconds, 1),
                "configuration": run.configuration,
                "log": result.log,
            }
        )
        return
    typer.echo(f"{result.models_built} models built and {result.tests_passed} tests passed in {result.seconds:.0f} s.")
    query = "select * from analytics.assignment_success_rate where grain = 'day' order by bucket_at desc limit 10"
    typer.echo(f"Ask them:\n  {run.asking(query)}")


@app.command()
def docs(
    output: Annotated[
        Path | None, typer.Option(dir_okay=False, help="the file; .holdwatch/dbt-docs/index.html unless given")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Write what dbt knows of the views, with lineage and every column, as one HTML page to open in a browser.

    Example: holdwatch pipeline docs --output views.html
    """
    with open_existing_database() as database, working("dbt reads the project and the database"):
        written = generate_docs(database.url, output or state_dir() / "dbt-docs" / "index.html")
    if json:
        print_json({"file": str(written)})
        return
    typer.echo(f"Written: {written}")


@app.command()
def data_docs(json: JsonOption = False) -> None:
    """Write the Data Docs anew: what both gates expect, and what their last checks found, as pages for people.

    Each pass writes them as it checks, so this is for pages that were
    deleted, or that another release wrote. Nothing is checked here.

    Example: holdwatch pipeline data-docs
    """
    if find_spec("great_expectations") is None:
        raise MissingExtraError("pipeline", "The Data Docs")
    with working("Great Expectations writes its pages"):
        try:
            written = rebuild_data_docs(state_dir() / DATA_DOCS)
        except (DataDocsError, OSError) as error:
            raise PipelineError(f"The Data Docs stay as they were: {error}") from error
    if json:
        print_json({"file": str(written)})
        return
    typer.echo(f"Written: {written}")


@contextmanager
def pipeline_progress() -> Iterator[Callable[[PipelineProgress], None]]:
    """Show on standard error how far a pass is; yields what :func:`run_pipeline` takes as ``on_event``."""
    # A console that keeps this stream: the run redirects sys.stderr to its log, and the bar is redrawn by a thread.
    console = Console(file=sys.stderr, highlight=False)
    with Progress(
        TextColumn("[bold]pipeline"), BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=console, transient=True, redirect_stdout=False, redirect_stderr=False,
    ) as progress:  # fmt: skip
        bar = progress.add_task("starting", total=None)

        def show(event: PipelineProgress) -> None:
            progress.update(bar, description=event.stage, completed=event.done, total=event.total or None)

        yield show


def as_dict(report: PipelineReport) -> dict[str, Any]:
    """Return the report as JSON has it."""
    return asdict(report)


def print_report(report: PipelineReport) -> None:
    """Print what a pass did, for people."""
    outcome = "succeeded" if report.succeeded else "is blocked" if report.is_blocked else "failed"
    title = f"Pipeline run {report.run_id[:8]} {outcome} after {report.duration_seconds:.1f} s"
    print_facts(summary_rows(report), title)
    _print_findings("What stopped it", report.failures)
    _print_findings("Warnings", report.warnings)
    results.print(f"Full log: {_short(report.log)}", style="dim")


def summary_rows(report: PipelineReport) -> list[tuple[str, str]]:
    """Return what a pass did, as names and values of a table."""
    folders = sorted({_short(path.parent) for path in report.files})
    return [
        (
            "expectations",
            f"{report.expectations_passed} passed, {report.expectations_warned} warned, "
            f"{report.expectations_failed} failed",
        ),
        ("models", f"{report.models_built} built"),
        ("tests", f"{report.tests_passed} passed, {report.tests_warned} warned, {report.tests_failed} failed"),
        (
            "dashboard files",
            f"{len(report.files)} up to date in {', '.join(folders)}" if report.files else "left as they were",
        ),
        *([] if report.data_docs is None else [("data quality", f"to read: {_short(report.data_docs)}")]),
    ]


def _print_findings(title: str, findings: tuple[Finding, ...]) -> None:
    if not findings:
        return
    results.print(f"\n{title}:", style="bold")
    for finding in findings:
        what, _, which = finding.observed.partition(": ")
        results.print(f"  {finding.title}: {what}", markup=False)
        rows = [", ".join(f"{name}={value}" for name, value in row.items()) for row in finding.rows[:_ROWS_SHOWN]]
        # Single rows, where they say more than what was counted; else what was counted, and after it single rows.
        counted = [] if rows and which.startswith("id=") else which.split("; ") if which else []
        for line in (*counted, *(f"e.g. {row}" if counted else row for row in rows if row not in counted)):
            results.print(f"    - {line}", markup=False, soft_wrap=True)
        if finding.remedy:
            results.print(f"    {finding.remedy}", style="dim", markup=False, soft_wrap=True)
        if finding.guide:
            owner = f" Owner: {finding.owner}." if finding.owner else ""
            results.print(f"    Step by step: {finding.guide}.{owner}", style="dim", markup=False, soft_wrap=True)


def _in_one_line(report: PipelineReport) -> str:
    first = report.failures[0] if report.failures else None
    more = f" ({len(report.failures) - 1} more above)" if len(report.failures) > 1 else ""
    what = "The pipeline is blocked" if report.is_blocked else "The pipeline failed"
    if first is None:
        return f"{what}. Its log: {_short(report.log)}"
    guide = f" Step by step: {first.guide}" if first.guide else ""
    return f"{what}: {first}. {first.remedy}{guide}".strip() + more


def _short(path: Path) -> str:
    return str(path.relative_to(PROJECT_ROOT) if path.is_relative_to(PROJECT_ROOT) else path)
