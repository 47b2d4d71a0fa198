"""The Datadog monitors: bodies for the API, for Terraform's ``datadog_monitor_json``, and for import in the UI.

A monitor decides nothing: the number of periods in a row that breached is worked out in SQL (maintenance, samples and
recovery included) and sent as a gauge, so that every tool fires on the same evidence.
"""

from __future__ import annotations

import json

from dashboards.alerts import ALERTS, Alert, NoData, Severity
from dashboards.catalogue import EVALUATION_MINUTES, RUNBOOK_BASE_URL

METRIC = "holdwatch.alert.consecutive_breaches"
"""Gauge, tagged ``alert`` and ``env``: evaluations in a row, up to the newest, that breached; 0 where all is well."""

RECOVERY = 0
"""Over when the newest evaluation did not breach; the recovery value of the signal itself is in the SQL."""

_NOTIFY = {Severity.PAGE: "@pagerduty-holdwatch", Severity.TICKET: "@slack-holdwatch"}
"""Placeholders: whoever loads the monitors has, or renames, these two."""

_PRIORITY = {Severity.PAGE: 1, Severity.TICKET: 3}

_RENOTIFY_MINUTES = {Severity.PAGE: 60, Severity.TICKET: None}

# Minutes without data until somebody is told; Datadog asks for at least twice the window. None: nobody is told.
_NO_DATA_MINUTES = {
    NoData.OK: None,
    NoData.NO_DATA: 3 * EVALUATION_MINUTES,
    NoData.ALERTING: 2 * EVALUATION_MINUTES,
}


def files() -> dict[str, str]:
    """Return the monitors as paths below ``dashboards/`` and their texts."""
    return {
        f"datadog/monitors/{alert.name}.json": json.dumps(_monitor(alert), indent=2, ensure_ascii=False) + "\n"
        for alert in ALERTS
    }


def _monitor(alert: Alert) -> dict[str, object]:
    no_data_minutes = _NO_DATA_MINUTES[alert.no_data]
    renotify_minutes = _RENOTIFY_MINUTES[alert.severity]
    options: dict[str, object] = {
        "thresholds": {"critical": alert.periods, "critical_recovery": RECOVERY},
        "notify_no_data": no_data_minutes is not None,
        # One point each evaluation: a full window would never be full.
        "require_full_window": False,
        "include_tags": True,
        "notify_audit": False,
        "new_group_delay": 60 * EVALUATION_MINUTES,
    }
    if no_data_minutes is not None:
        options["no_data_timeframe"] = no_data_minutes
    if renotify_minutes is not None:
        options["renotify_interval"] = renotify_minutes
        options["renotify_statuses"] = ["alert"] if no_data_minutes is None else ["alert", "no data"]
    return {
        "name": f"[holdwatch] {alert.title} in {{{{env.name}}}}",
        "type": "query alert",
        "query": (
            f"min(last_{EVALUATION_MINUTES}m):max:{METRIC}{{alert:{alert.name}}} by {{alert,env}} >= {alert.periods}"
        ),
        "message": _message(alert),
        "tags": ["service:holdwatch", f"alert:{alert.name}", f"severity:{alert.severity}", "managed_by:holdwatch"],
        "priority": _PRIORITY[alert.severity],
        "options": options,
    }


def _message(alert: Alert) -> str:
    runbook = f"{RUNBOOK_BASE_URL}/{alert.signal.runbook}.md#first-five-minutes"
    evaluations = "in one evaluation" if alert.periods == 1 else f"in {alert.periods} evaluations in a row"
    lines = [
        "{{#is_alert}}",
        f"{alert.title} in {{{{env.name}}}}: {alert.condition} ({evaluations}, {EVALUATION_MINUTES} minutes apart).",
        alert.consequence,
        "{{/is_alert}}",
    ]
    if _NO_DATA_MINUTES[alert.no_data] is not None:
        lines += [
            "{{#is_no_data}}",
            f"{alert.title}: no evaluation arrives any more. It always has a value, so the pipeline is broken.",
            "{{/is_no_data}}",
        ]
    lines += [
        "{{#is_recovery}}",
        f"{alert.title} in {{{{env.name}}}}: over.",
        "{{/is_recovery}}",
        f"Runbook: {runbook} (docs/runbooks/{alert.signal.runbook}.md in the repository)",
        _NOTIFY[alert.severity],
    ]
    return "\n".join(lines)
