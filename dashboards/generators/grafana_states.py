"""The words and colours of what has states rather than values."""

from __future__ import annotations

from dashboards.generators import grafana_queries_operations as operations
from dashboards.generators.grafana_parts import BAD, CALM, GOOD, GREY, WARN, States

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
