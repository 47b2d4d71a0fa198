"""``holdwatch soak``: synthetic load, and the ledger check."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from holds_core.database.connections import connect
from holds_core.database.migrations import stored_environment
from holds_core.database.queries import query
from holds_core.database.settings import Environment
from orchestration.cli.output import JsonOption, notes, print_json, results
from orchestration.cli.progress import open_database
from orchestration.cli.tables import print_table
from orchestration.database import Database
from orchestration.errors import ProdRefusedError
from orchestration.paths import state_dir
from orchestration.soak.ramp import Step, run_ramp
from orchestration.soak.ramp_report import ramp_html
from orchestration.soak.run import SoakSummary, run_soak


def soak(
    requests: Annotated[int, typer.Option(min=1, help="How many requests in all.")] = 1000,
    concurrency: Annotated[int, typer.Option(min=1, help="How many are in flight at once, behind a barrier.")] = 1000,
    connections: Annotated[int, typer.Option(min=1, max=1000, help="How many connections they share.")] = 50,
    seed: Annotated[int, typer.Option(help="The same seed asks the same questions.")] = 1,
    ramp: Annotated[
        bool,
        typer.Option("--ramp", help="From 1 to CONCURRENCY in flight, doubling: where do they only queue up?"),
    ] = False,
    step_seconds: Annotated[float, typer.Option(min=0.1, help="With --ramp: about how long a step takes.")] = 5,
    report: Annotated[
        Path | None, typer.Option(dir_okay=False, help="With --ramp: the HTML report; default: .holdwatch/reports/.")
    ] = None,
    allow_prod: Annotated[bool, typer.Option("--allow-prod", help="Run although the environment is prod.")] = False,
    json: JsonOption = False,
) -> None:
    """Load the holds core with contending requests, then check what callers were told against the database.

    Works on synthetic restaurants of its own, marks its events with context.soakId, and releases what it held.
    Exits 1 if a request failed, a table was double-booked, or a hold or an event was lost or duplicated.

    Example: holdwatch soak --requests 10000 --concurrency 1000 --connections 50

    Example: holdwatch soak --ramp --concurrency 512
    """
    with open_database() as database:
        refuse_prod(database, allowed=allow_prod, what="The soak")
        if ramp:
            ramp_up(database, concurrency, connections, step_seconds, seed, report, json=json)
            return
        summary = run_with_progress(database, requests, concurrency, connections, seed)
    if json:
        print_json(summary.as_dict())
    else:
        print_summary(summary)
    if not summary.is_clean:
        raise typer.Exit(1)


def ramp_up(
    database: Database,
    concurrency: int,
    connections: int,
    step_seconds: float,
    seed: int,
    report: Path | None,
    *,
    json: bool,
) -> None:
    """Run a ramp, show it as it goes on, write its report."""
    with connect(database.url) as connection:
        server = connection.info.parameter_status("server_version") or ""
        environment = stored_environment(connection) or database.environment
    done: list[Step] = []
    # As it stands, for whoever watches; the same table is the result.
    with Live(_ramp_table(done), console=notes, transient=True, auto_refresh=False) as live:

        def show(in_flight: int, answered: int, total: int) -> None:
            if answered % 50 == 0 or answered == total:
                live.update(_ramp_table(done, (in_flight, answered, total)), refresh=True)

        result = run_ramp(
            database.url,
            highest=concurrency,
            connections=connections,
            step_seconds=step_seconds,
            seed=seed,
            on_progress=show if notes.is_terminal else lambda in_flight, answered, total: None,
            on_step=done.append,
        )
    path = report or state_dir() / "reports" / f"soak-ramp-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(ramp_html(result, server=server, environment=environment), "utf-8")
    if json:
        steps = [
            {"in_flight": step.in_flight, "per_second": round(step.per_second, 1), **step.summary.as_dict()}
            for step in result.steps
        ]
        print_json({"knee_in_flight": result.knee.in_flight, "steps": steps, "report": str(path)})
    else:
        print_table(_ramp_table(done))
        results.print(
            f"The knee is at {result.knee.in_flight} in flight: {result.knee.per_second:,.0f} answers a second. "
            "With more, requests wait rather than get answered."
        )
        results.print(f"Report: {path}", markup=False, soft_wrap=True)
    if not result.is_clean:
        raise typer.Exit(1)


def _ramp_table(steps: Sequence[Step], at_work: tuple[int, int, int] | None = None) -> Table:
    # Fits 80 columns with a million requests.
    table = Table(title="Soak ramp", box=None, pad_edge=False)
    for name in ("in flight", "asked", "per second", "P50 ms", "P95 ms", "P99 ms", "refused", "errors", "double"):
        table.add_column(name, justify="right")
    for step in steps:
        summary = step.summary
        table.add_row(
            str(step.in_flight), f"{summary.requests:,}", f"{step.per_second:,.0f}",
            *(f"{value:,.1f}" for value in summary.latency_ms.values()),
            f"{summary.conflicts / summary.requests:.0%}", str(summary.errors), str(summary.double_bookings),
        )  # fmt: skip
    if at_work is not None:
        in_flight, answered, total = at_work
        table.add_row(str(in_flight), f"{answered:,} of {total:,}", style="dim")
    return table


def refuse_prod(database: Database, *, allowed: bool, what: str) -> None:
    """Raise unless neither the caller nor the database says prod, or it was allowed.

    Raises:
        ProdRefusedError: It is prod.
    """
    with connect(database.url) as connection:
        row = connection.execute(query("stored_environment")).fetchone()
    assert row is not None
    if Environment.PROD in (database.environment, row[0]) and not allowed:
        raise ProdRefusedError(what)


def run_with_progress(database: Database, requests: int, concurrency: int, connections: int, seed: int) -> SoakSummary:
    """Run a soak, showing how far it is."""
    with Progress(
        TextColumn("[bold]soak"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=notes, transient=True,
    ) as progress:  # fmt: skip
        bar = progress.add_task("soak", total=requests)
        return run_soak(
            database.url,
            requests=requests,
            concurrency=concurrency,
            connections=connections,
            seed=seed,
            on_progress=lambda done: progress.update(bar, completed=done),
        )


def print_summary(summary: SoakSummary) -> None:
    """Print what the soak found, for people."""
    table = Table(title=f"Soak {summary.soak_id}", show_header=False)
    table.add_column(justify="right")
    table.add_column()
    for value, name in (
        (f"{summary.requests:,}", f"requests, {summary.most_in_flight:,} in flight at once, {summary.seconds:.1f} s"),
        (f"{summary.held:,}", f"held ({summary.holds_per_second:,.0f} a second)"),
        (f"{summary.conflicts:,}", "refused because another booking holds the table"),
        (f"{summary.limited:,}", "refused by the rate limit"),
        (f"{summary.errors:,}", "errors"),
        (f"{summary.double_bookings:,}", "double bookings"),
        (f"{summary.lost:,}", "acknowledged and lost"),
        (f"{summary.duplicated:,}", "duplicated"),
        (f"{summary.missing_events:,}", "events missing or too many"),
        (" / ".join(f"{value:,.0f}" for value in summary.latency_ms.values()), "ms to an answer, P50 / P95 / P99"),
    ):
        table.add_row(value, name)
    print_table(table)
    for example in summary.examples:
        results.print(f"- {example}", markup=False)
    if summary.is_clean:
        results.print("Everything adds up.")
    else:
        results.print("It does not add up; see above.", style="bold")
