"""Lints what Datadog loads: it takes much without a word that then shows nothing, or never fires."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from dashboards.catalogue import SUCCESS_OBJECTIVE
from dashboards.checks.check import CheckResult, Material, counted
from dashboards.checks.datadog_queries import query_problems
from dashboards.checks.findings import Finding
from dashboards.checks.loading import load
from dashboards.checks.monitors import lint_monitor
from dashboards.generators.datadog_monitors import MANAGED_TAG
from dashboards.generators.datadog_parts import COLUMNS

_WORD = re.compile(r"[a-z_]\w*")
_FUNCTIONS = frozenset({"abs", "clamp_max", "clamp_min", "default_zero"})
_REMEDY = "Correct it in dashboards/generators, and build again."

Json = dict[str, Any]
_Say = Callable[[str, str, str], Finding]


def check_datadog(material: Material) -> CheckResult:
    """Lint every monitor, dashboard and objective."""
    monitors, findings = load(material.directory, "datadog/monitors")
    boards, unreadable_boards = load(material.directory, "datadog/dashboards")
    objectives, unreadable_objectives = load(material.directory, "datadog/slos")
    findings += [*unreadable_boards, *unreadable_objectives]
    for file, monitor in monitors.items():
        findings += lint_monitor(file, monitor)
    for file, board in boards.items():
        findings += lint_board(file, board)
    for file, objective in objectives.items():
        findings += lint_objective(file, objective)
    counts = ((monitors, "monitor"), (boards, "dashboard"), (objectives, "objective"))
    return CheckResult(findings, ", ".join(counted(len(files), noun) for files, noun in counts))


def lint_board(file: str, board: Json) -> list[Finding]:
    """Return what is wrong with one dashboard.

    Args:
        file: Its path, for the findings.
        board: Its parsed JSON.
    """

    def say(check: str, place: str, problem: str) -> Finding:
        return Finding(check, file, place, problem, _REMEDY)

    findings = []
    if MANAGED_TAG not in str(board.get("description")):
        findings.append(say("board-mark", "description", f"Without {MANAGED_TAG} a push would make another one."))
    variables = frozenset(str(one.get("name")) for one in board.get("template_variables") or [])
    groups = board.get("widgets") or []
    findings += _lint_places("dashboard", groups, say)
    for group in groups:
        definition = group["definition"]
        inside = definition.get("widgets") or []
        findings += _lint_places(str(definition.get("title")), inside, say)
        for widget in inside:
            findings += _lint_widget(widget["definition"], variables, say)
    return findings


def lint_objective(file: str, objective: Json) -> list[Finding]:
    """Return what is wrong with one objective."""

    def say(check: str, place: str, problem: str) -> Finding:
        return Finding(check, file, place, problem, _REMEDY)

    findings = []
    for name, query in (objective.get("query") or {}).items():
        findings += [say("unknown-series", f"query.{name}", problem) for problem in query_problems(query)]
        if ".as_count()" not in query:
            findings.append(say("objective-count", f"query.{name}", "Datadog makes objectives of counts alone."))
    for threshold in objective.get("thresholds") or [{}]:
        if threshold.get("target") != 100 * SUCCESS_OBJECTIVE:
            findings.append(
                say("objective-target", "thresholds", f"{threshold.get('target')} is not the catalogue's objective.")
            )
        if not threshold.get("target", 100) < threshold.get("warning", 100):
            findings.append(say("objective-warning", "thresholds", "It warns when it is too late."))
    if MANAGED_TAG not in (objective.get("tags") or []):
        findings.append(say("objective-mark", "tags", f"Without {MANAGED_TAG} a push would make another one."))
    return findings


def _lint_places(place: str, widgets: list[Json], say: _Say) -> Iterator[Finding]:
    taken: dict[tuple[int, int], str] = {}
    for widget in widgets:
        title = str(widget["definition"].get("title") or widget["definition"].get("type"))
        layout = widget.get("layout") or {}
        x, y, width, height = (int(layout.get(name, 0)) for name in ("x", "y", "width", "height"))
        if width <= 0 or height <= 0 or x + width > COLUMNS:
            yield say("off-grid", place, f"{title} does not lie within {COLUMNS} columns.")
        for cell in ((column, row) for column in range(x, x + width) for row in range(y, y + height)):
            if (other := taken.setdefault(cell, title)) != title:
                yield say("overlapping-widgets", place, f"{title} lies over {other}.")
                break


def _lint_widget(widget: Json, variables: frozenset[str], say: _Say) -> Iterator[Finding]:
    if widget.get("type") == "note":
        return
    title = str(widget.get("title"))
    if not widget.get("title"):
        yield say("missing-title", str(widget.get("type")), "It has no title.")
    asked = [request for request in widget.get("requests") or [] if "queries" in request]
    for request in asked:
        yield from _lint_request(title, request, variables, say)
    # Where the link leads is followed by the check of the runbooks, once for all formats.
    if asked and not any(link.get("label") == "Runbook" for link in widget.get("custom_links") or []):
        yield say("missing-runbook", title, "It links to no runbook.")


def _lint_request(title: str, request: Json, variables: frozenset[str], say: _Say) -> Iterator[Finding]:
    names = [str(query.get("name")) for query in request["queries"]]
    if len(set(names)) < len(names):
        yield say("widget-formula", title, f"Two queries have one name: {names}.")
    for query in request["queries"]:
        for problem in query_problems(str(query.get("query")), variables):
            yield say("unknown-series", title, problem)
        if request.get("response_format") == "scalar" and "aggregator" not in query:
            yield say("widget-aggregator", title, "It shows one number, and does not say which.")
    used = {word for one in request.get("formulas") or [] for word in _WORD.findall(str(one.get("formula")))}
    if used - _FUNCTIONS != set(names):
        yield say("widget-formula", title, f"Its formulas are over {sorted(used - _FUNCTIONS)}, its queries {names}.")
