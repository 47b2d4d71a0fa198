"""Grafana's alerting files carry the alerts' verdicts, and each rule of their lint fires on what it is for."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dashboards
from dashboards.alerts import ALERTS, NoData, Severity
from dashboards.catalogue import EVALUATION_MINUTES
from dashboards.checks.alerting import lint_alerting
from dashboards.checks.check import Material
from dashboards.checks.lint import all_panels
from dashboards.checks.registry import CHECKS

Json = dict[str, Any]
Files = dict[str, Json]

RULES = "grafana-alerting/rules.yaml"
POLICIES = "grafana-alerting/notification-policies.yaml"
POINTS = "grafana-alerting/contact-points.yaml"


def _rule(files: Files) -> Json:
    rule: Json = files[RULES]["groups"][0]["rules"][0]
    return rule


@pytest.fixture(scope="module")
def panels(boards: dict[str, Json]) -> dict[str, set[Any]]:
    """The numbers of each page's panels."""
    return {board["uid"]: {panel["id"] for panel in all_panels(board)} for board in boards.values()}


def test_each_alert_has_a_rule_that_waits_for_nothing(alerting: Files) -> None:
    """Evaluated as often as SQL judges; two periods in a row are counted there, not again by Grafana."""
    (group,) = alerting[RULES]["groups"]
    rules = {rule["labels"]["alert"]: rule for rule in group["rules"]}

    assert group["interval"] == f"{EVALUATION_MINUTES}m"
    assert list(rules) == [alert.name for alert in ALERTS]
    for alert in ALERTS:
        rule = rules[alert.name]
        assert (rule["for"], rule["labels"]["severity"]) == ("0s", alert.severity)
        assert rule["annotations"]["runbook_url"].endswith(f"/{alert.signal.runbook}.md#first-five-minutes")
        assert alert.consequence in rule["annotations"]["description"]


def test_missing_data_means_what_the_alert_says(alerting: Files) -> None:
    """A database that does not answer wakes somebody once: for the telemetry, not for every alert."""
    rules = {rule["labels"]["alert"]: rule for rule in alerting[RULES]["groups"][0]["rules"]}
    means = {NoData.OK: ("OK", "OK"), NoData.NO_DATA: ("NoData", "Error"), NoData.ALERTING: ("Alerting", "Alerting")}

    for alert in ALERTS:
        assert (rules[alert.name]["noDataState"], rules[alert.name]["execErrState"]) == means[alert.no_data]
    assert [name for name, rule in rules.items() if rule["execErrState"] == "Alerting"] == ["telemetry_stale"]


def test_each_severity_is_routed_to_a_contact_point_of_its_own(alerting: Files) -> None:
    """Who is woken is another than who reads tickets; neither address is in the file."""
    points = {point["name"]: point["receivers"] for point in alerting[POINTS]["contactPoints"]}
    routed = {
        route["object_matchers"][0][2]: route["receiver"] for route in alerting[POLICIES]["policies"][0]["routes"]
    }

    assert routed == {str(severity): f"holdwatch-{severity}" for severity in Severity}
    assert set(routed.values()) == set(points)
    for (receiver,) in points.values():
        assert receiver["settings"]["addresses"].startswith("${HOLDWATCH_")


def test_example_of_a_mute_timing_mutes_nothing(alerting: Files) -> None:
    """Maintenance is in the database, for every tool at once."""
    (timing,) = alerting["grafana-alerting/mute-timings.yaml"]["muteTimes"]

    assert "example" in timing["name"]
    assert timing["name"] not in repr(alerting[POLICIES])


MUTATIONS: dict[str, tuple[str, Callable[[Files], object]]] = {
    "unknown key": ("alerting-keys", lambda files: _rule(files).update(severity="page")),
    "unset state": ("alerting-keys", lambda files: _rule(files).pop("isPaused")),
    "unknown section": ("alerting-keys", lambda files: files[RULES].update(rules=[])),
    "no version": ("alerting-keys", lambda files: files[RULES].pop("apiVersion")),
    "no folder": ("alerting-keys", lambda files: files[RULES]["groups"][0].pop("folder")),
    "odd interval": ("alerting-duration", lambda files: files[RULES]["groups"][0].update(interval="5 minutes")),
    "odd wait": ("alerting-duration", lambda files: _rule(files).update({"for": 0})),
    "long uid": ("alerting-uid", lambda files: _rule(files).update(uid="x" * 41)),
    "same uid": ("alerting-uid", lambda files: _rule(files).update(uid="holdwatch-fast-burn")),
    "unknown state": ("alerting-state", lambda files: _rule(files).update(noDataState="Ok")),
    "unknown state on errors": ("alerting-state", lambda files: _rule(files).update(execErrState="NoData")),
    "no summary": ("alerting-annotations", lambda files: _rule(files)["annotations"].pop("summary")),
    "unknown severity": ("alerting-labels", lambda files: _rule(files)["labels"].update(severity="critical")),
    "dollar": ("alerting-dollar", lambda files: _rule(files)["annotations"].update(summary="{{ $labels.a }}")),
    "no condition": ("alerting-condition", lambda files: _rule(files).update(condition="C")),
    "condition without threshold": ("alerting-condition", lambda files: _rule(files).update(condition="firing")),
    "threshold of nothing": (
        "alerting-condition",
        lambda files: _rule(files)["data"][2]["model"].update(expression="A"),
    ),
    "two data sources": (
        "alerting-datasource",
        lambda files: _rule(files)["data"][0].update(datasourceUid="elsewhere"),
    ),
    "raw events": (
        "foreign-relation",
        lambda files: _rule(files)["data"][0]["model"].update(rawSql="select 1 from holds.observability_events"),
    ),
    "no such panel": ("dead-link", lambda files: _rule(files).update(panelId=999)),
    "another panel": ("dead-link", lambda files: _rule(files)["annotations"].update(__panelId__="1")),
    "no such contact point": (
        "alerting-receiver",
        lambda files: files[POLICIES]["policies"][0].update(receiver="grafana-default-email"),
    ),
    "severity that nobody hears of": (
        "alerting-receiver",
        lambda files: files[POLICIES]["policies"][0]["routes"].pop(),
    ),
    "no such mute timing": (
        "alerting-receiver",
        lambda files: files[POLICIES]["policies"][0]["routes"][0].update(mute_time_intervals=["nights"]),
    ),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_rule_fires(alerting: Files, panels: dict[str, set[Any]], mutation: str) -> None:
    """One thing made wrong is found, by its own rule alone, and the remedy is named."""
    check, mutate = MUTATIONS[mutation]
    broken = copy.deepcopy(alerting)
    assert lint_alerting(broken, panels) == []
    mutate(broken)

    findings = lint_alerting(broken, panels)

    assert {finding.check for finding in findings} == {check}
    assert all(finding.remedy and finding.file.startswith("grafana-alerting/") for finding in findings)


def test_unreadable_file_is_found(tmp_path: Path) -> None:
    """Half a file is a finding, not a traceback."""
    dashboards.write(tmp_path)
    (tmp_path / RULES).write_text("groups: [", encoding="utf-8")
    (check,) = (check for check in CHECKS if check.name == "grafana-alerting")

    assert {finding.check for finding in check.run(Material(tmp_path)).findings} == {"unreadable"}
