"""``holdwatch demo``: the whole path once, from concurrent holds to dashboards, and a report of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from rich.table import Table

from holds_core.database.connections import connect
from holds_core.enforcement import enforcement_problems
from orchestration.cli.output import JsonOption, notes, print_json, results
from orchestration.cli.pipeline import as_dict, pipeline_progress, print_report
from orchestration.cli.progress import open_database
from orchestration.cli.soak import print_summary, refuse_prod, run_with_progress
from orchestration.cli.tables import print_table
from orchestration.database import Database
from orchestration.extras import require_extras
from orchestration.paths import PROJECT_ROOT, REPORT_FILE, state_dir
from orchestration.pipeline import PipelineReport, run_pipeline
from orchestration.soak.run import SoakSummary

CONNECTIONS = 50


def demo(
    requests: Annotated[int, typer.Option(min=100, help="How many hold requests, all in flight at once.")] = 1000,
    allow_prod: Annotated[bool, typer.Option("--allow-prod", help="Run although the environment is prod.")] = False,
    json: JsonOption = False,
) -> None:
    """Run the main job once: migrate, contending holds, events, views, expectations, dashboards, report.

    Exits 1 if anything fell short: a double booking, a lost hold, a failed expectation, an event missing from a view.

    Example: holdwatch demo --requests 200
    """
    require_extras("The demo", "pipeline", "dashboards")
    # Loaded while nothing else happens: Dagster takes seconds to import.
    started = time.monotonic()
    notes.print("Opening the database and migrating …")
    with open_database() as database:
        refuse_prod(database, allowed=allow_prod, what="The demo")
        shortfalls = _enforcement_shortfalls(database)
        notes.print(f"Sending {requests:,} hold requests at once over {CONNECTIONS} connections …")
        summary = run_with_progress(database, requests, requests, CONNECTIONS, seed=1)
        notes.print("Running the pipeline: expectations, dbt, dashboards …")
        with pipeline_progress() as show:
            report = run_pipeline(database, show)
        searches, found = _view_shortfalls(database, summary)
        shortfalls += found
        is_embedded = database.is_embedded

    if not summary.is_clean:
        shortfalls.append("the soak does not add up")
    if not report.succeeded:
        shortfalls.append("the pipeline did not succeed")
    seconds = time.monotonic() - started
    if json:
        outcome = {"is_well": not shortfalls, "shortfalls": shortfalls, "seconds": round(seconds, 1)}
        print_json(outcome | {"soak": summary.as_dict(), "searches": searches, "pipeline": as_dict(report)})
    else:
        _print(summary, searches, report, shortfalls, seconds, is_embedded=is_embedded)
    if shortfalls:
        raise typer.Exit(1)


def _print(
    summary: SoakSummary,
    searches: int,
    report: PipelineReport,
    shortfalls: list[str],
    seconds: float,
    *,
    is_embedded: bool,
) -> None:
    results.rule("holdwatch demo")
    print_summary(summary)
    if searches:
        results.print(
            f"{searches:,} of the {summary.requests:,} let the selector choose a table, and are what views and report "
            "call requests; the others named theirs.",
            soft_wrap=True,
        )
    results.print()
    print_report(report)
    results.print()
    _print_files(report.files)
    if report.succeeded:
        results.print(f"The report, a page with plots to be sent to anybody: {_shown(state_dir() / REPORT_FILE)}")
    if shortfalls:
        results.print("The demo fell short:", style="bold")
        for shortfall in shortfalls:
            results.print(f"- {shortfall}", markup=False)
        return
    results.print(
        f"{summary.requests:,} requests, {summary.held:,} holds, {summary.conflicts:,} conflicts, "
        f"{summary.double_bookings} double bookings.",
        style="bold",
        end=" ",
    )
    results.print(f"Done in {seconds:.0f} s.")
    results.print("\nWhat to try next:")
    for what, command in _next(is_embedded=is_embedded):
        results.print(f"  {what}:\n      {command}", markup=False, soft_wrap=True)


def _next(*, is_embedded: bool) -> list[tuple[str, str]]:
    psql = 'psql "$(.venv/bin/holdwatch db url --role analytics_reader)"'
    return [
        ("Dagster's UI, with the schedule on", "make up"),
        ("Ten times the load", ".venv/bin/holdwatch soak --requests 10000"),
        ("Proof that overlapping holds are refused", ".venv/bin/holdwatch enforcement check"),
        ("Your own events, from JSONL, CSV or Parquet", ".venv/bin/holdwatch events import FILE"),
        ("The views, in the schema analytics", f".venv/bin/holdwatch db start && {psql}" if is_embedded else psql),
        ("The test suite, on real PostgreSQL", "make test"),
    ]


def _enforcement_shortfalls(database: Database) -> list[str]:
    with connect(database.url) as connection:
        return [f"enforcement: {problem}" for problem in enforcement_problems(connection)]


def _view_shortfalls(database: Database, summary: SoakSummary) -> tuple[int, list[str]]:
    """Compare the views with the events of this soak, read directly: they must show at least these, and no doubles.

    Returns:
        How many requests went through the selector; and what fell short.
    """
    parameters = {"soak_id": summary.soak_id}
    try:
        with connect(database.url) as connection:
            searches = connection.execute(_SEARCHES, parameters).fetchone()
            counted = connection.execute(_COUNTED).fetchone()
            doubles = connection.execute("select count(*) from analytics.double_bookings").fetchone()
    except psycopg.errors.UndefinedTable as error:
        return 0, [f"a view is missing: {error.diag.message_primary}"]
    assert searches is not None
    assert counted is not None
    assert doubles is not None
    shortfalls = []
    if not searches[0] or counted[0] < searches[0]:
        shortfalls.append(f"the success-rate view shows {counted[0]} searches of at least {searches[0]}")
    if doubles[0]:
        shortfalls.append(f"the double-bookings view shows {doubles[0]} pairs; see: holdwatch holds conflicts")
    return searches[0], shortfalls


_SEARCHES = """
    select count(*)
    from holds.observability_events
    where event_type in ('capacity.selector.assignment', 'capacity.selector.skipped')
        and context ->> 'soakId' = %(soak_id)s
"""

_COUNTED = """
    select coalesce(sum(assignment_count + skipped_count), 0)
    from analytics.assignment_success_rate
    where grain = 'day' and restaurant_key = '(all)'
"""


def _shown(path: Path) -> Path:
    return path.relative_to(PROJECT_ROOT) if path.is_relative_to(PROJECT_ROOT) else path


def _print_files(files: tuple[Path, ...]) -> None:
    table = Table("dashboard file", "load it into")
    for path in files:
        tool = next((tool for tool in ("Datadog", "Prometheus") if tool.lower() in path.parts), "Grafana")
        table.add_row(str(_shown(path)), tool)
    if files:
        print_table(table)
