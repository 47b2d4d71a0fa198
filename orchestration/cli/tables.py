"""Tables on a terminal: words stay whole, and what is too wide for columns is printed row by row."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from rich.measure import Measurement
from rich.style import Style
from rich.table import Column, Table

from orchestration.cli.output import results, wrapped

NOTHING = "-"
"""What a cell has where there is nothing to say."""

_ENDLESS = 10_000
_INDENT = 2


def print_table(table: Table) -> None:
    """Print a table; where its longest words do not fit beside each other, each row as a paragraph of its own instead.

    No word is broken, however narrow the terminal: an id over four lines can be neither read nor copied.
    """
    if table.title is not None:
        results.print(table.title, style="italic")
        table.title = None
    if _fits(table):
        results.print(table)
    else:
        _print_rows(table)


def print_facts(facts: Iterable[tuple[str, object]], title: str | None = None) -> None:
    """Print what is to be said of one thing, a line each."""
    table = Table(title=title, show_header=False)
    for name, value in facts:
        table.add_row(name, str(value))
    print_table(table)


def _fits(table: Table) -> bool:
    """Tell whether each column can have its longest word, and set their widths: rich itself would break words first."""
    least, most = [], []
    for column in table.columns:
        found = [_measured(cell) for cell in _cells(table, column)]
        most.append(max((one.maximum for one in found), default=0))
        least.append(most[-1] if column.no_wrap else max((one.minimum for one in found), default=0))
    lines_and_padding = _measured(table).maximum - sum(most)
    spare = results.width - lines_and_padding - sum(least)
    if spare < 0:
        return False
    # What is left goes to all alike; what a column has no use for, to those that want more.
    wanting = sorted(zip(table.columns, least, most, strict=True), key=lambda one: one[2] - one[1])
    for number, (column, narrow, wide) in enumerate(wanting):
        more = min(wide - narrow, spare // (len(wanting) - number))
        column.width = narrow + more
        spare -= more
    return True


def _cells(table: Table, column: Column) -> Iterable[object]:
    return chain([column.header] if table.show_header else [], column.cells)


def _measured(what: object) -> Measurement:
    """Return the width of its longest word, and of its longest line."""
    return Measurement.get(results, results.options.update(max_width=_ENDLESS), what)  # type: ignore[arg-type]


def _print_rows(table: Table) -> None:
    names = [str(column.header) if table.show_header else "" for column in table.columns]
    beside = _INDENT + max(map(len, names)) + 2
    rows = zip(*(column.cells for column in table.columns), strict=True)
    for row, (first, *others) in zip(table.rows, rows, strict=True):
        results.print(str(first), style=row.style or "bold")
        for name, cell in zip(names[1:], others, strict=True):
            if str(cell) not in ("", NOTHING):
                _print_value(name, str(cell), beside, row.style or "")


def _print_value(name: str, value: str, beside: int, style: str | Style) -> None:
    """Print a value beside its name; below it, where a word is too long for that."""
    if _measured(value).minimum > results.width - beside:
        if name:
            results.print(f"{'':{_INDENT}}{name}", style=style)
        name, beside = "", 2 * _INDENT
    print_beside(f"{'':{_INDENT}}{name}", value, beside, style)


def print_beside(name: str, value: str, beside: int, style: str | Style = "") -> None:
    """Print a value from a column on, all of its lines, with its name before the first."""
    for line in wrapped(value, max(1, results.width - beside)) if results.is_width_known else [value]:
        results.print(f"{name:<{beside}}{line}", style=style, soft_wrap=True)
        name = ""
