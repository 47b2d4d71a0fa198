"""``holdwatch dashboards``: generate the files that ops load, and check them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

import dashboards
from dashboards.files import DASHBOARDS_DIR
from holds_core.database.connections import connect
from orchestration.cli.output import JsonOption, notes, print_json, results
from orchestration.database import open_database
from orchestration.paths import PROJECT_ROOT

if TYPE_CHECKING:
    from dashboards.checks import Finding

app = typer.Typer(no_args_is_help=True, help="The Grafana dashboards and Datadog monitors: generate and check.")

RUNBOOKS_DIR = PROJECT_ROOT / "docs" / "runbooks"

DirectoryOption = Annotated[
    Path | None,
    typer.Option("--directory", file_okay=False, help="The folder with grafana/ and datadog/; default: the project's."),
]


@app.command()
def build(directory: DirectoryOption = None, json: JsonOption = False) -> None:
    """Generate the dashboards and monitors. Files that are right already are not touched."""
    changed = dashboards.differences(directory)
    paths = dashboards.write(directory)
    if json:
        print_json({"files": [str(path) for path in paths], "changed": changed})
        return
    table = Table(Column("file", overflow="fold"), Column("bytes", justify="right"), box=None)
    target = DASHBOARDS_DIR if directory is None else directory
    for path in paths:
        table.add_row(path.relative_to(target).as_posix(), str(path.stat().st_size))
    results.print(f"Files in {target}:", table)
    notes.print(f"{len(paths)} files are up to date; {len(changed)} changed." if changed else "Nothing had changed.")


@app.command()
def check(
    directory: DirectoryOption = None,
    queries: Annotated[
        bool, typer.Option("--queries/--no-queries", help="Also run every panel's SQL on the database, read-only.")
    ] = True,
    json: JsonOption = False,
) -> None:
    """Check the files: current, sound, and every query runs. Exits 1 if anything is found."""
    from dashboards.checks import QueryReport, check_files, load, run_queries  # noqa: PLC0415  slow to import

    target = DASHBOARDS_DIR if directory is None else directory
    runbooks = RUNBOOKS_DIR if RUNBOOKS_DIR.is_dir() else None
    if runbooks is None:
        notes.print("SKIPPED runbook links: docs/runbooks is not here.")
    findings = check_files(target, runbooks)
    report = QueryReport((), ())
    if queries:
        notes.print("Running the queries ...")
        with open_database(migrated=False) as database, connect(database.url) as connection:
            report = run_queries(connection, load(target, "grafana")[0])
        findings += report.findings
    if json:
        print_json(
            {
                "findings": [vars(finding) for finding in findings],
                "queries_run": len(report.runs),
                "empty_under_all": report.empty_under_all,
            }
        )
    else:
        _print_findings(findings)
        for place in report.empty_under_all:
            notes.print(f"Nothing to show yet: {place}")
        counted = "1 finding" if len(findings) == 1 else f"{len(findings)} findings"
        notes.print(f"{counted}; {len(report.runs)} queries ran.")
    if findings:
        raise typer.Exit(1)


def _print_findings(findings: list[Finding]) -> None:
    if not findings:
        return
    table = Table(*(Column(name, overflow="fold") for name in ("where", "problem", "remedy")), box=None)
    for finding in findings:
        where = f"{finding.file}, {finding.place}" if finding.place else finding.file
        table.add_row(where, f"{finding.problem} ({finding.check})", finding.remedy)
    results.print(table)
