"""Says whether a figure gets worse: the newest whole days beside as many before them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from dashboards.catalogue import MINIMUM_SAMPLE
from dashboards.report.reading import Day, Evidence
from dashboards.report.words import percent

SPAN_DAYS = 30
"""How many days are set beside as many before them."""


def course_of_share(evidence: Evidence, part_name: str, whole_name: str, goal: float) -> str:
    """Return a sentence, with a blank before it; none of a shorter report, or of too few requests.

    Args:
        evidence: What the views say.
        part_name: The count of :class:`Day` that is the share.
        whole_name: The count that it is a share of.
        goal: A value that rounding must not feign.
    """
    shares = []
    for span in _spans(evidence):
        part, whole = (sum(getattr(one, name) or 0 for one in span) for name in (part_name, whole_name))
        if whole < MINIMUM_SAMPLE:
            return ""
        shares.append(percent(part / whole, apart_from=(0.0, 1.0, goal)))
    if not shares:
        return ""
    return f" In the last {SPAN_DAYS} days {shares[0]}, in the {SPAN_DAYS} before {shares[1]}."


def course_of_latency(evidence: Evidence, goal: float) -> str:
    """Return on how many days the P95 was above the goal, likewise."""
    judged = [judged_latencies(span) for span in _spans(evidence)]
    if not judged or not all(judged):
        return ""
    late = [sum(value > goal for value, _ in one) for one in judged]
    return f" Of the last {SPAN_DAYS} days on {late[0]}, of the {SPAN_DAYS} before on {late[1]}."


def judged_latencies(days: Sequence[Day]) -> list[tuple[float, date]]:
    """Return the P95 of each day that has enough requests, with the day."""
    return [
        (one.p95_ms, one.day) for one in days if one.p95_ms is not None and (one.latency_samples or 0) >= MINIMUM_SAMPLE
    ]


def _spans(evidence: Evidence) -> tuple[Sequence[Day], ...]:
    """Return the newest days, then those before; today is left out, since it is not over."""
    days = evidence.days[:-1]
    if len(days) < 2 * SPAN_DAYS:
        return ()
    return days[-SPAN_DAYS:], days[-2 * SPAN_DAYS : -SPAN_DAYS]
