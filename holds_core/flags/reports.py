"""The matrix of flags as CSV and Markdown. What people wrote is text in either, never a formula or markup."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from holds_core.database.settings import Environment
from holds_core.flags.contradictions import VARIABLE_WITHOUT_EFFECT
from holds_core.flags.loading import packaged_definitions
from holds_core.flags.matrix import Row

_COLUMNS = (
    "environment", "flag", "restaurant", "default", "variable", "override", "effective", "reason", "since", "by",
    "change", "why", "unsafe", "note", "missing",
)  # fmt: skip


def as_object(row: Row) -> dict[str, Any]:
    """Return a row for JSON, by the names of the CSV's columns."""
    return {
        "environment": row.environment,
        "flag": row.flag,
        "restaurant": None if row.restaurant_id is None else str(row.restaurant_id),
        "default": row.default,
        "variable": row.variable,
        "override": row.override,
        "effective": row.effective,
        "reason": row.reason,
        "since": None if row.since is None else row.since.astimezone(UTC).isoformat(timespec="seconds"),
        "by": row.by,
        "change": row.change_id,
        "why": row.why,
        "unsafe": list(row.unsafe),
        "note": row.note,
        "missing": row.missing,
    }


def as_csv(rows: Iterable[Row]) -> str:
    """Return the matrix as CSV, one line a row, RFC 4180."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    for row in rows:
        fields = as_object(row) | {"unsafe": "; ".join(row.unsafe)}
        writer.writerow({name: _cell(value) for name, value in fields.items()})
    return text.getvalue()


def as_markdown(rows: Sequence[Row], at: datetime) -> str:
    """Return the matrix as Markdown: at a glance, then everything about each environment, then what is unsafe."""
    environments = list(dict.fromkeys(row.environment for row in rows))
    flags = list(dict.fromkeys(row.flag for row in rows))
    general = {(row.flag, row.environment): row for row in rows if row.restaurant_id is None}
    lines = [
        "# Feature flags",
        "",
        f"As of {at.astimezone(UTC):%Y-%m-%d %H:%M} UTC. **Bold** is unsafe or has to be looked at.",
        "",
        *_table(
            ["flag", *environments],
            [
                [f"`{flag}`", *(_glance(general.get((flag, environment))) for environment in environments)]
                for flag in flags
            ],
        ),
    ]
    for environment in environments:
        of_environment = [row for row in rows if row.environment == environment]
        lines += ["", f"## {environment}", ""]
        if (missing := of_environment[0].missing) is not None:
            lines += [f"Only defaults are known: {_text(missing)}.", ""]
        lines += _details(of_environment)
    unsafe = [row for row in rows if row.unsafe]
    lines += ["", "## Unsafe, or to be looked at", ""]
    lines += [f"- {_place(row)}: {_text('; '.join(row.unsafe))}" for row in unsafe] or ["Nothing."]
    if sentences := broken_rules(rows):
        lines += ["", *(f"- {_text(rule)}: {_text(because)}" for rule, because in sentences.items())]
    return "\n".join(lines) + "\n"


def broken_rules(rows: Iterable[Row]) -> dict[str, str]:
    """Return what harm comes of each rule that is broken, by the rule's name: a row has the name alone."""
    sentences = {rule.name: rule.because for one in packaged_definitions().values() for rule in one.rules}
    sentences[VARIABLE_WITHOUT_EFFECT] = "a variable says otherwise than the database, which alone decides."
    broken = sorted({mark for row in rows for mark in row.unsafe})
    return {mark: " ".join(sentences[mark].split()) for mark in broken if mark in sentences}


def _details(rows: Sequence[Row]) -> list[str]:
    head = ["flag", "default", "variable", "override", "effective", "reason", "since", "by", "why", "unsafe", "note"]
    cells = [
        [
            f"`{row.flag}`" + ("" if row.restaurant_id is None else f" for {row.restaurant_id}"),
            row.default,
            _text(row.variable),
            _text(row.override),
            f"**{row.effective}**" if row.unsafe else row.effective,
            row.reason,
            "" if row.since is None else f"{row.since.astimezone(UTC):%Y-%m-%d %H:%M}",
            _text(row.by),
            _text(row.why),
            _text("; ".join(row.unsafe)),
            _text(row.note),
        ]
        for row in rows
    ]
    return _table(head, cells)


def _glance(row: Row | None) -> str:
    if row is None:
        return ""
    text = f"{row.effective} ({row.reason})"
    return f"**{text}**" if row.unsafe else text


def _place(row: Row) -> str:
    whom = "" if row.restaurant_id is None else f" for restaurant {row.restaurant_id}"
    return f"`{row.flag}` in {Environment(row.environment)}{whom}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [_line(head), _line(["---"] * len(head)), *(_line(row) for row in rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _text(value: str | None) -> str:
    """Return a text that Markdown leaves as it is, within one cell."""
    escaped = " ".join((value or "").split()).replace("\\", "\\\\").replace("&", "&amp;").replace("<", "&lt;")
    for character in "|*_`[]":
        escaped = escaped.replace(character, f"\\{character}")
    return escaped


def _cell(value: object) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
