"""``holdwatch events``: files in and out, another database's events, made-up histories, the spool."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from holds_core.database.connections import connect
from holds_core.database.settings import RETENTION_DAYS, Environment, Settings
from holds_core.errors import HoldsError, SettingsError
from holds_core.events.errors import EventImportError
from holds_core.events.export import as_json, export_events
from holds_core.events.importer import ImportReport, import_file
from holds_core.events.readers import open_reader
from holds_core.events.record import Event, record_event
from holds_core.events.spool import REJECTED, EventSpool, default_spool
from holds_core.events.sync import SyncReport, sync_events
from holds_core.events.types import EventType
from orchestration.cli.acting import checked_url
from orchestration.cli.import_notices import notice_sentences
from orchestration.cli.output import JsonOption, notes, print_json, results
from orchestration.cli.progress import open_database, open_existing_database, working
from orchestration.cli.tables import print_table
from orchestration.errors import MissingExtraError
from orchestration.paths import state_dir

_LONGEST_TEXT = 200
"""Characters of what somebody says; more has no place beside a line in a dashboard."""

app = typer.Typer(no_args_is_help=True, help="Events: in from files, another database or the spool; out to files.")


@app.command("import")
def import_(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help=".jsonl, .jsonl.gz, .csv or .parquet")],
    json: JsonOption = False,
) -> None:
    """Import events. Repeating an import is harmless; what cannot be imported goes to FILE.rejected.jsonl.

    Example: holdwatch events import events-2030-01.jsonl.gz events-2030-02.parquet
    """
    for file in files:
        # A file that cannot be read at all stops the whole call before any other is imported.
        with open_reader(file):
            pass
    reports: list[ImportReport] = []
    with open_database() as database, connect(database.url) as connection:
        for file in files:
            try:
                with _progress(file) as on_progress:
                    report = import_file(
                        connection,
                        file,
                        environment=database.environment.value,
                        on_progress=on_progress,
                        on_interrupt=lambda report: _say_what_was_done([*reports, report]),
                    )
            except EventImportError:
                _say_what_was_done(reports)
                raise
            reports.append(report)
    if json:
        print_json(_as_object(reports))
    else:
        _print_table(reports)


@app.command()
def generate(
    events: Annotated[int, typer.Option(min=1, max=100_000_000, help="how many events to make up")] = 100_000,
    days: Annotated[int, typer.Option(min=1, max=RETENTION_DAYS, help="over how many days, up to --until")] = 90,
    restaurants: Annotated[int, typer.Option(min=1, max=100_000, help="of how many restaurants")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="another seed, another history")] = 1,
    until: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="where the history ends, in UTC; now unless given"
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Make up a history of events that looks real: rush hours, incidents, heavy tails, late events.

    The same options make the same events, and a second time changes nothing; name --until for that. Not for a database
    that serves prod.

    Example: holdwatch events generate --events 1000000 --days 90
    """
    ends = datetime.now(UTC) if until is None else until.replace(tzinfo=UTC)
    if ends > datetime.now(UTC):
        raise typer.BadParameter("it lies ahead; a history ends now at the latest.", param_hint="--until")
    if ends < datetime.now(UTC) - timedelta(days=RETENTION_DAYS - days, hours=1):
        raise typer.BadParameter(
            f"the history would begin more than {RETENTION_DAYS} days ago, before what the database keeps.",
            param_hint="--days",
        )
    if find_spec("numpy") is None:
        raise MissingExtraError("pipeline", "Making up a history")
    from orchestration.history import History, write_history  # noqa: PLC0415  numpy is of the extra

    started = time.monotonic()
    with open_database() as database, connect(database.url) as connection:
        if database.environment is Environment.PROD:
            raise SettingsError("This database serves prod: made-up events have no place among real ones.")
        history = History(events, days, ends, seed, restaurants, database.environment.value)
        with _generating(events) as on_progress:
            result = write_history(connection, history, on_progress)
        (has_views,) = connection.execute(
            "select to_regclass('analytics.assignment_success_rate') is not null"
        ).fetchone() or (False,)
    seconds = time.monotonic() - started
    if json:
        print_json({"imported": result.imported, "duplicates": result.duplicates, "seconds": round(seconds, 1)})
        return
    typer.echo(
        f"{result.imported:,} events imported, {result.duplicates:,} were there already, in {seconds:.0f} s "
        f"({(result.imported + result.duplicates) / seconds:,.0f} a second)."
    )
    if not has_views:
        typer.echo("There are no views yet; `holdwatch pipeline run` builds them.")
        return
    typer.echo(
        "The views show them at once; `holdwatch pipeline run` rolls them up, which makes the views quick, and brings "
        "restaurants_over_90_days up to date, the only one that is a table."
    )


@app.command()
def export(
    directory: Annotated[Path, typer.Argument(help="where the files go: empty, new, or of an earlier export")],
    json: JsonOption = False,
) -> None:
    """Write all events to Parquet files, one folder per UTC day, as of one moment.

    A second time writes only the days that events have come in for since. Whole days are replaced.

    Example: holdwatch events export /data/events
    """
    with open_existing_database() as database, connect(database.url) as connection, _exporting() as on_day:
        report = export_events(connection, directory, on_day=on_day)
    if json:
        print_json(as_json(report))
        return
    typer.echo(f"{report.events:,} events of {len(report.days_written)} days written to {directory}.")
    if report.days_removed:
        typer.echo(f"{len(report.days_removed)} days removed that have no events any more.")


@app.command()
def sync(
    source: Annotated[
        str,
        typer.Option(
            "--from", envvar="HOLDWATCH_SYNC_URL", help="the other database's URL; the variable keeps it out of sight"
        ),
    ],
    table: Annotated[
        str, typer.Option(help="its table of events", envvar="HOLDWATCH_SYNC_TABLE")
    ] = "holds.observability_events",
    overlap_minutes: Annotated[
        int, typer.Option(min=0, help="how far back it is looked at again, where the table has only times")
    ] = 60,
    json: JsonOption = False,
) -> None:
    """Bring what has come into another database's event table here, since the last time.

    That database is only read. Repeating it is harmless, and broken off it goes on where it was.

    Example: holdwatch events sync --from postgresql://reader@db.example/postgres --table public.observability_events
    """
    checked_url(source, "--from")
    with open_database() as database, connect(database.url) as connection, _syncing() as on_progress:
        report = sync_events(
            connection,
            source,
            rejects_directory=state_dir() / "sync",
            environment=database.environment.value,
            table=table,
            overlap=timedelta(minutes=overlap_minutes),
            on_progress=on_progress,
        )
    if json:
        print_json({**asdict(report), "rejects_path": report.rejects_path and str(report.rejects_path)})
        return
    typer.echo(
        f"{report.source}: {report.imported:,} imported, {report.duplicates:,} were here already, "
        f"{report.rejected:,} rejected."
    )
    if report.rejects_path is not None:
        typer.echo(f"The rejected ones, each with its reason: {report.rejects_path}")


@app.command()
def deployed(
    version: Annotated[str, typer.Option(help="What was deployed, for example 2026.11.3 or a commit.")],
    service: Annotated[str | None, typer.Option(help="Which service, where there are several.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why, or where to read about it.")] = None,
    by: Annotated[str | None, typer.Option(help="Who or what deployed it, for example the name of the job.")] = None,
    json: JsonOption = False,
) -> None:
    """Record that a deployment has ended, so that the dashboards mark it. For the last step of a CI/CD job.

    A login of the role holds_app will do: holdwatch db grant holds_app ci

    Example: holdwatch events deployed --version 2026.11.3 --service selector --by "release job 1234"
    """
    said = {"version": version, "service": service, "reason": reason, "deployedBy": by}
    for key, text in said.items():
        if text is not None and not 0 < len(text.strip()) <= _LONGEST_TEXT:
            option = "--by" if key == "deployedBy" else f"--{key}"
            raise typer.BadParameter(f"say it in 1 to {_LONGEST_TEXT} characters.", param_hint=option)
    context = {key: text.strip() for key, text in said.items() if text is not None}
    event = Event(event_type=EventType.DEPLOY_FINISHED, source="deploy", context=context)
    # A login of the role holds_app does: no more is asked of the database than to record the event.
    is_embedded = Settings.from_environ().database_url is None
    with open_database(migrated=is_embedded) as database, connect(database.url) as connection:
        if not record_event(connection, event):
            raise HoldsError("The database refused the event; its log says why. The deployment itself is untouched.")
    if json:
        print_json({"id": str(event.id), "occurred_at": event.occurred_at.isoformat(), **context})
        return
    what = " ".join(filter(None, (context.get("service"), context["version"])))
    typer.echo(f"Recorded: {what} was deployed.")


@app.command()
def drain(
    spool_folder: Annotated[
        Path | None,
        typer.Option(
            "--spool",
            exists=True,
            file_okay=False,
            help="Another folder of events that belong to this database: of another address of it, or of a release "
            "that had one folder for all databases.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Bring the events that wait for the database on this machine into it.

    Clients do it by themselves once the database is back; this is for those that ended before. Harmless to repeat.

    Example: holdwatch events drain
    """
    with open_existing_database() as database, connect(database.url) as connection, working("draining the spool"):
        spool = default_spool(database.url) if spool_folder is None else EventSpool(spool_folder)
        report = spool.drain(connection)
    if json:
        print_json({"directory": str(spool.directory), **asdict(report)})
        return
    typer.echo(f"{report.drained} events drained from {spool.directory}.")
    if report.postponed:
        typer.echo(
            f"{report.postponed} wait on: the database refuses them for now, for example since their table is locked."
        )
    if report.rejected:
        typer.echo(f"{report.rejected} rejected, each with its reason: {spool.directory / REJECTED}")


@contextmanager
def _exporting() -> Iterator[Callable[[date, int, int], None]]:
    """Show which day is being written, where standard error is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=notes, transient=True, disable=not notes.is_terminal) as progress:
        task = progress.add_task("days", total=None)
        yield lambda day, number, total: progress.update(task, description=f"{day}", completed=number, total=total)


@contextmanager
def _syncing() -> Iterator[Callable[[SyncReport], None]]:
    """Show how many events have come, where standard error is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=notes, transient=True, disable=not notes.is_terminal) as progress:
        task = progress.add_task("reading", total=None)
        yield lambda report: progress.update(task, description=f"{report.imported + report.duplicates:,} events")


@contextmanager
def _generating(events: int) -> Iterator[Callable[[int], None]]:
    """Show how many events are written, where standard error is a terminal."""
    columns = (TextColumn("events"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=notes, transient=True, disable=not notes.is_terminal) as progress:
        task = progress.add_task("events", total=events)
        yield lambda written: progress.update(task, completed=written)


@contextmanager
def _progress(file: Path) -> Iterator[Callable[[int], None]]:
    """Show how far into the file the import is, where standard error is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=notes, transient=True, disable=not notes.is_terminal) as progress:
        task = progress.add_task(file.name, total=file.stat().st_size)
        yield lambda bytes_read: progress.update(task, completed=bytes_read)


def _say_what_was_done(reports: list[ImportReport]) -> None:
    """Say what stays although the import ended early."""
    for report in reports:
        notes.print(f"{report.path}: {report.summary()}.", soft_wrap=True, markup=False)
    if reports:
        notes.print("That stays; repeating the import is harmless.")


def _totals(reports: list[ImportReport]) -> dict[str, int]:
    return {
        name: sum(getattr(report, name) for report in reports)
        for name in ("read", "imported", "duplicates", "rejected")
    }


def _as_object(reports: list[ImportReport]) -> dict[str, Any]:
    files = [
        {
            "file": report.path,
            **_totals([report]),
            "rejects_file": report.rejects_path,
            "notices": report.notices.as_dict(),
        }
        for report in reports
    ]
    return {**_totals(reports), "files": files}


def _print_table(reports: list[ImportReport]) -> None:
    table = Table("file", box=None, pad_edge=False)
    for name in _totals(reports):
        table.add_column(name, justify="right")
    for report in reports:
        table.add_row(report.path.name, *(f"{count:,}" for count in _totals([report]).values()))
    if len(reports) > 1:
        table.add_row("all", *(f"{count:,}" for count in _totals(reports).values()), style="bold")
    print_table(table)
    for report in reports:
        if sentences := notice_sentences(report.notices):
            typer.echo(f"\n{report.path.name}:")
            for sentence in sentences:
                typer.echo(f"- {sentence}")
        if report.rejects_path is not None:
            results.print(
                f"\n{report.rejected:,} rejected, each with its reason: {report.rejects_path}\n"
                "Mend what is under `line` there, put it into a file of the same kind as it came from, and import that."
            )
