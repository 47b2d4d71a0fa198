"""How commands talk: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
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
    """Shows what the texts of other people say, character by character."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text as it is printed."""
        return super().render_str(text.translate(_INVISIBLE), **options)


# No markup: what is printed comes from databases, files and people, and [brackets] in it are theirs.
notes = _Console(stderr=True, highlight=False, markup=False)
"""Progress and notes; bars vanish when standard error is no terminal."""

results = _Console(
    highlight=False, markup=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else _WIDE
)
"""What the user asked for."""


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON object on standard output."""
    typer.echo(json.dumps(value, indent=2, default=_plain))


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
