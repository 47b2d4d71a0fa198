"""Lints Datadog monitors: what the API would accept without a word, and what would then never fire or never end."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from dashboards.checks.datadog_queries import query_problems
from dashboards.checks.findings import Finding

KNOWN_KEYS = frozenset({"message", "name", "options", "priority", "query", "tags", "type"})
KNOWN_TYPES = frozenset({"metric alert", "query alert"})
KNOWN_OPTIONS = frozenset(
    {
        "evaluation_delay",
        "include_tags",
        "new_group_delay",
        "no_data_timeframe",
        "notify_audit",
        "notify_no_data",
        "renotify_interval",
        "renotify_statuses",
        "require_full_window",
        "thresholds",
        "timeout_h",
    }
)

_QUERY = re.compile(
    r"(?P<time>avg|max|min|sum)\(last_(?P<window>\d+)(?P<unit>[mhd])\):"
    r"(?P<metric_query>(?:avg|max|min|sum):[a-z][\w.]*\{[^{}]+\}(?: by \{[\w.,]+\})?(?P<as_count>\.as_count\(\))?) "
    r"(?P<comparison>>=|>|<=|<) (?P<threshold>-?\d+(?:\.\d+)?)"
)
_MINUTES = {"m": 1, "h": 60, "d": 1440}
_RUNBOOK = re.compile(r"Runbook: https?://\S+/[\w-]+\.md#[\w-]")
_HANDLE = re.compile(r"(?:^|\s|\}\})@[\w-]+")
_BLOCK = re.compile(r"\{\{([#^/])(\w+)\}\}")

Json = dict[str, Any]
_Say = Callable[[str, str, str, str], Finding]


def lint_monitor(file: str, monitor: Json) -> list[Finding]:
    """Return what is wrong with one monitor.

    Args:
        file: Its path, for the findings.
        monitor: Its parsed JSON, the body of the API's create call.
    """

    def say(check: str, place: str, problem: str, remedy: str) -> Finding:
        return Finding(check, file, place, problem, remedy)

    options = monitor.get("options") or {}
    findings = [*_lint_keys(monitor, options, say), *_lint_message(monitor, say)]
    match = _QUERY.fullmatch(str(monitor.get("query", "")))
    if match is None:
        return [
            *findings,
            say(
                "monitor-query",
                "query",
                f"It does not read as a metric query: {monitor.get('query')!r}.",
                "Write aggregation(last_5m):aggregation:metric{tags} by {tags} >= number.",
            ),
        ]
    unknown = (
        say("unknown-series", "query", problem, "Ask for what is pushed: dashboards/datadog_metrics.py.")
        for problem in query_problems(match["metric_query"])
    )
    return [*findings, *unknown, *_lint_thresholds(match, options, say), *_lint_no_data(match, options, say)]


def _lint_keys(monitor: Json, options: Json, say: _Say) -> Iterator[Finding]:
    for place, found, known in (("", monitor, KNOWN_KEYS), ("options", options, KNOWN_OPTIONS)):
        if unknown := sorted(set(found) - known):
            yield say("monitor-keys", place, f"Unknown: {unknown}.", "Correct the spelling, or add it to the lint.")
    for key in sorted(KNOWN_KEYS - set(monitor)):
        yield say("monitor-keys", key, "It is missing.", "Set it.")
    if monitor.get("type") not in KNOWN_TYPES:
        yield say(
            "monitor-type",
            "type",
            f"{monitor.get('type')!r} is no metric monitor.",
            f"Use one of {sorted(KNOWN_TYPES)}.",
        )
    if not all(re.fullmatch(r"[a-z_]+:[\w.-]+", str(tag)) for tag in monitor.get("tags") or ["none"]):
        yield say("monitor-tags", "tags", "A tag is missing or is no key:value.", "Tag it with service and alert.")


def _lint_thresholds(match: re.Match[str], options: Json, say: _Say) -> Iterator[Finding]:
    thresholds = options.get("thresholds") or {}
    critical, recovery = thresholds.get("critical"), thresholds.get("critical_recovery")
    if critical is None or float(critical) != float(match["threshold"]):
        yield say(
            "monitor-threshold",
            "options.thresholds.critical",
            f"It is {critical}, and the query compares with {match['threshold']}.",
            "Make them the same.",
        )
    is_bad_above = match["comparison"].startswith(">")
    if recovery is None or critical is None or (recovery < critical) is not is_bad_above or recovery == critical:
        yield say(
            "monitor-recovery",
            "options.thresholds.critical_recovery",
            f"{recovery} is not on the good side of {critical}.",
            f"Set one that is {'below' if is_bad_above else 'above'} it.",
        )
    if match["as_count"] and match["time"] != "sum":
        yield say("monitor-as-count", "query", "Over as_count() only sum is allowed.", "Use sum(...).")


def _lint_no_data(match: re.Match[str], options: Json, say: _Say) -> Iterator[Finding]:
    window_minutes = int(match["window"]) * _MINUTES[match["unit"]]
    if "notify_no_data" not in options:
        yield say("monitor-no-data", "options", "It does not say what no data means.", "Set notify_no_data.")
    elif options["notify_no_data"] and options.get("no_data_timeframe", 0) < 2 * window_minutes:
        yield say(
            "monitor-no-data",
            "options.no_data_timeframe",
            "It is missing, or less than twice the query's window.",
            f"Set at least {2 * window_minutes}.",
        )


def _lint_message(monitor: Json, say: _Say) -> Iterator[Finding]:
    message = str(monitor.get("message", ""))
    # Where it leads is followed by the check of the runbooks, once for all formats.
    if _RUNBOOK.search(message) is None:
        yield say("missing-runbook", "message", "It links to no runbook.", 'Add a line "Runbook: <link>".')
    opened: list[str] = []
    for kind, name in _BLOCK.findall(message):
        if kind != "/":
            opened.append(name)
        elif not opened or opened.pop() != name:
            opened.append(f"/{name}")
            break
    if opened:
        yield say("monitor-blocks", "message", f"The block {opened[-1]} has no other end.", "Open and close it once.")
    if _HANDLE.search(message) is None:
        yield say("monitor-handle", "message", "It notifies nobody.", "Add an @handle.")
