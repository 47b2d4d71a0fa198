"""How commands talk: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import os
import textwrap
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console, ConsoleDimensions
from rich.text import Text

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else.")]

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
    """Shows what the texts of other people say, character by character, and breaks lines between words only."""

    @property
    def is_width_known(self) -> bool:
        """Whether lines have an end: those of a file or a pipe have none."""
        return self.is_terminal

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text as it is printed."""
        return super().render_str(text.translate(_INVISIBLE), **options)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; a word that is longer than a line stays whole, for the terminal to break, and can be copied."""
        if objects and all(isinstance(one, str) for one in objects) and "soft_wrap" not in options:
            text = " ".join(objects)
            objects = ("\n".join(wrapped(text, self.width)) if self.is_width_known else text,)
            options["soft_wrap"] = True
        super().print(*objects, **options)


class _Results(_Console):
    """As wide as the terminal, or as COLUMNS says; wide where there is neither."""

    @property
    def is_width_known(self) -> bool:
        """Whether lines have an end."""
        return self.is_terminal or os.environ.get("COLUMNS", "").isdigit()

    @property  # type: ignore[misc]  # it may be set; nobody does
    def size(self) -> ConsoleDimensions:
        """How much fits on a line, and how many lines on a screen."""
        size = super().size
        # As it is now: rich reads the variable when the console is made.
        said = os.environ.get("COLUMNS", "")
        width = int(said) if said.isdigit() else size.width if self.is_terminal else _WIDE
        return ConsoleDimensions(width, size.height)


def wrapped(text: str, width: int) -> list[str]:
    """Break the lines of a text between words, and go on as far from the edge as each begins."""
    lines = []
    for line in text.splitlines():
        beginning = line[: len(line) - len(line.lstrip(" -"))]
        lines += textwrap.wrap(
            line, width, subsequent_indent=" " * len(beginning), break_long_words=False, break_on_hyphens=False,
            expand_tabs=False, replace_whitespace=False,
        ) or [""]  # fmt: skip
    return lines


# No markup: what is printed comes from databases, files and people, and [brackets] in it are theirs.
notes = _Console(stderr=True, highlight=False, markup=False)
"""Progress and notes; bars vanish when standard error is no terminal."""

results = _Results(highlight=False, markup=False)
"""What the user asked for."""


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
