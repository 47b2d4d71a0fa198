"""The Datadog monitors say what the catalogue says; what the lint finds is in test_mutations.py."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

import dashboards
from dashboards.alerts import ALERTS, Alert, NoData
from dashboards.catalogue import Threshold

Json = dict[str, Any]


def _monitor(name: str) -> Json:
    parsed: Json = json.loads(dashboards.generate()[f"datadog/monitors/{name}.json"])
    return parsed


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_monitor_carries_the_verdict_of_its_alert(alert: Alert) -> None:
    """Waiting and recovering are SQL's to do: it fires while the verdict says so, for each environment."""
    monitor = _monitor(alert.name)

    assert monitor["query"] == f"max(last_5m):max:holdwatch.alert.firing{{alert:{alert.name}}} by {{env}} >= 1"
    assert monitor["options"]["thresholds"] == {"critical": 1, "critical_recovery": 0}
    assert {f"alert:{alert.name}", f"severity:{alert.severity}", "managed_by:holdwatch"} <= set(monitor["tags"])


def test_only_one_alert_wakes_somebody_when_nothing_arrives_any_more() -> None:
    """Every series stops together; of the alerts that say so one pages, and the others write."""
    paging = set()
    for alert in ALERTS:
        monitor = _monitor(alert.name)
        always = re.sub(r"\{\{\^is_no_data\}\}.*?\{\{/is_no_data\}\}", "", monitor["message"])
        if monitor["options"]["notify_no_data"] and "@pagerduty" in always:
            paging.add(alert.name)
            assert "no data" in monitor["options"]["renotify_statuses"]

    assert paging == {"telemetry_stale"}


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
