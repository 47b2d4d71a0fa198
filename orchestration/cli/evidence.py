"""``holdwatch evidence``: every promise verified by running it."""

from __future__ import annotations

import os
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from holds_core.database.connections import connect
from holds_core.database.migrations import stored_environment
from orchestration.cli.output import JsonOption, notes, print_json, results
from orchestration.cli.progress import open_database
from orchestration.cli.soak import refuse_prod
from orchestration.cli.tables import print_table
from orchestration.evidence.page import Setting, page
from orchestration.evidence.verify import Verification, verify
from orchestration.paths import PROJECT_ROOT, state_dir

DOCS_PAGE = PROJECT_ROOT / "docs" / "verification.md"


def evidence(
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out what takes minutes: the large soak, and drills of alerts.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", dir_okay=False, show_default=".holdwatch/verification.md", help="The file to write."),
    ] = None,
    docs: Annotated[bool, typer.Option("--docs", help="Write docs/verification.md of this checkout.")] = False,
    json: JsonOption = False,
) -> None:
    """Verify what is promised, by running it, and write down what was found.

    Soaks, drills, the pipeline and the tests of the cases at the edge, on the database that is open: some ten minutes,
    or two with --quick. Never in prod. Exits 1 if anything is not as promised.

    Example: holdwatch evidence --quick
    """
    if docs and (quick or output is not None):
        other = "--quick, which leaves some of it out" if quick else "--output: it is written to docs/verification.md"
        raise typer.BadParameter(f"not together with {other}", param_hint="--docs")
    began = datetime.now(UTC)
    # Held open meanwhile, so that each command finds the server up.
    with open_database() as database:
        refuse_prod(database, allowed=False, what="The verification")
        with connect(database.url) as connection:
            server = connection.info.parameter_status("server_version") or ""
            environment = stored_environment(connection) or database.environment
        with notes.status("beginning") as status:
            found = verify(with_long=not quick, on_begin=status.update)
    setting = Setting(began, version("holdwatch"), server, os.cpu_count() or 1, str(environment))
    target = DOCS_PAGE if docs else output or state_dir() / "verification.md"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page(setting, found, in_docs=docs), "utf-8")
    if json:
        print_json(
            {
                "is_met": not found.missed,
                "file": str(target),
                "setting": asdict(setting),
                "promises": [asdict(one) for one in found.promises],
                "cases": [asdict(one) for one in found.cases],
                "left_out": found.left_out,
            }
        )
    else:
        _print(found)
        results.print(f"Written: {target}", soft_wrap=True)
    if found.missed:
        raise typer.Exit(1)


def _print(found: Verification) -> None:
    table = Table("promise", "met", "found")
    for one in (*found.promises, *(case for case in found.cases if not case.finding.is_met)):
        table.add_row(one.claim, "yes" if one.finding.is_met else "NO", one.finding.said)
    print_table(table)
    if found.cases:
        met = sum(case.finding.is_met for case in found.cases)
        results.print(f"{met} of {len(found.cases)} cases at the edge are as they should be.")
    for claim in found.left_out:
        results.print(f"Left out: {claim}", markup=False)
