"""Lints Grafana's alerting files: what Grafana would refuse at its start, or load and never tell anybody."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dashboards.alerts import Severity
from dashboards.checks.check import CheckResult, Material, counted
from dashboards.checks.findings import Finding, Say
from dashboards.checks.lint import all_panels, lint_relations
from dashboards.checks.loading import load, load_yaml

FOLDER = "grafana-alerting"

KNOWN_TOP = frozenset({"apiVersion", "contactPoints", "groups", "muteTimes", "policies"})
KNOWN_RULE = frozenset(
    {
        "annotations", "condition", "dashboardUid", "data", "execErrState", "for", "isPaused", "labels", "noDataState",
        "panelId", "title", "uid",
    }
)  # fmt: skip
NEEDED_ANNOTATIONS = ("__dashboardUid__", "__panelId__", "dashboard_url", "description", "runbook_url", "summary")
NO_DATA_STATES = ("Alerting", "KeepLast", "NoData", "OK")
ERROR_STATES = ("Alerting", "Error", "KeepLast", "OK")
EXPRESSION = "__expr__"

_UID = re.compile(r"[a-zA-Z0-9_-]{1,40}")
_DURATION = re.compile(r"\d+(?:s|m|h|d|w)")

Json = dict[str, Any]


def check_alerting(material: Material) -> CheckResult:
    """Lint the rules, and what they are routed by."""
    files, findings = load_yaml(material.directory, FOLDER)
    dashboards, _ = load(material.directory, "grafana")
    panels = {
        str(dashboard.get("uid")): {panel.get("id") for panel in all_panels(dashboard)}
        for dashboard in dashboards.values()
    }
    findings += lint_alerting(files, panels)
    return CheckResult(findings, counted(sum(len(list(rules_of(content))) for content in files.values()), "rule"))


def rules_of(content: Json) -> Iterator[Json]:
    """Return the rules of a parsed file, of all its groups."""
    for group in content.get("groups") or []:
        yield from group.get("rules") or []


def lint_alerting(files: Mapping[str, Json], panels: Mapping[str, set[Any]]) -> list[Finding]:
    """Return what is wrong with the files, taken together as Grafana takes them.

    Args:
        files: Parsed files by their path.
        panels: For each dashboard's uid the ids of its panels.
    """
    findings: list[Finding] = []
    seen: dict[str, str] = {}
    receivers = {point.get("name") for content in files.values() for point in content.get("contactPoints") or []}
    timings = {timing.get("name") for content in files.values() for timing in content.get("muteTimes") or []}
    for file, content in files.items():

        def say(check: str, place: str, problem: str, remedy: str, file: str = file) -> Finding:
            return Finding(check, file, place, problem, remedy)

        if unknown := sorted(set(content) - KNOWN_TOP):
            findings.append(say("alerting-keys", "", f"Unknown: {unknown}.", "Correct the spelling."))
        if content.get("apiVersion") != 1:
            findings.append(say("alerting-keys", "apiVersion", "It is not 1.", "Set it to 1."))
        for group in content.get("groups") or []:
            findings += _lint_group(group, say)
        for rule in rules_of(content):
            findings += [*_lint_rule(rule, say), *_lint_data(rule, say), *_lint_panel(rule, panels, say)]
            uid = str(rule.get("uid"))
            if uid in seen:
                findings.append(say("alerting-uid", f"rule {uid}", f"{seen[uid]} has its uid.", "Give it its own."))
            seen[uid] = str(rule.get("title"))
        for policy in content.get("policies") or []:
            findings += _lint_policy(policy, receivers, timings, say)
    return findings


def _lint_group(group: Json, say: Say) -> Iterator[Finding]:
    place = f"group {group.get('name')}"
    for key in ("name", "folder", "interval"):
        if not group.get(key):
            yield say("alerting-keys", place, f"It has no {key}.", "Grafana does not start without it; set it.")
    if not _DURATION.fullmatch(str(group.get("interval"))):
        yield say("alerting-duration", place, f"{group.get('interval')!r} is no duration.", "Write it like 5m.")


def _lint_rule(rule: Json, say: Say) -> Iterator[Finding]:
    place = f"rule {rule.get('uid')}"
    if unknown := sorted(set(rule) - KNOWN_RULE):
        yield say("alerting-keys", place, f"Unknown: {unknown}.", "Correct the spelling, or add it to the lint.")
    if missing := sorted(KNOWN_RULE - set(rule)):
        yield say("alerting-keys", place, f"Missing: {missing}.", "Set them: what is unset means Alerting.")
    if not _UID.fullmatch(str(rule.get("uid"))):
        yield say("alerting-uid", place, "It has no uid that Grafana takes.", "At most 40 of a-z, 0-9, - and _.")
    for key, known in (("noDataState", NO_DATA_STATES), ("execErrState", ERROR_STATES)):
        if rule.get(key) not in known:
            yield say("alerting-state", place, f"{key} is {rule.get(key)!r}.", f"Use one of {list(known)}.")
    if not _DURATION.fullmatch(str(rule.get("for"))):
        yield say("alerting-duration", place, f"for is {rule.get('for')!r}.", "Write it like 0s.")
    annotations = rule.get("annotations") or {}
    if missing := [name for name in NEEDED_ANNOTATIONS if not annotations.get(name)]:
        yield say("alerting-annotations", place, f"It lacks {missing}.", "Whoever is woken reads nothing else.")
    if (rule.get("labels") or {}).get("severity") not in tuple(Severity):
        yield say("alerting-labels", place, "Its severity is none.", f"Use one of {[str(one) for one in Severity]}.")
    if "$" in repr(rule):
        yield say(
            "alerting-dollar",
            place,
            "It has a $, which Grafana may take for a variable of its environment.",
            "Write .Labels and .Values instead of $labels and $values.",
        )


def _lint_data(rule: Json, say: Say) -> Iterator[Finding]:
    place = f"rule {rule.get('uid')}"
    by_ref = {query.get("refId"): query for query in rule.get("data") or []}
    condition = by_ref.get(rule.get("condition"))
    if condition is None:
        yield say("alerting-condition", place, "Its condition names no query.", f"Name one of {sorted(by_ref)}.")
    elif condition.get("datasourceUid") != EXPRESSION:
        yield say("alerting-condition", place, "Its condition is no expression.", "Compare the query with a threshold.")
    for ref_id, query in by_ref.items():
        model = query.get("model") or {}
        if query.get("datasourceUid") == EXPRESSION:
            if model.get("expression") not in by_ref:
                yield say("alerting-condition", place, f"{ref_id} is of no query.", f"Name one of {sorted(by_ref)}.")
            continue
        if (model.get("datasource") or {}).get("uid") != query.get("datasourceUid"):
            yield say("alerting-datasource", place, f"{ref_id} names two data sources.", "Name one.")
        yield from lint_relations(place, str(model.get("rawSql", "")), say)


def _lint_panel(rule: Json, panels: Mapping[str, set[Any]], say: Say) -> Iterator[Finding]:
    place = f"rule {rule.get('uid')}"
    uid, panel_id = rule.get("dashboardUid"), rule.get("panelId")
    annotations = rule.get("annotations") or {}
    if panel_id not in panels.get(str(uid), set()):
        yield say("dead-link", place, f"There is no panel {panel_id} of {uid}.", "Name one that there is.")
    if (annotations.get("__dashboardUid__"), annotations.get("__panelId__")) != (uid, str(panel_id)):
        yield say("dead-link", place, "Its annotations name another panel.", "Say the same twice.")
    if f"/d/{uid}?viewPanel={panel_id}" not in str(annotations.get("dashboard_url")):
        yield say(
            "dead-link", place, "Its dashboard_url leads to another panel.", f"Lead to panel {panel_id} of {uid}."
        )


def _lint_policy(policy: Json, receivers: set[Any], timings: set[Any], say: Say) -> Iterator[Finding]:
    routes = policy.get("routes") or []
    for route in (policy, *routes):
        place = f"policy {route.get('object_matchers') or '(all others)'}"
        if route.get("receiver") not in receivers:
            yield say("alerting-receiver", place, f"There is no {route.get('receiver')}.", "Name a contact point.")
        for timing in route.get("mute_time_intervals") or []:
            if timing not in timings:
                yield say("alerting-receiver", place, f"There is no mute timing {timing}.", "Name one that there is.")
    routed = {
        matcher[2] for route in routes for matcher in route.get("object_matchers") or [] if matcher[0] == "severity"
    }
    if missing := sorted({str(severity) for severity in Severity} - routed):
        yield say("alerting-receiver", "policies", f"Nothing routes {missing}.", "Add a route for each severity.")
