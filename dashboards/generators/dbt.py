"""What of the catalogue dbt needs: the alerts' rules as a model, and the examples of their behaviour as its unit tests.

So ``analytics.alert_evaluations`` judges by what the catalogue says, and is tested by what Prometheus is tested by.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from dashboards.alert_cases import ALERT_CASES
from dashboards.alerts import ALERTS, KEPT_FIRING_PERIODS, Alert
from dashboards.catalogue import EVALUATION_MINUTES

_HEAD = """{# Generated from dashboards/alerts.py by `holdwatch dashboards build`: change it there. #}

with

rules (
    alert, severity, breach, recovery, is_bad_above, minimum_sample, minimum_faults, periods_to_fire,
    periods_kept_firing, is_muted_by_maintenance
) as (
    values
"""
_TAIL = """
)

select
    cast(alert as text) as alert,
    cast(severity as text) as severity,
    cast(breach as float8) as breach,
    cast(recovery as float8) as recovery,
    is_bad_above,
    minimum_sample,
    minimum_faults,
    periods_to_fire,
    periods_kept_firing,
    is_muted_by_maintenance
from rules
"""


_TESTS = """# Generated from dashboards/alert_cases.py by `holdwatch dashboards build`: change it there.
version: 2

unit_tests:
  - name: alerts_behave_as_the_examples_say
    description: Each environment is an example of its own, named after what it shows.
    model: alert_history
    given:
      - input: ref('alert_rules')
        format: csv
        rows: |
          alert,severity,breach,recovery,is_bad_above,minimum_sample,minimum_faults,periods_to_fire,periods_kept_firing,is_muted_by_maintenance
{rules}
      - input: ref('int_alert_values')
        format: csv
        rows: |
          alert,environment,bucket_at,value,threshold,sample_count,fault_count,is_in_maintenance
{given}
    expect:
      format: csv
      rows: |
          alert,environment,bucket_at,is_firing
{expected}"""
_FIRST_PERIOD = datetime(2026, 1, 1, tzinfo=UTC)


def alert_rules() -> str:
    """Return the model's text."""
    return _HEAD + ",\n".join(f"    {_row(alert)}" for alert in ALERTS) + _TAIL


def unit_tests() -> str:
    """Return the unit test of the model ``alert_history`` as YAML: each example is an environment of its own."""
    thresholds = {alert.name: alert.threshold.breach for alert in ALERTS}
    given: list[tuple[object, ...]] = []
    expected: list[tuple[object, ...]] = []
    for case in ALERT_CASES:
        for number, period in enumerate(case.periods):
            at = _FIRST_PERIOD + number * timedelta(minutes=EVALUATION_MINUTES)
            given.append(
                (case.alert, case.name, at, period.value, thresholds[case.alert], period.sample, period.faults,
                 period.is_in_maintenance)
            )  # fmt: skip
            expected.append((case.alert, case.name, at, period.is_firing))
    return _TESTS.format(rules=_csv([_fields(alert) for alert in ALERTS]), given=_csv(given), expected=_csv(expected))


def _fields(alert: Alert) -> tuple[object, ...]:
    threshold = alert.threshold
    return (
        alert.name,
        str(alert.severity),
        f"{threshold.breach:g}",
        f"{threshold.recovery:g}",
        threshold.is_bad_above,
        threshold.minimum_sample,
        alert.minimum_faults,
        alert.periods,
        KEPT_FIRING_PERIODS,
        alert.is_muted_by_maintenance,
    )


def _row(alert: Alert) -> str:
    name, severity, *rest = _fields(alert)
    return f"('{name}', '{severity}', {', '.join(_cell(value) for value in rest)})"


def _csv(rows: list[tuple[object, ...]]) -> str:
    return "".join(f"          {','.join(_cell(value) for value in row)}\n" for row in rows)


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}+00"
        case _:
            return str(value)
