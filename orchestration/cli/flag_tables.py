"""What commands about flags print as tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from rich.table import Column, Table
from rich.text import Text

from holds_core.flags.changes import FlagChange
from holds_core.flags.matrix import Row
from holds_core.flags.trail import Entry
from orchestration.cli.flag_words import DEFAULT, evidence_in_short, moment, what
from orchestration.cli.output import results


def print_rows(rows: Sequence[Row]) -> None:
    """Print what flags are, a table for each environment; in red what is unsafe or has to be looked at."""
    for environment, of_environment in groupby(rows, lambda row: row.environment):
        columns = ["in force", "because of", "default", "variable", "override", "since", "by", "to be looked at"]
        table = Table(
            Column("flag", no_wrap=True),
            *(Column(name, overflow="fold") for name in columns),
            title=environment,
            title_justify="left",
        )
        missing = None
        for row in of_environment:
            missing = row.missing
            whom = "" if row.restaurant_id is None else f"\n{row.restaurant_id}"
            marks = "\n".join([*row.unsafe, *([row.note] if row.note else [])])
            table.add_row(
                f"{row.flag}{whom}", row.effective, row.reason, row.default, row.variable or "-", row.override or "-",
                moment(row.since), row.by or "-", marks or "-", style="red" if row.unsafe else None,
            )  # fmt: skip
        results.print(table)
        if missing is not None:
            results.print(f"Only the defaults of {environment} are known: {missing}.")


def print_entries(entries: Sequence[Entry]) -> None:
    """Print entries of the trail."""
    table = Table(*(Column(name, overflow="fold") for name in ("#", "at", "what", "flag", "from", "to", "by", "why")))
    for entry in entries:
        where = "" if entry.environment is None else f" in {entry.environment}"
        whom = "" if entry.restaurant_id is None else f"\n{entry.restaurant_id}"
        change = "" if entry.change_id is None else f" (change {entry.change_id})"
        by = entry.person or entry.login
        why = [entry.reason, evidence_in_short(entry.details.get("evidence", {}))]
        nothing = "-" if entry.environment is None else DEFAULT
        table.add_row(
            str(entry.position or "-"), moment(entry.at), f"{entry.action}{change}",
            f"{entry.flag or '-'}{where}{whom}", str(entry.from_setting or nothing), str(entry.to_setting or nothing),
            by if by == entry.login else f"{by} ({entry.login})", "\n".join(part for part in why if part) or "-",
        )  # fmt: skip
    results.print(table)


def print_changes(changes: Iterable[FlagChange]) -> None:
    """Print changes; in red those that one person has made alone."""
    columns = ("id", "rev", "state", "what", "why", "asked for by", "until")
    table = Table(*(Column(name, overflow="fold") for name in columns))
    for change in changes:
        state = Text(f"{change.state}, break-glass", "red") if change.is_break_glass else Text(change.state)
        why = change.reason if change.unsafe_because is None else f"{change.reason} (UNSAFE: {change.unsafe_because})"
        table.add_row(
            str(change.id), str(change.revision), state, what(change), why, change.requested_by,
            moment(change.expires_at),
        )  # fmt: skip
    results.print(table)


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Print what is to be said of one thing, a line each."""
    table = Table(show_header=False)
    for name, value in facts:
        table.add_row(name, value)
    results.print(table)
