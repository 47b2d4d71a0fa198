"""``holdwatch holds``: look at holds, find double bookings, extend, move, release, sweep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import typer
from psycopg.rows import dict_row
from rich.table import Table

from holds_core import Hold, HoldClient, HoldNotFoundError
from holds_core.database.connections import connect
from holds_core.database.queries import query
from holds_core.events.spool import default_spool
from holds_core.sweeper import sweep_holds
from orchestration.cli import completion
from orchestration.cli.durations import read_since
from orchestration.cli.output import JsonOption, print_json, say_left_out
from orchestration.cli.progress import open_existing_database, working
from orchestration.cli.tables import print_facts, print_table

app = typer.Typer(no_args_is_help=True, help="Look at holds, find double bookings, extend, move, release.")

HoldStatus = Literal["held", "confirmed", "released", "expired"]
LimitOption = Annotated[int, typer.Option(min=1, help="At most this many rows.")]
HoldArgument = Annotated[UUID, typer.Argument(help="The hold's id.")]


@app.command("list")
def list_holds(
    restaurant: Annotated[
        UUID | None, typer.Option(help="Only this restaurant.", autocompletion=completion.restaurants)
    ] = None,
    status: Annotated[HoldStatus | None, typer.Option(help="Only these.")] = None,
    limit: LimitOption = 20,
    json: JsonOption = False,
) -> None:
    """List holds, newest first.

    Example: holdwatch holds list --status confirmed --limit 50
    """
    rows, has_more = _rows_within(limit, "list_holds", {"restaurant_id": restaurant, "status": status})
    if json:
        print_json({"holds": rows, "has_more": has_more})
    else:
        _print_rows(rows, ("id", "status", "table_count", "starts_at", "ends_at", "expires_at"), "No holds.")
        say_left_out(None if has_more else 0, "holds")


@app.command()
def show(hold_id: HoldArgument, json: JsonOption = False) -> None:
    """Show everything about one hold.

    Example: holdwatch holds show 0d4a6a7e-0c4f-4b6e-9f0e-4c1f6f0a2b11
    """
    rows = _rows("show_hold", {"hold_id": hold_id})
    if not rows:
        raise HoldNotFoundError(f"There is no hold {hold_id}.")
    if json:
        print_json(rows[0])
        return
    print_facts((name, _text(value)) for name, value in rows[0].items())


@app.command()
def conflicts(
    since: Annotated[
        datetime | None,
        typer.Option(
            parser=read_since,
            metavar="24h",
            help="Also pairs that have ended, made since then: 24h, yesterday, or a date or time (UTC).",
        ),
    ] = None,
    limit: LimitOption = 100,
    json: JsonOption = False,
) -> None:
    """List double bookings: overlapping windows of different bookings on one table. Exits 1 if there is any.

    Looks at the rows themselves, so that it also finds what was made while enforcement was off. Whose overlap begins
    first comes first: who is to be called, and how soon. Live pairs are always listed, whenever they were made.

    Example: holdwatch holds conflicts --since 24h
    """
    rows, has_more = _rows_within(limit, "double_bookings", {"since": since})
    if json:
        print_json({"double_bookings": rows, "has_more": has_more})
    else:
        if rows:
            _print_pairs(rows, with_ended=since is not None)
        else:
            typer.echo("No double bookings.")
        say_left_out(None if has_more else 0, "double bookings")
    if rows:
        raise typer.Exit(1)


@app.command()
def extend(
    hold_id: HoldArgument,
    minutes: Annotated[float, typer.Option(min=0.1, max=1440, help="How long it lasts from now, at least.")] = 5,
    json: JsonOption = False,
) -> None:
    """Let a hold last longer. A confirmed one lasts anyway; one that is over stays over.

    Example: holdwatch holds extend 0d4a6a7e-0c4f-4b6e-9f0e-4c1f6f0a2b11 --minutes 10
    """
    with _client() as client:
        hold = client.extend(hold_id, timedelta(minutes=minutes))
    if json:
        print_json(asdict(hold))
        return
    typer.echo(f"The hold is {hold.status}, {_lasts(hold)}.")


@app.command()
def move(
    hold_id: HoldArgument,
    table: Annotated[list[UUID] | None, typer.Option(help="The tables it gets; repeat it for several.")] = None,
    starts_at: Annotated[datetime | None, typer.Option(help="When its window starts, UTC.")] = None,
    ends_at: Annotated[datetime | None, typer.Option(help="When its window ends, UTC.")] = None,
    json: JsonOption = False,
) -> None:
    """Move a hold, confirmed or not, to other tables or another window: all of it, or nothing.

    Example: holdwatch holds move 0d4a6a7e-0c4f-4b6e-9f0e-4c1f6f0a2b11 --starts-at 2030-01-31T18:30:00
    """
    if table is None and starts_at is None and ends_at is None:
        raise typer.BadParameter("say where to: --table, --starts-at, --ends-at")
    with _client() as client:
        hold = client.move(
            hold_id,
            table_ids=table,
            starts_at=None if starts_at is None else starts_at.replace(tzinfo=UTC),
            ends_at=None if ends_at is None else ends_at.replace(tzinfo=UTC),
        )
    if json:
        print_json(asdict(hold))
        return
    typer.echo(
        f"The hold is {hold.status}, {_lasts(hold)}, from {_text(hold.starts_at)} to {_text(hold.ends_at)} UTC on:"
    )
    for table_id in hold.table_ids:
        typer.echo(str(table_id))


@app.command()
def release(hold_id: HoldArgument, json: JsonOption = False) -> None:
    """Free the tables of a hold, confirmed or not. Repeating it is harmless.

    Example: holdwatch holds release 0d4a6a7e-0c4f-4b6e-9f0e-4c1f6f0a2b11
    """
    with _client() as client:
        hold = client.release(hold_id)
    if json:
        print_json(asdict(hold))
        return
    typer.echo(f"The hold is {hold.status}.")


@app.command()
def sweep(json: JsonOption = False) -> None:
    """End the holds whose time is over, and record double bookings that nobody has recorded yet.

    Also makes the partitions for the events of the next 14 days, and stores what waits in the spool: all that has to
    run beside the holds core. A login with the role holds_app may do it. Safe beside itself, and beside whatever places
    holds. The schedule of `holdwatch up` does it every minute.

    Example: holdwatch holds sweep
    """
    with (
        open_existing_database() as database,
        connect(database.url) as connection,
        working("ending holds and looking for double bookings"),
    ):
        report = sweep_holds(connection, default_spool(database.url))
    if json:
        print_json(asdict(report))
        return
    typer.echo(
        f"{report.expired} holds expired, {report.double_bookings} new double bookings, "
        f"{report.drained} events drained from the spool."
    )
    if report.partitions:
        typer.echo(
            f"Made room for the events of {report.partitions} days; {report.readmitted} came out of quarantine for it."
        )
    if report.ended_flag_changes or report.flag_contradictions:
        typer.echo(
            f"{report.ended_flag_changes} changes of flags ended; {report.flag_contradictions} unsafe combinations of "
            "flags stand: holdwatch flags audit"
        )


@contextmanager
def _client() -> Iterator[HoldClient]:
    with (
        open_existing_database() as database,
        HoldClient.connect(database.url, max_connections=1) as client,
    ):
        yield client


def _lasts(hold: Hold) -> str:
    return "lasting" if hold.expires_at is None else f"until {_text(hold.expires_at)} UTC"


def _rows(name: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    with (
        open_existing_database() as database,
        connect(database.url) as connection,
        connection.cursor(row_factory=dict_row) as cursor,
        working("asking the database"),
    ):
        return cursor.execute(query(name), parameters).fetchall()


def _rows_within(limit: int, name: str, parameters: dict[str, Any]) -> tuple[list[dict[str, Any]], bool]:
    """Return at most so many rows, and whether there are more: to count them might take a look at millions."""
    rows = _rows(name, parameters | {"limit": limit + 1})
    return rows[:limit], len(rows) > limit


def _print_rows(rows: list[dict[str, Any]], columns: tuple[str, ...], nothing: str) -> None:
    if not rows:
        typer.echo(nothing)
        return
    table = Table(*columns)
    for row in rows:
        table.add_row(*(_text(row[column]) for column in columns))
    print_table(table)


def _print_pairs(rows: list[dict[str, Any]], *, with_ended: bool) -> None:
    """Print double bookings: first whom to call and how soon, then what there is to move."""
    table = Table("whose", "overlap", "table_id", "first_hold_id", "second_hold_id")
    if with_ended:
        table.add_column("state")
    for row in rows:
        overlap = f"{_text(row['overlap_starts_at'])} to {_text(row['overlap_ends_at'])} UTC"
        ids = (str(row[column]) for column in ("table_id", "first_hold_id", "second_hold_id"))
        state = ["live" if row["is_live"] else "has ended"] if with_ended else []
        table.add_row(f"restaurant {row['restaurant_id']}", overlap, *ids, *state)
    print_table(table)


def _text(value: object) -> str:
    if value is None:
        return "-"
    if hasattr(value, "isoformat"):
        return str(value.isoformat(sep=" ", timespec="minutes").removesuffix("+00:00"))
    if isinstance(value, list):
        return "\n".join(str(entry) for entry in value)
    return str(value)
