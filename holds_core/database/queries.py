"""All runtime SQL of the core, by name.

The statements live in ``holds_core/sql/queries/*.sql``, each under a line ``-- name: <query_name>``.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_NAME_LINE = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def _all_queries() -> dict[str, str]:
    queries: dict[str, str] = {}
    for file in sorted((files("holds_core") / "sql" / "queries").iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".sql"):
            continue
        parts = _NAME_LINE.split(file.read_text(encoding="utf-8"))[1:]
        for name, body in zip(parts[::2], parts[1::2], strict=True):
            if name in queries:
                raise ValueError(f"The query {name!r} is named twice; the second time in {file.name}.")
            queries[name] = body.strip()
    return queries


def query(name: str) -> str:
    """Return the statement of that name.

    The text comes from the package's own files, never from a caller.

    Raises:
        KeyError: No file names such a query.
    """
    return _all_queries()[name]
