"""The Prometheus files: alert rules, their unit tests, and examples of how to scrape and whom to tell.

A rule decides nothing: ``holdwatch_alert_firing`` is 1 or 0, judged in SQL, and a rule says it on. All a rule adds is
what SQL cannot know: that nothing was scraped at all.
"""

from __future__ import annotations

from typing import Any

import yaml

from dashboards.alerts import ALERTS, Alert, Severity
from dashboards.catalogue import EVALUATION_MINUTES, RUNBOOK_BASE_URL
from dashboards.exposition import FIRING, PREFIX, UP

RULES = "prometheus/rules/holdwatch.yaml"
SCRAPE = "prometheus/scrape.yaml"
ALERTMANAGER = "prometheus/alertmanager.yaml"

JOB = "holdwatch"
"""The job's name in ``scrape.yaml``; the rules watch a job of this name."""

SCRAPE_SECONDS = 15

KEPT_MINUTES = 10
"""For so long an alert goes on that fired when scrapes began to fail: a restart of the exporter ends no incident."""

BLIND_MINUTES = 5
"""Without scrapes, or without a database, until somebody is told."""

KNOWN_FIRING = "alert:holdwatch_alert_firing:max"

_LABELS = "alert, environment, severity"
_HEAD = "# Generated from dashboards/alerts.py by `holdwatch dashboards build`: change it there.\n"
_NOT_JUDGED = "telemetry-stale"

Json = dict[str, Any]


def rule_name(alert: Alert) -> str:
    """Return the name of an alert's rule, for example ``HoldwatchSuccessRateLow``."""
    return "Holdwatch" + "".join(word.capitalize() for word in alert.name.split("_"))


def files() -> dict[str, str]:
    """Return the files as paths below ``dashboards/`` and their texts."""
    from dashboards.generators.prometheus_tests import tests  # noqa: PLC0415  it reads the rules made here

    return {
        RULES: _text(rules()),
        SCRAPE: _text(_scrape(), _SCRAPE_NOTE),
        ALERTMANAGER: _text(_alertmanager(), _ALERTMANAGER_NOTE),
    } | {f"prometheus/tests/{name}.yaml": _text(content) for name, content in tests().items()}


def rules() -> Json:
    """Return the rules, as Prometheus has them."""
    return {
        "groups": [
            {"name": "holdwatch", "rules": [_known_firing(), *(_alert_rule(alert) for alert in ALERTS)]},
            {"name": "holdwatch-blind", "rules": _blindness()},
        ]
    }


def _known_firing() -> Json:
    """The newest verdicts: one for several exporters of a database, and a while longer where scrapes fail."""
    aggregated = f"max by ({_LABELS})"
    return {
        "record": KNOWN_FIRING,
        "expr": f"{aggregated} ({FIRING}) or {aggregated} (last_over_time({FIRING}[{KEPT_MINUTES}m]))",
    }


def _alert_rule(alert: Alert) -> Json:
    value = f'{PREFIX}alert_value{{alert="{alert.name}",environment=%q}}'
    return {
        "alert": rule_name(alert),
        "expr": f'{KNOWN_FIRING}{{alert="{alert.name}"}} == 1',
        "labels": {"severity": str(alert.severity)},
        "annotations": {
            "summary": f"{alert.title} in {{{{ $labels.environment }}}}",
            "description": (
                f"It fires when {_periods(alert)}{alert.condition}. {alert.consequence} Now: "
                f"{{{{ with printf {_quoted(value)} $labels.environment | query }}}}"
                '{{ . | first | value | printf "%.4g" }}{{ else }}not known{{ end }}'
                f"{_UNITS[alert.signal.unit]}."
            ),
            "runbook_url": _runbook(alert.signal.runbook),
        },
    }


_UNITS = {"percentunit": " (a ratio)", "ms": " s", "s": " s", "short": ""}


def _quoted(text: str) -> str:
    return f"`{text}`"


def _periods(alert: Alert) -> str:
    return "" if alert.periods == 1 else f"in {alert.periods} evaluations in a row "


def _runbook(page: str) -> str:
    return f"{RUNBOOK_BASE_URL}/{page}.md#first-five-minutes"


def _blindness() -> list[Json]:
    return [
        _blind_rule(
            "HoldwatchExporterDown",
            f'up{{job="{JOB}"}} == 0 or absent(up{{job="{JOB}"}})',
            "holdwatch is not scraped",
            f"The scrapes of the job {JOB} fail, or there is no such job; is holdwatch metrics serve up? "
            "No alert of holdwatch can fire.",
        ),
        _blind_rule(
            "HoldwatchDatabaseUnreadable",
            f"{UP} == 0",
            "holdwatch cannot read its database",
            "The exporter {{ $labels.instance }} answers, and its database does not; its log says why. "
            "No alert of holdwatch can fire.",
        ),
        _blind_rule(
            "HoldwatchNotJudged",
            f"count by (environment) (max by (alert, environment) ({FIRING})) < {len(ALERTS)}",
            "holdwatch judges only some alerts in {{ $labels.environment }}",
            f"Of {len(ALERTS)} alerts {{{{ $value }}}} have a verdict: views and rules are of different releases.",
            Severity.TICKET,
        ),
    ]


def _blind_rule(name: str, expression: str, summary: str, description: str, severity: Severity = Severity.PAGE) -> Json:
    return {
        "alert": name,
        "expr": expression,
        "for": f"{BLIND_MINUTES}m",
        "labels": {"severity": str(severity)},
        "annotations": {"summary": summary, "description": description, "runbook_url": _runbook(_NOT_JUDGED)},
    }


_SCRAPE_NOTE = """\
# An example, complete enough for Prometheus to load. Of your own configuration it needs the job, with this name, the
# rules and the Alertmanager; paths are relative to the file.
"""


def _scrape() -> Json:
    return {
        "global": {"scrape_interval": f"{SCRAPE_SECONDS}s", "evaluation_interval": f"{SCRAPE_SECONDS}s"},
        "rule_files": ["rules/holdwatch.yaml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": ["127.0.0.1:9093"]}]}]},
        "scrape_configs": [
            {
                "job_name": JOB,
                "scrape_interval": f"{SCRAPE_SECONDS}s",
                "scrape_timeout": "10s",
                "static_configs": [{"targets": ["127.0.0.1:9798"]}],
            }
        ],
    }


_ALERTMANAGER_NOTE = """\
# An example: who is woken, and who is told during the day. The two addresses are placeholders.
"""


def _alertmanager() -> Json:
    return {
        "route": {
            "receiver": "ticket",
            "group_by": ["alertname", "environment"],
            "group_wait": "30s",
            "group_interval": f"{EVALUATION_MINUTES}m",
            "repeat_interval": "24h",
            "routes": [
                {
                    "receiver": "page",
                    "matchers": [f'severity="{Severity.PAGE}"'],
                    "group_wait": "5s",
                    "group_interval": "1m",
                    "repeat_interval": "1h",
                }
            ],
        },
        # A budget that burns fast burns slowly as well: one call is enough.
        "inhibit_rules": [
            {
                "source_matchers": ['alertname="HoldwatchFastBurn"'],
                "target_matchers": ['alertname=~"HoldwatchSlowBurn|HoldwatchBudgetBurn"'],
                "equal": ["environment"],
            },
            {
                "source_matchers": ['alertname="HoldwatchSlowBurn"'],
                "target_matchers": ['alertname="HoldwatchBudgetBurn"'],
                "equal": ["environment"],
            },
        ],
        "receivers": [
            {"name": "page", "webhook_configs": [{"url": "https://pager.example/holdwatch"}]},
            {"name": "ticket", "webhook_configs": [{"url": "https://tickets.example/holdwatch"}]},
        ],
    }


def _text(content: Json, note: str = "") -> str:
    body = yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True, default_flow_style=False)
    return f"{_HEAD}{note}{body}"


class _Dumper(yaml.SafeDumper):
    """Lists indented as people write them, and no anchors."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002  pyyaml's own
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002  likewise
        """Write everything out."""
        return True
