"""Grafana's alerting files carry the alerts' verdicts, and each rule of their lint fires on what it is for."""

from __future__ import annotations

from typing import Any

import pytest

from dashboards.alerts import ALERTS, NoData, Severity
from dashboards.catalogue import EVALUATION_MINUTES
from dashboards.checks.lint import all_panels

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
