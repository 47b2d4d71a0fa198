"""The words and colours of what has states rather than values, and the colours of series that have a meaning."""

from __future__ import annotations

from collections.abc import Mapping

from dashboards.generators import grafana_queries_holds as holds
from dashboards.generators import grafana_queries_operations as operations
from dashboards.generators.grafana_parts import BAD, CALM, GOOD, GREY, WARN, WORSE, States

ALERT: States = {
    operations.OK: ("ok", GOOD),
    operations.BREACHING: ("breaching", WARN),
    operations.MUTED: ("in maintenance", CALM),
    operations.FIRING: ("FIRING", BAD),
    operations.UNKNOWN: ("no verdict", GREY),
}
SWITCH: States = {1: ("on", GOOD), 0: ("OFF", BAD)}
GATE: States = {0: ("open", GOOD), 1: ("BLOCKED", BAD)}
RUN: States = {"succeeded": ("succeeded", GOOD), "failed": ("failed", BAD), "blocked": ("blocked", BAD)}
JUDGED: States = {
    "below objective": ("below objective", BAD),
    "good": ("good", GOOD),
    "too few to judge": ("too few to judge", GREY),
}
MAINTENANCE: States = {"now": ("now", CALM), "to come": ("to come", GREY), "over": ("over", GREY)}

SUCCESS: Mapping[str, str] = {"success": "green", "requests": "blue"}
PERCENTILES: Mapping[str, str] = {"P50": "light-blue", "P95": "orange", "P99": "purple"}
BURN: Mapping[str, str] = {"1 h": BAD, "6 h": WORSE, "3 d": WARN, "30 d": CALM}
EXHAUSTION: Mapping[str, str] = {"exhausted": "red", "events with the flag": "light-orange"}
CUTOFFS: Mapping[str, str] = {"CUTOFF": "orange", "HOLD_RATE_LIMIT": "yellow", "MANUAL": "purple"}
ERRORS: Mapping[str, str] = {
    "conflict": "blue",
    "limit": "yellow",
    "cutoff": "orange",
    "serialization": "light-purple",
    "connection": "red",
    "validation": "light-green",
    "schema": "dark-red",
    "pipeline": "dark-green",
    "unclassified": "purple",
}
RUN_DURATIONS: Mapping[str, str] = {
    f"{job} {outcome}": colour
    for job, hue in (("pipeline", "blue"), ("refresh", "light-blue"))
    for outcome, colour in (("succeeded", hue), ("failed", BAD), ("blocked", "dark-red"))
}
LIFE: Mapping[str, str] = {"created": "blue", "confirmed": "green", "released": "light-purple", "expired": "orange"}
CONFLICTS: Mapping[str, str] = {holds.REFUSED: "blue", holds.LET_THROUGH: BAD}
CHANGES: Mapping[str, str] = {"deploy": "blue", "flag": "purple", "enforcement": "red", "rollout": "yellow"}
"""The marks of annotations have the same."""
