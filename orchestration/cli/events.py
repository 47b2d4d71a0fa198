"""``holdwatch events``: event files in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from holds_core.database.connections import connect
from holds_core.events.errors import EventImportError
from holds_core.events.importer import ImportReport, import_file
from holds_core.events.readers import open_reader
from holds_core.events.spool import REJECTED, default_spool
from orchestration.cli.output import JsonOption, notes, print_json, results
from orchestration.database import open_database, open_existing_database

app = typer.Typer(no_args_is_help=True, help="Events: from files, and from the spool, into the database.")


@app.command("import")
def import_(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help=".jsonl, .jsonl.gz, .csv or .parquet")],
    json: JsonOption = False,
) -> None:
    """Import events. Repeating an import is harmless; what cannot be imported goes to FILE.rejected.jsonl."""
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
def drain(json: JsonOption = False) -> None:
    """Bring the events that wait in this machine's spool into the database.

    Clients do it by themselves once the database is back; this is for those that ended before. Harmless to repeat.
    """
    spool = default_spool()
    with open_existing_database() as database, connect(database.url) as connection:
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
    files = [{"file": report.path, **_totals([report]), "rejects_file": report.rejects_path} for report in reports]
    return {**_totals(reports), "files": files}


def _print_table(reports: list[ImportReport]) -> None:
    table = Table("file", box=None, pad_edge=False)
    for name in _totals(reports):
        table.add_column(name, justify="right")
    for report in reports:
        table.add_row(report.path.name, *(f"{count:,}" for count in _totals([report]).values()))
    if len(reports) > 1:
        table.add_row("all", *(f"{count:,}" for count in _totals(reports).values()), style="bold")
    results.print(table)
    for report in reports:
        if report.rejects_path is not None:
            typer.echo(
                f"\n{report.rejected:,} rejected, each with its reason: {report.rejects_path}\n"
                "Mend what is under `line` there, put it into a file of the same kind as it came from, and import that."
            )
