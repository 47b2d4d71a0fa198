"""``holdwatch soak``: synthetic load, and the ledger check."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from holds_core.database.connections import connect
from holds_core.database.queries import query
from holds_core.database.settings import Environment
from orchestration.cli.output import JsonOption, notes, print_json, results
from orchestration.database import Database, open_database
from orchestration.errors import ProdRefusedError
from orchestration.soak.run import SoakSummary, run_soak


def soak(
    requests: Annotated[int, typer.Option(min=1, help="How many requests in all.")] = 1000,
    concurrency: Annotated[int, typer.Option(min=1, help="How many are in flight at once, behind a barrier.")] = 1000,
    connections: Annotated[int, typer.Option(min=1, max=1000, help="How many connections they share.")] = 50,
    seed: Annotated[int, typer.Option(help="The same seed asks the same questions.")] = 1,
    allow_prod: Annotated[bool, typer.Option("--allow-prod", help="Run although the environment is prod.")] = False,
    json: JsonOption = False,
) -> None:
    """Load the holds core with contending requests, then check what callers were told against the database.

    Works on synthetic restaurants of its own, marks its events with context.soakId, and releases what it held.
    Exits 1 if a request failed, a table was double-booked, or a hold or an event was lost or duplicated.

    Example: holdwatch soak --requests 10000 --concurrency 1000 --connections 50
    """
    with open_database() as database:
        refuse_prod(database, allowed=allow_prod, what="The soak")
        summary = run_with_progress(database, requests, concurrency, connections, seed)
    if json:
        print_json(summary.as_dict())
    else:
        print_summary(summary)
    if not summary.is_clean:
        raise typer.Exit(1)


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
    table = Table(title=f"Soak {summary.soak_id}", show_header=False, title_justify="left")
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
    results.print(table)
    for example in summary.examples:
        results.print(f"- {example}", markup=False)
    results.print("Everything adds up." if summary.is_clean else "[bold]It does not add up; see above.[/bold]")
