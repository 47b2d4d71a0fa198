"""``holdwatch doctor``: what is set up, what is wrong, how to mend it."""

from __future__ import annotations

from collections import Counter

import typer
from rich.table import Table
from rich.text import Text

from orchestration.cli.output import JsonOption, print_json, results
from orchestration.cli.progress import working
from orchestration.cli.tables import print_table
from orchestration.doctor import State, as_rows, examine

_STYLES = {
    State.OK: "green",
    State.WARNING: "yellow",
    State.FAILED: "bold red",
    State.SKIPPED: "dim",
    State.NOT_INSTALLED: "dim",
}


def doctor(json: JsonOption = False) -> None:
    """Say what is set up, what is wrong, and how to mend it. Starts nothing and changes nothing.

    Exits 1 if anything is wrong; warnings are shown and do not count.

    Example: holdwatch doctor
    """
    with working("looking at everything"):
        diagnoses = examine()
    failed = [one for one in diagnoses if one.state is State.FAILED]
    if json:
        print_json({"is_well": not failed, "checks": as_rows(diagnoses)})
    else:
        table = Table("check", "", "found, and what to do", box=None, pad_edge=False)
        for one in diagnoses:
            found = f"{one.found}\n→ {one.remedy}" if one.remedy else one.found
            table.add_row(one.check, Text(one.state, style=_STYLES[one.state]), found)
        print_table(table)
        skipped = Counter(one.remedy for one in diagnoses if one.state is State.SKIPPED)
        for remedy, count in skipped.items():
            results.print(f"{count} {'check was' if count == 1 else 'checks were'} skipped. {remedy}")
    if failed:
        raise typer.Exit(1)
