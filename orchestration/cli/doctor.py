"""``holdwatch doctor``: what is set up, what is wrong, how to mend it."""

from __future__ import annotations

import typer
from rich.table import Column, Table
from rich.text import Text

from orchestration.cli.output import JsonOption, print_json, results
from orchestration.doctor import State, as_rows, examine

_STYLES = {State.OK: "green", State.WARNING: "yellow", State.FAILED: "bold red", State.SKIPPED: "dim"}


def doctor(json: JsonOption = False) -> None:
    """Say what is set up, what is wrong, and how to mend it. Starts nothing and changes nothing.

    Exits 1 if anything is wrong; warnings are shown and do not count.

    Example: holdwatch doctor
    """
    diagnoses = examine()
    failed = [one for one in diagnoses if one.state is State.FAILED]
    if json:
        print_json({"is_well": not failed, "checks": as_rows(diagnoses)})
    else:
        table = Table("check", "", *(Column(name, overflow="fold") for name in ("found", "what to do")), box=None)
        for one in diagnoses:
            table.add_row(one.check, Text(one.state, style=_STYLES[one.state]), one.found, one.remedy)
        results.print(table)
    if failed:
        raise typer.Exit(1)
