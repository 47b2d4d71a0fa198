"""What commands about flags print as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from rich.table import Column, Table

from holds_core.flags.changes import FlagChange
from holds_core.flags.matrix import Row
from holds_core.flags.prospects import Prospect
from holds_core.flags.reports import broken_rules
from holds_core.flags.trail import Entry
from orchestration.cli.flag_words import DEFAULT, effect, evidence_in_short, moment, obstacles, state_of, what
from orchestration.cli.output import results
from orchestration.cli.tables import print_table


def print_rows(rows: Sequence[Row]) -> None:
    """Print what flags are, a table for each environment; in red what is unsafe or has to be looked at."""
    for environment, of_environment in groupby(rows, lambda row: row.environment):
        shown = list(of_environment)
        has_marks = any(row.unsafe or row.note for row in shown)
        is_set = any(row.since or row.by for row in shown)
        columns = ["in force", "because of", "what is said", *(["since, by"] if is_set else [])]
        table = Table(
            Column("flag", no_wrap=True), *columns, *(["to be looked at"] if has_marks else []), title=environment
        )
        for row in shown:
            whom = "" if row.restaurant_id is None else f"\n{row.restaurant_id}"
            said = {"default": row.default, "variable": row.variable, "override": row.override}
            layers = [f"{layer} {setting}" for layer, setting in said.items() if setting]
            if row.comes_back is not None:
                layers[-1] = f"break glass {row.override} / {row.comes_back} (again from {moment(row.ends_at)})"
            marks = "\n".join([*row.unsafe, *([row.note] if row.note else [])])
            table.add_row(
                f"{row.flag}{whom}", row.effective, row.reason.replace("_", " "),
                "\n".join(layers),
                *(["\n".join(part for part in (moment(row.since), row.by) if part) or "-"] if is_set else []),
                *([marks or "-"] if has_marks else []), style="red" if row.unsafe else None,
            )  # fmt: skip
        print_table(table)
        if shown[-1].missing is not None:
            results.print(f"Only the defaults of {environment} are known: {shown[-1].missing}.")
    for rule, because in broken_rules(rows).items():
        results.print(f"{rule}: {because}")


def print_entries(entries: Sequence[Entry]) -> None:
    """Print entries of the trail."""
    table = Table("#", "at", Column("what", no_wrap=True), *(Column(name) for name in ("by", "why")))
    for entry in entries:
        where = "" if entry.environment is None else f" in {entry.environment}"
        change = "" if entry.change_id is None else f" (change {entry.change_id})"
        nothing = "-" if entry.environment is None else DEFAULT
        settings = f"{entry.from_setting or nothing} → {entry.to_setting or nothing}"
        happened = [
            f"{entry.action}{change}",
            *([f"{entry.flag}{where}"] if entry.flag else []),
            *([str(entry.restaurant_id)] if entry.restaurant_id else []),
            *([settings] if settings != "- → -" else []),
            *([evidence] if (evidence := evidence_in_short(entry.details.get("evidence", {}))) else []),
        ]
        by = entry.person or entry.login
        table.add_row(
            str(entry.position or "-"), moment(entry.at), "\n".join(happened),
            by if by == entry.login else f"{by} ({entry.login})", entry.reason or "-",
        )  # fmt: skip
    print_table(table)


def print_changes(changes: Iterable[FlagChange], prospects: Mapping[int, Prospect]) -> None:
    """Print changes, with what the open ones would do; in red those to look at twice."""
    columns = (Column("change", no_wrap=True), Column("what, and why"), "asked for by", "until")
    table = Table(*columns)
    for change in changes:
        prospect = prospects.get(change.id)
        taken = None if prospect is None else effect(change, prospect)
        against = [] if prospect is None else obstacles(change, prospect)
        lines = [what(change, prospect), *([f"EFFECT: {taken}"] if taken else []), *against]
        why = change.reason if change.unsafe_because is None else f"{change.reason} (UNSAFE: {change.unsafe_because})"
        state = "\n".join(state_of(change).split(", "))
        table.add_row(
            f"{change.id}, revision {change.revision}\n{state}", "\n".join([*lines, why]), change.requested_by,
            moment(change.expires_at), style="red" if change.is_break_glass or taken or against else None,
        )  # fmt: skip
    print_table(table)
