"""The objective of success as a Datadog SLO, over counts that are pushed for it."""

from __future__ import annotations

from dashboards.catalogue import RUNBOOK_BASE_URL, SUCCESS_OBJECTIVE, SUCCESS_RATE
from dashboards.datadog_metrics import OBJECTIVE_GOOD, OBJECTIVE_REQUESTS, SERVICE
from dashboards.generators.datadog_monitors import MANAGED_TAG

TIMEFRAME = "30d"
SUCCESS_TAG = "slo:success"


def success_objective() -> dict[str, object]:
    """Return the body: of the requests of 30 days 95 % got their tables, in each environment.

    Datadog sums counts alone; so both are counts by the minute, which a second push does not double.
    """
    assert SUCCESS_RATE.threshold is not None
    target = 100 * SUCCESS_OBJECTIVE
    return {
        "name": f"[holdwatch] {target:g} % of requests get their tables",
        "type": "metric",
        "description": (
            f"Of the requests of {TIMEFRAME.removesuffix('d')} days, those that a full restaurant refused left out, at "
            f"least {target:g} % get their tables. What is missing to 100 % is the error budget. "
            f"Runbook: {RUNBOOK_BASE_URL}/error-budget.md#first-five-minutes"
        ),
        "query": {
            "numerator": f"sum:{OBJECTIVE_GOOD.name}{{*}} by {{env}}.as_count()",
            "denominator": f"sum:{OBJECTIVE_REQUESTS.name}{{*}} by {{env}}.as_count()",
        },
        "thresholds": [{"timeframe": TIMEFRAME, "target": target, "warning": 100 * SUCCESS_RATE.threshold.recovery}],
        "timeframe": TIMEFRAME,
        "target_threshold": target,
        "warning_threshold": 100 * SUCCESS_RATE.threshold.recovery,
        "tags": [f"service:{SERVICE}", SUCCESS_TAG, MANAGED_TAG],
    }
