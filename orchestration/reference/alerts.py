"""docs/reference/alerts.md: each alert as the catalogue says it."""

from __future__ import annotations

from collections.abc import Iterator

from dashboards.alerts import ALERTS, KEPT_FIRING_PERIODS, Alert, NoData
from dashboards.anchors import anchor
from dashboards.catalogue import EVALUATION_MINUTES
from orchestration.markdown import head, table

_SILENCE = {
    NoData.OK: "nothing: it stays quiet",
    NoData.NO_DATA: "Grafana's and Datadog's own word for it, no data",
    NoData.ALERTING: "that it fires",
}


def page() -> str:
    """Return the page."""
    lines = head("Alerts", "dashboards/alerts.py and dashboards/catalogue.py")
    lines += [
        "All are judged by `analytics.alert_evaluations`; [alerting](../alerting.md) says how, and "
        "[the runbooks](../runbooks/README.md) what to do. An evaluation is every "
        f"{EVALUATION_MINUTES} minutes, unless the database says otherwise.",
        "",
    ]
    names = ("alert", "tells", "fires when", "runbook")
    lines += table(names, (_summary(alert) for alert in ALERTS))
    for alert in ALERTS:
        lines += [f"## {alert.name}", "", *_page(alert)]
    return "\n".join(lines).rstrip("\n") + "\n"


def _summary(alert: Alert) -> tuple[str, ...]:
    return f"[`{alert.name}`](#{anchor(alert.name)})", alert.severity, alert.condition, _runbook(alert)


def _page(alert: Alert) -> Iterator[str]:
    threshold = alert.threshold
    yield f"**{alert.title}.** Fires when {alert.condition}. {alert.consequence}"
    yield ""
    side = "above" if threshold.is_bad_above else "below"
    rows = [
        ("tells", alert.severity),
        ("watches", f"[`analytics.{alert.signal.view}`](views.md#{anchor(alert.signal.view)})"),
        ("breaches", f"{side} {threshold.breach:g}"),
        ("recovers", "where it no longer breaches" if _has_no_margin(alert) else f"at {threshold.recovery:g}"),
        ("needs a sample of", str(threshold.minimum_sample or "any")),
        ("needs faults", str(alert.minimum_faults or "any")),
        ("fires after", _evaluations(alert.periods)),
        ("goes on for", f"{KEPT_FIRING_PERIODS} evaluations after the last breach"),
        ("missing data means", _SILENCE[alert.no_data]),
        ("known maintenance", "keeps it quiet" if alert.is_muted_by_maintenance else "does not keep it quiet"),
        ("good is", alert.signal.good),
        ("runbook", _runbook(alert)),
    ]
    yield from table(("asked", "answer"), rows)


def _has_no_margin(alert: Alert) -> bool:
    return alert.threshold.recovery == alert.threshold.breach


def _evaluations(count: int) -> str:
    return "one evaluation that breaches" if count == 1 else f"{count} in a row that breach"


def _runbook(alert: Alert) -> str:
    return f"[{alert.signal.runbook}](../runbooks/{alert.signal.runbook}.md#first-five-minutes)"
