"""Whether a runbook link leads to a heading that exists."""

from __future__ import annotations

import re
from pathlib import Path

_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def anchors(markdown: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them: lower case, spaces to hyphens, no punctuation."""
    headings = _HEADING.findall(_FENCE.sub("", markdown))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def why_dead(url: str, base: str, runbooks: Path) -> str | None:
    """Return what is wrong with a runbook link, None if it leads to a heading of a page in ``runbooks``.

    Args:
        url: The link, ``<base>/<page>.md#<anchor>``.
        base: What comes before the page.
        runbooks: The folder of the pages.
    """
    page, _, anchor = url.removeprefix(f"{base}/").partition("#")
    if not url.startswith(f"{base}/"):
        return f"{url} does not begin with {base}/."
    path = runbooks / page
    if not path.is_file():
        return f"There is no page {page}."
    if anchor not in anchors(path.read_text(encoding="utf-8")):
        return f"{page} has no heading #{anchor}."
    return None
