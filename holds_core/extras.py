"""How an optional extra is installed: from where holdwatch itself came, since it is on no package index."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, distribution
from urllib.parse import unquote, urlsplit


def install_command(extra: str) -> str:
    """Return the command that installs an extra beside what is here.

    An installer notes where a package came from (``direct_url.json``, PEP 610); where it did not, the path is left to
    the reader.
    """
    return f"pip install '{_source()}[{extra}]'"


def _source() -> str:
    try:
        noted = json.loads(distribution("holdwatch").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, OSError, ValueError):
        noted = {}
    parts = urlsplit(noted.get("url", ""))
    # A wheel is no place for a path with an extra behind it to end in, and may be gone; a checkout is.
    return unquote(parts.path) if parts.scheme == "file" and "dir_info" in noted else "/path/to/holdwatch"
