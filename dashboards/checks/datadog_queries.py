"""Whether a Datadog query asks for something that is pushed: Datadog itself takes any name, and shows nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dashboards.alerts import ALERTS
from dashboards.datadog_metrics import METRICS, Kind

_QUERY = re.compile(
    r"(?P<function>avg|max|min|sum):(?P<metric>[a-z][\w.]*)\{(?P<scope>[^{}]*)\}(?: by \{(?P<by>[\w.,]+)\})?"
    r"(?P<as_count>\.as_count\(\))?"
)
_ALERT_NAMES = frozenset(alert.name for alert in ALERTS)


def query_problems(query: str, variables: frozenset[str] = frozenset()) -> Iterator[str]:
    """Say what is wrong with a query of one metric; nothing if it is sound.

    Args:
        query: For example ``sum:holdwatch.requests{$env,restaurant:all} by {outcome}.as_count()``.
        variables: Names of the dashboard's template variables.
    """
    match = _QUERY.fullmatch(query)
    if match is None:
        yield f"It does not read as a query of one metric: {query!r}."
        return
    metric = METRICS.get(match["metric"])
    if metric is None:
        yield f"Nobody pushes {match['metric']}."
        return
    known = {"service", *metric.tags}
    for term in match["scope"].split(","):
        key, _, value = term.lstrip("!").partition(":")
        if term.startswith("$"):
            if term[1:] not in variables:
                yield f"There is no variable {term}."
        elif term != "*" and key not in known:
            yield f"{metric.name} has no tag {key}."
        elif key == "alert" and value not in _ALERT_NAMES:
            yield f"There is no alert {value}."
    for key in (match["by"] or "").split(","):
        if key and key not in known:
            yield f"{metric.name} has no tag {key}."
    is_count = metric.kind is Kind.COUNT
    if is_count and not (match["as_count"] and match["function"] == "sum"):
        yield f"{metric.name} is a count: without sum and as_count() it would be shown by the second, or averaged."
    if match["as_count"] and not is_count:
        yield f"{metric.name} is a gauge, which as_count() would add up."
    if "restaurant" in metric.tags and "restaurant" not in (match["by"] or "") and "restaurant:" not in match["scope"]:
        yield f"{metric.name} would count all restaurants together and each of them: choose restaurant:all."
