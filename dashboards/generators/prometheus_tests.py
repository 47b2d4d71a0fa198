"""Unit tests of the Prometheus rules for ``promtool test rules``: the examples of the alerts, and scrapes that fail.

The examples are those that dbt tests the SQL with. What SQL says of each period goes in; who is told must come out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from dashboards.alert_cases import ALERT_CASES, AlertCase
from dashboards.alerts import ALERTS, Alert
from dashboards.catalogue import EVALUATION_MINUTES
from dashboards.exposition import FIRING, PREFIX, UP
from dashboards.generators.prometheus import BLIND_MINUTES, JOB, KEPT_MINUTES, rule_name, rules

RULE_FILE = "../rules/holdwatch.yaml"

Json = dict[str, Any]

_BY_NAME = {alert.name: alert for alert in ALERTS}
_VALUE = re.compile(r"\{\{ with .* end \}\}")
_ANNOTATIONS = {
    rule["alert"]: rule["annotations"] for group in rules()["groups"] for rule in group["rules"] if "alert" in rule
}


def tests() -> dict[str, Json]:
    """Return the test files by name, without a suffix."""
    verdicts = {case.name: [period.is_firing for period in case.periods] for case in ALERT_CASES}
    return {"alerts": case_tests(verdicts), "blindness": _file(_blindness_tests())}


def case_tests(verdicts: Mapping[str, Sequence[bool]], rule_file: str = RULE_FILE) -> Json:
    """Return the tests of the examples.

    Args:
        verdicts: What SQL says of each example's periods, by its name; the rules are scraped this.
        rule_file: Path of the rules, from the file with the tests.
    """
    return _file([_case_test(case, verdicts[case.name]) for case in ALERT_CASES], rule_file)


def _file(tests: list[Json], rule_file: str = RULE_FILE) -> Json:
    return {"rule_files": [rule_file], "evaluation_interval": "1m", "tests": tests}


def _case_test(case: AlertCase, verdicts: Sequence[bool]) -> Json:
    alert = _BY_NAME[case.alert]
    labels = f'alert="{alert.name}",environment="{case.name}",severity="{alert.severity}"'
    factor = 0.001 if alert.signal.unit == "ms" else 1
    values = [None if period.value is None else period.value * factor for period in case.periods]
    return {
        "name": case.name,
        "interval": "1m",
        "input_series": [
            {"series": f"{FIRING}{{{labels}}}", "values": _scrapes([int(verdict) for verdict in verdicts])},
            {"series": f"{PREFIX}alert_value{{{labels}}}", "values": _scrapes(values)},
        ],
        "alert_rule_test": [
            {
                "alertname": rule_name(alert),
                # Within the period, whose verdict is there from its beginning.
                "eval_time": f"{number * EVALUATION_MINUTES + 1}m",
                "exp_alerts": [_expected(alert, case.name, value)] if period.is_firing else [],
            }
            for number, (period, value) in enumerate(zip(case.periods, values, strict=True))
        ],
    }


def _scrapes(values: Sequence[float | None]) -> str:
    """Each value once a minute throughout its period; where there is none, the series ends."""
    again = EVALUATION_MINUTES - 1
    return " ".join(f"stale _x{again}" if value is None else f"{value:.10g}x{again}" for value in values)


def _expected(alert: Alert, environment: str, value: float | None) -> Json:
    labels = {"alert": alert.name, "environment": environment, "severity": str(alert.severity)}
    return {"exp_labels": labels, "exp_annotations": _said(rule_name(alert), labels, value)}


def _said(rule: str, labels: dict[str, str], value: float | None = None) -> dict[str, str]:
    """The annotations as Prometheus must fill them in for an alert with these labels."""
    places = {f"{{{{ $labels.{label} }}}}": content for label, content in labels.items()}
    places["{{ $value }}"] = str(len(ALERTS) - 1)

    def fill(text: str) -> str:
        for place, content in places.items():
            text = text.replace(place, content)
        return _VALUE.sub("not known" if value is None else f"{value:.4g}", text)

    return {key: fill(text) for key, text in _ANNOTATIONS[rule].items()}


_FIRING = f'{FIRING}{{alert="double_booking",environment="prod",severity="page",instance="%s"}}'
_ONE_DOUBLE_BOOKING = {"alert": "double_booking", "environment": "prod", "severity": "page"}


def _blindness_tests() -> list[Json]:
    """What becomes of alerts, and who is told, when scrapes fail."""
    return [
        _blindness_test(
            "an exporter that is down is told of, after a while",
            {f'up{{job="{JOB}",instance="a"}}': "1 0x9"},
            "HoldwatchExporterDown",
            {5: [], 6: [{"job": JOB, "instance": "a", "severity": "page"}]},
        ),
        _blindness_test(
            "a job that is not there is told of",
            {'up{job="another",instance="a"}': "1x10"},
            "HoldwatchExporterDown",
            {BLIND_MINUTES - 1: [], BLIND_MINUTES: [{"job": JOB, "severity": "page"}]},
        ),
        _blindness_test(
            "a database that cannot be read is told of",
            {f'{UP}{{job="{JOB}",instance="a"}}': "1 0x3 1 0x9"},
            "HoldwatchDatabaseUnreadable",
            {4: [], 10: [], 11: [{"job": JOB, "instance": "a", "severity": "page"}]},
        ),
        _blindness_test(
            "alerts without a verdict are told of",
            {
                f'{FIRING}{{alert="{alert.name}",environment="{environment}"}}': "0x10"
                for environment, judged in (("prod", ALERTS), ("staging", ALERTS[:-1]))
                for alert in judged
            },
            "HoldwatchNotJudged",
            {4: [], 6: [{"environment": "staging", "severity": "ticket"}]},
        ),
        _blindness_test(
            "an exporter that starts anew ends no incident",
            {_FIRING % "a": "0 1x4 stale _x3 1x4 0"},
            "HoldwatchDoubleBooking",
            {0: [], **{minute: [_ONE_DOUBLE_BOOKING] for minute in range(1, 15)}, 16: []},
        ),
        _blindness_test(
            "what was known stays known for a while, and no longer",
            {_FIRING % "a": "1 stale _x20"},
            "HoldwatchDoubleBooking",
            {KEPT_MINUTES - 1: [_ONE_DOUBLE_BOOKING], KEPT_MINUTES + 1: []},
        ),
        _blindness_test(
            "an exporter elsewhere says what is so now",
            {_FIRING % "a": "1 1 stale", _FIRING % "b": "_ _ 0x9"},
            "HoldwatchDoubleBooking",
            {1: [_ONE_DOUBLE_BOOKING], 2: []},
        ),
        _blindness_test(
            "two exporters of one database tell once",
            {_FIRING % "a": "1x5", _FIRING % "b": "1x5"},
            "HoldwatchDoubleBooking",
            {3: [_ONE_DOUBLE_BOOKING]},
        ),
    ]


def _blindness_test(name: str, series: dict[str, str], rule: str, expected: dict[int, list[Json]]) -> Json:
    return {
        "name": name,
        "interval": "1m",
        "input_series": [{"series": one, "values": values} for one, values in series.items()],
        "alert_rule_test": [
            {
                "alertname": rule,
                "eval_time": f"{minute}m",
                "exp_alerts": [{"exp_labels": labels, "exp_annotations": _said(rule, labels)} for labels in labels_of],
            }
            for minute, labels_of in expected.items()
        ],
    }
