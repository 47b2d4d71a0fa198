"""How commands talk: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else.")]

_WIDE = 160  # for a file or a pipe, which has no width of its own

# No markup: what is printed comes from databases, files and people, and [brackets] in it are theirs.
notes = Console(stderr=True, highlight=False, markup=False)
"""Progress and notes; bars vanish when standard error is no terminal."""

results = Console(
    highlight=False, markup=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else _WIDE
)
"""What the user asked for."""


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON object on standard output."""
    typer.echo(json.dumps(value, indent=2, default=_plain))


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
