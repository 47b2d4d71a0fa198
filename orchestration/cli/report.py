"""``holdwatch report``: one HTML page for who has none of the tools."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from holds_core.database.connections import connect
from orchestration.cli.output import JsonOption, notes, print_json, results
from orchestration.cli.progress import open_database, working
from orchestration.paths import REPORT_FILE, state_dir

if TYPE_CHECKING:
    from dashboards.report import Report

_MARKS = {"met": "✓", "missed": "✕", "unknown": "?", "information": " "}


def report(
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            show_default="90 days ago",
            help="The first day, in UTC: 2030-05-17, now-30d; at most 90 days ago.",
        ),
    ] = None,
    environment: Annotated[
        str | None, typer.Option("--environment", help="The environment; default: the one whose holds are kept here.")
    ] = None,
    restaurant: Annotated[
        str | None, typer.Option("--restaurant", help="Only this restaurant, by its id; or (none). Default: all.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", dir_okay=False, show_default=".holdwatch/report.html", help="The file to write."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Write one HTML page that says whether tables were booked twice, with figures, goals and plots of 90 days.

    It is made to be sent to somebody who has none of the tools: it needs no network and no script, and prints well.
    Reads the views only, as analytics_reader, in one snapshot. A goal that is missed is reported and is no failure.

    Example: holdwatch report --from now-30d --output october.html
    """
    from dashboards.report import Wanted, make_report  # noqa: PLC0415  for this command alone

    _refuse_wrong_start(from_)
    restaurant = _restaurant_key(restaurant)
    path = state_dir() / REPORT_FILE if output is None else output.absolute()
    with open_database(migrated=False) as database, connect(database.url) as connection, working("reading the views"):
        made = make_report(connection, Wanted(from_, environment, restaurant))
    made.write(path)
    if json:
        print_json(made.as_dict() | {"file": str(path)})
        return
    print_report_summary(made, path)


def print_report_summary(made: Report, path: Path) -> None:
    """Print the answer, every figure with its goal if it has one, where the page is, and which days it is of."""
    results.print(f"{made.answer.first} {made.answer.second}", style="bold")
    for one in made.figures:
        goal = "" if one.goal is None else f"  (goal: {one.goal})"
        results.print(f"  {_MARKS[one.state]} {one.title}: {one.text}{goal}")
    typer.echo(path)
    days = made.evidence.days
    notes.print(f"{days[0].day} to {days[-1].day} (UTC) of {made.evidence.environment}; the page can be sent as it is.")


def _refuse_wrong_start(from_: str | None) -> None:
    from dashboards.preview.times import TimeRangeError  # noqa: PLC0415
    from dashboards.report.reading import ReportError, first_day  # noqa: PLC0415

    try:
        first_day(from_, datetime.now(UTC))
    except (TimeRangeError, ReportError) as error:
        raise typer.BadParameter(str(error), param_hint="--from") from None


def _restaurant_key(restaurant: str | None) -> str | None:
    """Return it as the views write it."""
    if restaurant in (None, "(none)"):
        return restaurant
    try:
        return str(UUID(restaurant))
    except ValueError:
        raise typer.BadParameter(
            f"{restaurant!r} is no restaurant's id (a UUID), and not (none).", param_hint="--restaurant"
        ) from None
