"""Where links lead into a page of Markdown."""

from __future__ import annotations

import re


def anchor(heading: str) -> str:
    """Return a heading's anchor as GitHub makes it: lower case, spaces to hyphens, no punctuation."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
