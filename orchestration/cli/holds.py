"""``holdwatch holds``: look at holds, find double bookings, release, sweep."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import typer
from psycopg.rows import dict_row
from rich.table import Column, Table

from holds_core import HoldClient, HoldNotFoundError
from holds_core.database.connections import connect
from holds_core.database.queries import query
from orchestration.cli.output import JsonOption, print_json, results
from orchestration.database import open_existing_database

app = typer.Typer(no_args_is_help=True, help="Look at holds, find double bookings, release, sweep.")

LimitOption = Annotated[int, typer.Option(min=1, help="At most this many rows.")]
HoldArgument = Annotated[UUID, typer.Argument(help="The hold's id.")]


@app.command("list")
def list_holds(
    restaurant: Annotated[UUID | None, typer.Option(help="Only this restaurant.")] = None,
    status: Annotated[str | None, typer.Option(help="Only these: held, confirmed, released or expired.")] = None,
    limit: LimitOption = 20,
    json: JsonOption = False,
) -> None:
    """List holds, newest first."""
    if status not in (None, "held", "confirmed", "released", "expired"):
        raise typer.BadParameter("one of: held, confirmed, released, expired", param_hint="--status")
    rows = _rows("list_holds", {"restaurant_id": restaurant, "status": status, "limit": limit})
    if json:
        print_json({"holds": rows})
    else:
        _print_rows(rows, ("id", "status", "table_count", "starts_at", "ends_at", "expires_at"), "No holds.")


@app.command()
def show(hold_id: HoldArgument, json: JsonOption = False) -> None:
    """Show everything about one hold."""
    rows = _rows("show_hold", {"hold_id": hold_id})
    if not rows:
        raise HoldNotFoundError(f"There is no hold {hold_id}.")
    if json:
        print_json(rows[0])
        return
    table = Table(show_header=False)
    for name, value in rows[0].items():
        table.add_row(name, _text(value))
    results.print(table)


@app.command()
def conflicts(limit: LimitOption = 100, json: JsonOption = False) -> None:
    """List double bookings: pairs of live windows of different bookings on one table. Exits 1 if there is any.

    Looks at the rows themselves, so that it also finds what was made while enforcement was off.
    """
    rows = _rows("double_bookings", {"limit": limit})
    if json:
        print_json({"double_bookings": rows})
    else:
        columns = ("table_id", "first_hold_id", "second_hold_id", "overlap_starts_at", "overlap_ends_at")
        _print_rows(rows, columns, "No double bookings.")
    if rows:
        raise typer.Exit(1)


@app.command()
def release(hold_id: HoldArgument) -> None:
    """Free the tables of a hold, confirmed or not. Repeating it is harmless."""
    with open_existing_database() as database, HoldClient.connect(database.url, max_connections=1) as client:
        hold = client.release(hold_id)
    typer.echo(f"The hold is {hold.status}.")


@app.command()
def sweep() -> None:
    """End the holds whose time is over. Safe beside itself, and beside whatever places holds."""
    with open_existing_database() as database, HoldClient.connect(database.url, max_connections=1) as client:
        count = client.expire()
    typer.echo(f"{count} {'hold' if count == 1 else 'holds'} expired.")


def _rows(name: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    with (
        open_existing_database() as database,
        connect(database.url) as connection,
        connection.cursor(row_factory=dict_row) as cursor,
    ):
        return cursor.execute(query(name), parameters).fetchall()


def _print_rows(rows: list[dict[str, Any]], columns: tuple[str, ...], nothing: str) -> None:
    if not rows:
        typer.echo(nothing)
        return
    # Ids are for copying: they may break over lines, never be cut.
    table = Table(*(Column(name, overflow="fold") for name in columns))
    for row in rows:
        table.add_row(*(_text(row[column]) for column in columns))
    results.print(table)


def _text(value: object) -> str:
    if value is None:
        return "-"
    if hasattr(value, "isoformat"):
        return str(value.isoformat(sep=" ", timespec="minutes").removesuffix("+00:00"))
    if isinstance(value, list):
        return "\n".join(str(entry) for entry in value)
    return str(value)
