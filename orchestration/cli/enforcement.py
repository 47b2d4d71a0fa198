"""``holdwatch enforcement``: the kill switch, and the proof that overlaps are refused."""

from __future__ import annotations

from typing import Annotated

import typer

from holds_core import is_holds_strict_conflicts_enabled, set_hold_conflict_enforcement
from holds_core.database.connections import connect
from holds_core.enforcement import enforcement_problems
from orchestration.cli.output import JsonOption, print_json
from orchestration.database import open_existing_database

app = typer.Typer(
    no_args_is_help=True, help="The kill switch of strict conflicts, and the proof that they are in force."
)

ReasonOption = Annotated[str, typer.Option(help="Why; it is recorded with who switched and when.")]


@app.command()
def status(json: JsonOption = False) -> None:
    """Say whether overlapping holds are refused."""
    with open_existing_database() as database, connect(database.url) as connection:
        is_enabled = is_holds_strict_conflicts_enabled(connection)
    if json:
        print_json({"is_enabled": is_enabled})
    else:
        typer.echo(f"Strict conflicts are {'on: overlapping holds are refused' if is_enabled else 'OFF'}.")


@app.command()
def on(reason: ReasonOption) -> None:
    """Refuse overlapping holds from now on.

    Waits for holds that are being placed. Refuses while live windows overlap: see `holdwatch holds conflicts`.
    """
    _switch(enabled=True, reason=reason)
    typer.echo("Strict conflicts are on: overlapping holds are refused.")


@app.command()
def off(reason: ReasonOption) -> None:
    """Let overlapping holds through, at once. Each one is recorded as what strict mode would have refused."""
    _switch(enabled=False, reason=reason)
    typer.echo("Strict conflicts are OFF. Switch back with: holdwatch enforcement on --reason …")


@app.command()
def check(json: JsonOption = False) -> None:
    """Prove that overlapping holds are refused: constraint, index, switch, and a probe that leaves nothing behind.

    Exits 1 and names every reason to doubt it.
    """
    with open_existing_database() as database, connect(database.url) as connection:
        problems = enforcement_problems(connection)
    if json:
        print_json({"is_enforced": not problems, "problems": problems})
    elif problems:
        typer.echo("Overlapping holds are NOT surely refused:\n" + "\n".join(f"- {problem}" for problem in problems))
    else:
        typer.echo("Overlapping holds are refused: constraint, index and switch are in order, and a probe was refused.")
    if problems:
        raise typer.Exit(1)


def _switch(*, enabled: bool, reason: str) -> None:
    if not reason.strip():
        raise typer.BadParameter("say why", param_hint="--reason")
    with open_existing_database() as database, connect(database.url) as connection:
        set_hold_conflict_enforcement(connection, enabled=enabled, reason=reason)
