"""Lints the links of Grafana dashboards to one another: they lead somewhere, and take along what was chosen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Any

from dashboards.checks.findings import Finding, Say

_TO_DASHBOARD = re.compile(r"/d/([\w-]+)")

Json = dict[str, Any]


def lint_links(dashboard: Json, panels: list[Json], uids: AbstractSet[str] | None, say: Say) -> Iterator[Finding]:
    """Look at the links above the panels, and at those of panels, fields and cells.

    Args:
        dashboard: Its parsed JSON.
        panels: Its panels.
        uids: Those of all dashboards; None leaves the targets unchecked.
        say: Makes a finding.
    """
    for link in dashboard.get("links") or []:
        place = f"link {link.get('title')}"
        if not (link.get("keepTime") and link.get("includeVars")):
            yield say(
                "forgetful-link",
                place,
                "It loses the time range, or what is chosen.",
                "Set keepTime and includeVars.",
            )
        yield from _lint_target(place, str(link.get("url")), uids, say)
    for panel in panels:
        place = f"panel {panel.get('id')} {panel.get('title') or '(no title)'!r}"
        for url in _urls(panel):
            if _TO_DASHBOARD.search(url) and (
                "${__url_time_range}" not in url or "${environment:queryparam}" not in url
            ):
                yield say(
                    "forgetful-link",
                    place,
                    f"{url} loses the time range, or the environment.",
                    "Append ${environment:queryparam}&${__url_time_range}.",
                )
            yield from _lint_target(place, url, uids, say)


def _urls(panel: Json) -> Iterator[str]:
    config = panel.get("fieldConfig") or {}
    links = [*(panel.get("links") or []), *((config.get("defaults") or {}).get("links") or [])]
    for override in config.get("overrides") or []:
        for setting in override.get("properties", []):
            links += setting["value"] if setting.get("id") == "links" else []
    yield from (str(link.get("url", "")) for link in links)


def _lint_target(place: str, url: str, uids: AbstractSet[str] | None, say: Say) -> Iterator[Finding]:
    for uid in _TO_DASHBOARD.findall(url):
        if uids is not None and uid not in uids:
            yield say("dead-link", place, f"It leads to {uid}, which no dashboard is.", "Name one that there is.")
