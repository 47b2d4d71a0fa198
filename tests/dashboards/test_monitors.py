"""The Datadog monitors say what the catalogue says, and the lint finds what the API would not."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

import dashboards
from dashboards.alerts import ALERTS, Alert, NoData
from dashboards.catalogue import Threshold
from dashboards.checks.monitors import lint_monitor

Json = dict[str, Any]


def _monitor(name: str) -> Json:
    parsed: Json = json.loads(dashboards.generate()[f"datadog/monitors/{name}.json"])
    return parsed


MUTATIONS: dict[str, tuple[str, Callable[[Json], object]]] = {
    "unknown key": ("monitor-keys", lambda monitor: monitor.update(querry="x")),
    "unknown option": ("monitor-keys", lambda monitor: monitor["options"].update(notify_nodata=True)),
    "no name": ("monitor-keys", lambda monitor: monitor.pop("name")),
    "wrong type": ("monitor-type", lambda monitor: monitor.update(type="log alert")),
    "no tags": ("monitor-tags", lambda monitor: monitor.update(tags=[])),
    "bare tag": ("monitor-tags", lambda monitor: monitor.update(tags=["holdwatch"])),
    "broken query": ("monitor-query", lambda monitor: monitor.update(query="max:holdwatch.x{*} > 2")),
    "other threshold": ("monitor-threshold", lambda monitor: monitor["options"]["thresholds"].update(critical=3)),
    "no threshold": ("monitor-threshold", lambda monitor: monitor["options"]["thresholds"].update(critical=None)),
    "no recovery": ("monitor-recovery", lambda monitor: monitor["options"]["thresholds"].pop("critical_recovery")),
    "recovery at the threshold": (
        "monitor-recovery",
        lambda monitor: monitor["options"]["thresholds"].update(critical_recovery=2),
    ),
    "recovery on the bad side": (
        "monitor-recovery",
        lambda monitor: monitor["options"]["thresholds"].update(critical_recovery=4),
    ),
    "bad below, recovery below": (
        "monitor-recovery",
        lambda monitor: monitor.update(query=monitor["query"].replace(">=", "<")),
    ),
    "min over a count": (
        "monitor-as-count",
        lambda monitor: monitor.update(query=monitor["query"].replace(" >=", ".as_count() >=")),
    ),
    "silent on no data": ("monitor-no-data", lambda monitor: monitor["options"].pop("notify_no_data")),
    "impatient": ("monitor-no-data", lambda monitor: monitor["options"].update(no_data_timeframe=6)),
    "no runbook": ("missing-runbook", lambda monitor: monitor.update(message="Look! @pagerduty-holdwatch")),
    "runbook elsewhere": (
        "missing-runbook",
        lambda monitor: monitor.update(message=monitor["message"].replace("holdwatch.example", "wiki.example")),
    ),
    "nobody told": ("monitor-handle", lambda monitor: monitor.update(message=monitor["message"].replace("@", ""))),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_rule_fires(mutation: str) -> None:
    """One thing made wrong is found by its own rule."""
    check, mutate = MUTATIONS[mutation]
    monitor = copy.deepcopy(_monitor("success_rate_low"))
    assert lint_monitor("one.json", monitor) == []
    mutate(monitor)

    findings = lint_monitor("one.json", monitor)

    assert check in {finding.check for finding in findings}
    assert {finding.check for finding in findings} <= {check, "monitor-recovery"}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_monitor_waits_for_the_alerts_periods(alert: Alert) -> None:
    """The query fires at the catalogue's number of periods in a row, and is over at none."""
    monitor = _monitor(alert.name)
    match = re.fullmatch(
        r"min\(last_5m\):max:holdwatch\.alert\.consecutive_breaches\{alert:(\w+)\} by \{alert,env\} >= (\d)",
        monitor["query"],
    )

    assert match is not None
    assert match.groups() == (alert.name, str(alert.periods))
    assert monitor["options"]["thresholds"] == {"critical": alert.periods, "critical_recovery": 0}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_monitor_treats_no_data_as_the_catalogue_says(alert: Alert) -> None:
    """An alert without data is silent only where that is no fault."""
    options = _monitor(alert.name)["options"]

    assert options["notify_no_data"] is (alert.no_data is not NoData.OK)
    assert ("no_data_timeframe" in options) is (alert.no_data is not NoData.OK)


def test_only_double_booking_fires_at_once() -> None:
    """Every other alert needs two periods."""
    assert {alert.name for alert in ALERTS if alert.periods == 1} == {"double_booking"}


def test_threshold_with_its_recovery_on_the_bad_side_is_refused() -> None:
    """A recovery beyond the breach would end an alert while it is bad."""
    with pytest.raises(ValueError, match="bad side"):
        Threshold(breach=3000, recovery=3500, is_bad_above=True)
    with pytest.raises(ValueError, match="bad side"):
        Threshold(breach=0.95, recovery=0.9, is_bad_above=False)
