"""What Datadog is sent, said once: each metric with its kind, unit, tags and meaning.

``dashboards.pushing.points`` reads them from the views; the monitors, the dashboard and the objective ask for nothing
else, which the lint makes sure of.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

SERVICE = "holdwatch"
"""Every series has the tag ``service:holdwatch``."""


class Kind(IntEnum):
    """How Datadog adds points up, by the numbers of its API (``MetricIntakeType``)."""

    COUNT = 1
    GAUGE = 3


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: As Datadog has it.
        kind: A count is of one minute, and is summed over time; a gauge is as of now.
        tags: The tags that its series have, besides ``service``.
        meaning: One sentence.
        unit: Datadog's name of the unit; None where it has none.
    """

    name: str
    kind: Kind
    tags: tuple[str, ...]
    meaning: str
    unit: str | None = None


FIRING = Metric(
    "holdwatch.alert.firing",
    Kind.GAUGE,
    ("alert", "env", "severity"),
    "1 while an alert fires, else 0: the verdict of `alert_evaluations`, which the monitors carry.",
)
CONSECUTIVE_BREACHES = Metric(
    "holdwatch.alert.consecutive_breaches",
    Kind.GAUGE,
    ("alert", "env", "severity"),
    "Evaluation periods in a row, up to the newest, that breached outside of maintenance.",
)
ALERT_VALUE = Metric(
    "holdwatch.alert.value",
    Kind.GAUGE,
    ("alert", "env", "severity"),
    "What the alert compares, in its own unit; missing where there is nothing to compare.",
)
ALERT_THRESHOLD = Metric(
    "holdwatch.alert.threshold",
    Kind.GAUGE,
    ("alert", "env", "severity"),
    "What it is compared with.",
)

SUCCESS_RATIO = Metric(
    "holdwatch.assignment_success_rate",
    Kind.GAUGE,
    ("env", "restaurant"),
    "Share of the requests of the newest hour that got their tables, from 0 to 1.",
)
LATENCY = Metric(
    "holdwatch.reservation_latency_ms",
    Kind.GAUGE,
    ("env", "percentile", "phase", "restaurant"),
    "Latency of the newest hour's requests at a percentile (0.5, 0.95, 0.99) of a phase (total, planner).",
    "millisecond",
)
EXHAUSTION_RATIO = Metric(
    "holdwatch.hold_retry_exhaustion_ratio",
    Kind.GAUGE,
    ("env", "restaurant"),
    "Share of the requests of the newest hour that ran out of retries, from 0 to 1.",
)
DOUBLE_BOOKINGS = Metric(
    "holdwatch.double_bookings",
    Kind.GAUGE,
    ("env", "restaurant"),
    "Pairs of bookings that hold one table at the same time, now.",
)
BURN_RATE = Metric(
    "holdwatch.error_budget.burn_rate",
    Kind.GAUGE,
    ("env", "window"),
    "How fast the error budget burns over the newest 1h, 6h, 72h or 720h; over 720h it is the share that is spent.",
)

LAG = Metric(
    "holdwatch.pipeline.lag_seconds",
    Kind.GAUGE,
    ("env",),
    "Time since the newest event was recorded.",
    "second",
)
REFRESH_LAG = Metric(
    "holdwatch.pipeline.refresh_lag_seconds",
    Kind.GAUGE,
    ("env",),
    "Time since the rollup that was refreshed least recently was.",
    "second",
)
RUN_AGE = Metric(
    "holdwatch.pipeline.run_age_seconds",
    Kind.GAUGE,
    ("env",),
    "Time since a pipeline run last succeeded; missing where none has.",
    "second",
)
IS_BLOCKED = Metric(
    "holdwatch.pipeline.is_blocked",
    Kind.GAUGE,
    ("env",),
    "1 while a data-quality gate blocks the pipeline, else 0.",
)

REQUESTS = Metric(
    "holdwatch.requests",
    Kind.COUNT,
    ("env", "outcome", "restaurant"),
    "Requests for tables, by outcome: assigned or skipped.",
    "request",
)
EXHAUSTED = Metric(
    "holdwatch.requests.exhausted",
    Kind.COUNT,
    ("env", "restaurant"),
    "Requests that ran out of retries.",
    "request",
)
CUTOFFS = Metric(
    "holdwatch.cutoffs",
    Kind.COUNT,
    ("env", "kind", "restaurant"),
    "Limits, timeouts and manual steps, by kind: hold_rate_limit, cutoff, manual.",
)
ERRORS = Metric(
    "holdwatch.errors",
    Kind.COUNT,
    ("class", "code", "env", "severity", "source"),
    "Errors of the taxonomy, all restaurants together.",
    "error",
)
OBJECTIVE_REQUESTS = Metric(
    "holdwatch.objective.requests",
    Kind.COUNT,
    ("env",),
    "Requests that the objective of success is judged by: without those that a full restaurant refused.",
    "request",
)
OBJECTIVE_GOOD = Metric(
    "holdwatch.objective.good",
    Kind.COUNT,
    ("env",),
    "Those of them that got their tables.",
    "request",
)

METRICS = {
    metric.name: metric
    for metric in (
        FIRING,
        CONSECUTIVE_BREACHES,
        ALERT_VALUE,
        ALERT_THRESHOLD,
        SUCCESS_RATIO,
        LATENCY,
        EXHAUSTION_RATIO,
        DOUBLE_BOOKINGS,
        BURN_RATE,
        LAG,
        REFRESH_LAG,
        RUN_AGE,
        IS_BLOCKED,
        REQUESTS,
        EXHAUSTED,
        CUTOFFS,
        ERRORS,
        OBJECTIVE_REQUESTS,
        OBJECTIVE_GOOD,
    )
}
