"""The pages of docs/reference, made of the code that they are about, so that they cannot say anything else.

``python -m orchestration.reference`` writes them, ``--check`` compares. One module for each page; all but
:mod:`~orchestration.reference.functions` need no database.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import psycopg

from orchestration.paths import PROJECT_ROOT
from orchestration.reference import alerts, commands, errors, events, functions, settings, views

REFERENCE_DIR = PROJECT_ROOT / "docs" / "reference"

FUNCTIONS_PAGE = "functions.md"
"""The page of a migrated database: `make reference` writes it, the test suite compares it."""

_PAGES: Mapping[str, Callable[[], str]] = {
    "alerts.md": alerts.page,
    "commands.md": commands.page,
    "errors.md": errors.page,
    "events.md": events.page,
    "settings.md": settings.page,
    "views.md": views.page,
}


def pages_without_database() -> dict[str, str]:
    """Return the pages that need no database: file name → text."""
    return {name: page() for name, page in _PAGES.items()}


def functions_page(connection: psycopg.Connection) -> str:
    """Return the page about the SQL functions of a migrated database."""
    return functions.page(connection)


def differing(pages: Mapping[str, str], directory: Path) -> list[str]:
    """Return the names of the pages that are not in the folder as they should be, the missing ones among them."""
    return [name for name, text in pages.items() if _read(directory / name) != text]


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None
