"""``holdwatch dashboards``: generate the files that ops load, and check them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from rich.table import Column, Table

import dashboards
from dashboards.checks import CHECKS, Check, CheckResult, Material
from dashboards.checks.check import counted
from dashboards.files import DASHBOARDS_DIR
from holds_core.database.connections import connect
from orchestration.cli.dashboards_push import push
from orchestration.cli.output import JsonOption, notes, print_json, results
from orchestration.cli.preview import preview
from orchestration.cli.progress import open_database, working
from orchestration.cli.tables import print_beside, print_table
from orchestration.paths import PROJECT_ROOT

app = typer.Typer(
    no_args_is_help=True, help="What Grafana, Datadog and Prometheus load: generate, check, draw and push."
)
app.command()(preview)

RUNBOOKS_DIR = PROJECT_ROOT / "docs" / "runbooks"
SCHEMAS_DIR = PROJECT_ROOT.parent / "shared" / "schemas"
"""The published descriptions of the formats lie beside the checkout: they are others' work, and large."""

_NAME_WIDTH = max(len(one.name) for one in CHECKS)

DirectoryOption = Annotated[
    Path | None,
    typer.Option("--directory", file_okay=False, help="The folder with grafana/ and datadog/; default: the project's."),
]


@app.command()
def build(directory: DirectoryOption = None, json: JsonOption = False) -> None:
    """Generate the dashboards and monitors. Files that are right already are not touched.

    Example: holdwatch dashboards build --directory build/dashboards
    """
    with working("generating"):
        changed = dashboards.differences(directory)
        paths = dashboards.write(directory)
    if json:
        print_json({"files": [str(path) for path in paths], "changed": changed})
        return
    table = Table("file", Column("bytes", justify="right"), box=None, pad_edge=False)
    target = DASHBOARDS_DIR if directory is None else directory
    for path in paths:
        table.add_row(path.relative_to(target).as_posix(), str(path.stat().st_size))
    results.print(f"Files in {target}:")
    print_table(table)
    notes.print(f"{len(paths)} files are up to date; {len(changed)} changed." if changed else "Nothing had changed.")


@app.command()
def check(
    directory: DirectoryOption = None,
    queries: Annotated[
        bool, typer.Option("--queries/--no-queries", help="Also run every query on the database, read-only.")
    ] = True,
    only: Annotated[
        list[str] | None, typer.Option(metavar="CHECK", help="Only this check; give it again for another one.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Also fail where a check is skipped.")] = False,
    schemas: Annotated[
        Path,
        typer.Option(
            envvar="HOLDWATCH_SCHEMAS",
            file_okay=False,
            show_default="../shared/schemas",
            help="The folder with the published descriptions of the formats.",
        ),
    ] = SCHEMAS_DIR,
    json: JsonOption = False,
) -> None:
    """Check the files: current, sound, and every query runs. Exits 1 if anything is found.

    A check that lacks a tool is SKIPPED, and says what installs it.

    Example: holdwatch dashboards check --no-queries
    """
    chosen = _chosen(CHECKS, only, queries)
    done: list[tuple[Check, CheckResult]] = []
    with _connection(any(one.needs_database for one in chosen)) as connection:
        material = Material(
            directory=DASHBOARDS_DIR if directory is None else directory.absolute(),
            runbooks=RUNBOOKS_DIR if RUNBOOKS_DIR.is_dir() else None,
            schemas=schemas if schemas.is_dir() else None,
            connection=connection,
        )
        for one in chosen:
            with working(f"checking {one.name}"):
                result = one.run(material)
            done.append((one, result))
            if not json:
                _print_result(one, result)
    found = sum(len(result.findings) for _, result in done)
    skipped = sum(result.skipped is not None for _, result in done)
    is_ok = not found and not (strict and skipped)
    if json:
        print_json({"is_ok": is_ok, "checks": [_as_json(*one) for one in done]})
    else:
        notes.print(f"{counted(found, 'finding')}; {counted(len(done) - skipped, 'check')} ran, {skipped} skipped.")
    if not is_ok:
        raise typer.Exit(1)


def _chosen(checks: Sequence[Check], only: list[str] | None, queries: bool) -> list[Check]:
    if unknown := sorted(set(only or []) - {one.name for one in checks}):
        names = ", ".join(one.name for one in checks)
        raise typer.BadParameter(f"there is no check {unknown[0]!r}; there are: {names}", param_hint="--only")
    chosen = [one for one in checks if (not only or one.name in only) and (queries or not one.needs_database)]
    if not chosen:
        raise typer.BadParameter("it leaves no check to run", param_hint="--no-queries")
    return chosen


@contextmanager
def _connection(is_needed: bool) -> Iterator[psycopg.Connection[Any] | None]:
    if not is_needed:
        yield None
        return
    with open_database(migrated=False) as database, connect(database.url) as connection:
        yield connection


def _print_result(one: Check, result: CheckResult) -> None:
    if result.skipped is not None:
        said, what = "SKIPPED", f"{result.skipped.reason} To run it: {result.skipped.install}"
    elif result.findings:
        said, what = "FOUND", f"{counted(len(result.findings), 'finding')} in {result.looked_at}"
    else:
        said, what = "ok", f"{result.looked_at}: {one.purpose}"
    print_beside(f"{one.name:<{_NAME_WIDTH}} {said}", what, _NAME_WIDTH + 10)
    for finding in result.findings:
        results.print(f"  {finding}")
    for note in result.notes:
        notes.print(f"  {note}")


def _as_json(one: Check, result: CheckResult) -> dict[str, Any]:
    outcome = "skipped" if result.skipped is not None else "findings" if result.findings else "ok"
    return {"name": one.name, "purpose": one.purpose, "outcome": outcome} | asdict(result)


app.command()(push)
