"""``holdwatch metrics push``: series to Datadog."""

from __future__ import annotations

from itertools import groupby
from typing import Annotated

import typer
from rich.table import Column, Table

from dashboards.pushing.points import RESTAURANTS_VARIABLE, Series, body, read_series
from holds_core.database.connections import connect
from orchestration.cli.output import JsonOption, notes, print_json, results
from orchestration.cli.progress import open_database, working
from orchestration.cli.tables import print_table
from orchestration.errors import MissingExtraError


def push(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be sent, and send nothing.")] = False,
    restaurants: Annotated[
        bool,
        typer.Option(
            "--restaurants/--no-restaurants",
            envvar=RESTAURANTS_VARIABLE,
            help="Also each restaurant's own series: Datadog charges by the number of series.",
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Send what the views say now to Datadog. Sending it again changes nothing.

    Gauges are of this minute, counts of each whole minute of the last 55. DD_API_KEY holds the API key, DD_SITE the
    site (datadoghq.com unless set). Reads as analytics_reader.

    Example: holdwatch metrics push --dry-run

    Example: DD_API_KEY=… DD_SITE=datadoghq.eu holdwatch metrics push
    """
    try:
        from dashboards.pushing.datadog_api import DatadogSettings  # noqa: PLC0415  optional
        from dashboards.pushing.datadog_series import send_series  # noqa: PLC0415  optional
    except ModuleNotFoundError as error:
        raise MissingExtraError("dashboards", "Sending series to Datadog") from error
    # Before the database is asked, and not for a dry run, which needs no key.
    settings = None if dry_run else DatadogSettings.from_environ(with_app_key=False)
    with open_database(migrated=False) as database, connect(database.url) as connection, working("reading the views"):
        series = read_series(connection, restaurants=restaurants)
    if settings is not None:
        with working(f"sending to {settings.url}"):
            sent = send_series(settings, series)
        if json:
            print_json({"sent": True, "series": sent.series, "points": sent.points, "batches": sent.batches})
        else:
            calls = "one call" if sent.batches == 1 else f"{sent.batches} calls"
            typer.echo(f"{sent.series} series with {sent.points} points sent to {settings.url}, in {calls}.")
    elif json:
        print_json({"sent": False, "series": [body(one) for one in series]})
    else:
        _print_series(series)
        notes.print(f"{len(series)} series; nothing was sent.")


def _print_series(series: list[Series]) -> None:
    """Print the name of each metric, and its series below it: a name and its tags do not fit beside each other."""
    for (name, kind), of_metric in groupby(series, lambda one: (one.metric.name, one.metric.kind)):
        results.print(f"{name} ({kind.name.lower()})", style="bold")
        table = Table(Column("newest", justify="right"), Column("points", justify="right"), "tags", box=None)
        for one in of_metric:
            tags = " ".join(tag for tag in one.tags if not tag.startswith("service:"))
            table.add_row(f"{one.points[-1][1]:,g}", str(len(one.points)), tags)
        print_table(table)
