"""How generated pages are written: the same text as GitHub and the site read it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_CODE = re.compile(r"(`[^`]*`)")


def head(title: str, source: str) -> list[str]:
    """Return the first lines of a page: its title, and that nobody should edit it."""
    return [
        f"# {title}",
        "",
        f"<!-- Generated from {source} by `make reference`; `make check` and the tests compare. Do not edit. -->",
        "",
    ]


def table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a table, with an empty line behind it."""
    lines = [_row(names), _row(["---"] * len(names)), *(_row([cell(text) for text in row]) for row in rows)]
    return [*lines, ""]


def cell(text: str) -> str:
    """Return a text that may hold line breaks and bars as one cell of a table."""
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|")


def prose(text: str) -> str:
    """Return a text of docstrings as Markdown reads it as it stands: reST's code as code, and no HTML in it."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text.replace("``", "`"))
    pieces = _CODE.split(text)
    return "".join(piece if piece.startswith("`") else piece.replace("<", "&lt;") for piece in pieces)


def first_sentence(text: str) -> str:
    """Return a docstring's first line, which promises the rest."""
    return prose(text.strip().partition("\n")[0])


def _row(cells: Sequence[str]) -> str:
    return re.sub(r"\|  (?=\|)", "| ", f"| {' | '.join(cells)} |")
