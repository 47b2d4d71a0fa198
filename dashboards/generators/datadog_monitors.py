"""The Datadog monitors: they carry the verdict of ``alert_evaluations``, and decide nothing.

Samples, thresholds, periods in a row, recovery, maintenance and the minutes for which an alert goes on firing are
worked out in SQL, so that every tool fires on the same evidence. What arrives here is 0 or 1, once a minute.
"""

from __future__ import annotations

from dashboards.alerts import Alert, NoData, Severity
from dashboards.catalogue import EVALUATION_MINUTES, RUNBOOK_BASE_URL
from dashboards.datadog_metrics import FIRING, SERVICE

MANAGED_TAG = "managed_by:holdwatch"
"""What is pushed is found again, and told from what others made, by this tag."""

MUTED_TAG = "maintenance:mutes"
"""On the monitors that known maintenance keeps quiet; downtimes name them by it."""

WINDOW_MINUTES = 5
"""How far back a monitor looks for a 1.

Datadog evaluates a metric monitor every minute, and a push comes every minute. With one minute, a push that is late by
seconds, or lost, would be an evaluation without data: no alert, or the end of one. With five, and the maximum of them,
an alert is told at the first 1 and survives four lost pushes; its end is told five minutes late, which is little beside
the two periods for which it goes on firing anyway. An average or a minimum would delay its beginning instead.
"""

CRITICAL = 1
RECOVERY = 0
"""The values are 0 and 1: one firing is enough, and only none at all is the end of it."""

PLACEHOLDERS = {Severity.PAGE: "@pagerduty-holdwatch", Severity.TICKET: "@slack-holdwatch"}
"""Whoever loads the monitors has, or renames, these two."""

_PRIORITY = {Severity.PAGE: 1, Severity.TICKET: 3}

_RENOTIFY_MINUTES = {Severity.PAGE: 60, Severity.TICKET: None}

# Minutes without data until somebody is told; Datadog asks for at least twice the window. None: nobody is told.
_NO_DATA_MINUTES = {NoData.OK: None, NoData.NO_DATA: 3 * WINDOW_MINUTES, NoData.ALERTING: 2 * WINDOW_MINUTES}


def monitor(alert: Alert) -> dict[str, object]:
    """Return the body of the monitor that carries an alert."""
    no_data_minutes = _NO_DATA_MINUTES[alert.no_data]
    renotify_minutes = _RENOTIFY_MINUTES[alert.severity]
    options: dict[str, object] = {
        "thresholds": {"critical": CRITICAL, "critical_recovery": RECOVERY},
        "notify_no_data": no_data_minutes is not None,
        # One point is a verdict; a window with one lost would not be full.
        "require_full_window": False,
        "include_tags": True,
        "notify_audit": False,
        # An environment's first verdict is as good as any: there is nothing to warm up.
        "new_group_delay": 0,
    }
    if no_data_minutes is not None:
        options["no_data_timeframe"] = no_data_minutes
    if renotify_minutes is not None:
        options["renotify_interval"] = renotify_minutes
        options["renotify_statuses"] = ["alert", "no data"] if alert.no_data is NoData.ALERTING else ["alert"]
    return {
        "name": f"[holdwatch] {alert.title} in {{{{env.name}}}}",
        "type": "query alert",
        "query": (f"max(last_{WINDOW_MINUTES}m):max:{FIRING.name}{{alert:{alert.name}}} by {{env}} >= {CRITICAL}"),
        "message": _message(alert),
        "tags": [
            f"service:{SERVICE}",
            f"alert:{alert.name}",
            f"severity:{alert.severity}",
            *([MUTED_TAG] if alert.is_muted_by_maintenance else []),
            MANAGED_TAG,
        ],
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
    if alert.no_data is not NoData.OK:
        lines += [
            "{{#is_no_data}}",
            f"{alert.title} in {{{{env.name}}}}: no verdict arrives any more. There always is one, so the pipeline, or "
            "what pushes its series (holdwatch metrics push), is broken.",
            "{{/is_no_data}}",
        ]
    lines += [
        "{{#is_recovery}}",
        f"{alert.title} in {{{{env.name}}}}: over.",
        "{{/is_recovery}}",
        f"Runbook: {runbook} (docs/runbooks/{alert.signal.runbook}.md in the repository)",
        *_recipients(alert),
    ]
    return "\n".join(lines)


def _recipients(alert: Alert) -> list[str]:
    """Name who is told. When nothing arrives any more one alert wakes somebody for all of them; the others write."""
    told = PLACEHOLDERS[alert.severity]
    if alert.no_data is not NoData.NO_DATA or alert.severity is Severity.TICKET:
        return [told]
    return [
        f"{{{{^is_no_data}}}}{told}{{{{/is_no_data}}}}",
        f"{{{{#is_no_data}}}}{PLACEHOLDERS[Severity.TICKET]}{{{{/is_no_data}}}}",
    ]
