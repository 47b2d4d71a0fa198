"""How commands talk: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import os
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console, ConsoleDimensions
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else.")]

NOTHING = "-"
"""What a cell has where there is nothing to say."""

_ENDLESS = 10_000
_WIDE = 160  # for a file or a pipe, which has no width of its own

_INVISIBLE = {
    code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    for code in (
        *range(0x20),
        *range(0x7F, 0xA0),
        0x61C,
        0x200E,
        0x200F,
        *range(0x202A, 0x202F),
        *range(0x2066, 0x206A),
    )
    if chr(code) not in "\n\t"
}
"""What a terminal obeys rather than shows: it could hide from whoever approves a change what that change says."""


class _Console(Console):
    """Shows what the texts of other people say, character by character."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text as it is printed."""
        return super().render_str(text.translate(_INVISIBLE), **options)


class _Results(_Console):
    """As wide as the terminal, or as COLUMNS says; wide where there is neither."""

    @property  # type: ignore[misc]  # it may be set; nobody does
    def size(self) -> ConsoleDimensions:
        """How much fits on a line, and how many lines on a screen."""
        size = super().size
        # As it is now: rich reads the variable when the console is made.
        said = os.environ.get("COLUMNS", "")
        width = int(said) if said.isdigit() else size.width if self.is_terminal else _WIDE
        return ConsoleDimensions(width, size.height)


# No markup: what is printed comes from databases, files and people, and [brackets] in it are theirs.
notes = _Console(stderr=True, highlight=False, markup=False)
"""Progress and notes; bars vanish when standard error is no terminal."""

results = _Results(highlight=False, markup=False)
"""What the user asked for."""


def print_table(table: Table) -> None:
    """Print a table; where the screen is too narrow for its longest words, each row as a paragraph of its own instead.

    An id that is broken over four lines can be neither read nor copied.
    """
    anywhere = results.options.update(max_width=_ENDLESS)
    if Measurement.get(results, anywhere, table).minimum <= results.width:
        results.print(table)
        return
    if table.title is not None:
        results.print(table.title, style="italic")
    for number, row in enumerate(table.rows):
        (_, first), *others = ((str(column.header), list(column.cells)[number]) for column in table.columns)
        paragraph = Table.grid(Column(no_wrap=True), Column(overflow="fold"), padding=(0, 2))
        for name, value in others:
            if str(value) != NOTHING:
                paragraph.add_row(f"  {name}", value)
        results.print(first, style=row.style or "bold")
        results.print(paragraph, style=row.style or "")


def say_left_out(count: int | None, what: str) -> None:
    """Say on standard error that a limit has cut what was printed.

    Args:
        count: How many rows are left out; None where there are more, and nobody has counted them.
        what: What the rows are, for example ``holds``.
    """
    if count != 0:
        many = "More" if count is None else f"{count:,} more"
        notes.print(f"{many} {what} not shown; --limit shows more.", soft_wrap=True)


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON object on standard output."""
    typer.echo(json.dumps(value, indent=2, default=_plain))


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
