"""The Markdown pages of the repository, and what is in them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^( *)```(\w*)([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block: its language, what else stands beside it, and its text without the list's indentation."""

    language: str
    info: str
    text: str


def all_pages() -> list[Path]:
    """Return every Markdown file of the checkout, those of tools and environments left out."""
    found: list[Path] = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in ("node_modules", "target")]
        found += (Path(folder) / name for name in files if name.endswith(".md"))
    return sorted(found)


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    return [
        Block(language, info.strip(), re.sub(rf"^{indent}", "", text, flags=re.MULTILINE))
        for indent, language, info, text in _FENCE.findall(page.read_text(encoding="utf-8"))
    ]


def without_code(page: Path) -> str:
    """Return a page's text without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def commands(text: str) -> list[tuple[str, str]]:
    """Return what a ``console`` block has typed, and what it says comes of it."""
    typed: list[tuple[str, str]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            typed.append((line.removeprefix("$ "), ""))
        else:
            command, said = typed.pop()
            typed.append((command, f"{said}{line}\n"))
    return typed
