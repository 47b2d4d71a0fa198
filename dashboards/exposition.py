"""What ``/metrics`` exposes: each metric, where it is read, and what it means. In base units: seconds, ratios, counts.

One statement reads all of them, so that they are of one moment, and so that PostgreSQL plans it once and for all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dashboards.alerts import ALERTS

if TYPE_CHECKING:
    from prometheus_client.core import Metric as MetricFamily

PREFIX = "holdwatch_"
UP = f"{PREFIX}up"
FIRING = f"{PREFIX}alert_firing"


@dataclass(frozen=True)
class Metric:
    """One metric, read from one view.

    Attributes:
        name: As it is exposed.
        description: What it says, for people.
        view: A key of ``READS``.
        value: SQL over the view's row; where it is NULL there is no series.
        labels: Each label's name and SQL.
        where: SQL that chooses rows of the view.
        is_counter: Whether it only grows.
    """

    name: str
    description: str
    view: str
    value: str
    labels: dict[str, str] = field(default_factory=lambda: {"environment": "environment"})
    where: str = "true"
    is_counter: bool = False


def _alert(name: str, description: str, value: str) -> Metric:
    labels = {"alert": "alert", "severity": "severity", "environment": "environment"}
    return Metric(f"{PREFIX}alert_{name}", description, "alert_evaluations", value, labels)


def _total(metric: str, description: str, kind_label: str | None = None) -> Metric:
    labels = {"environment": "environment"} | ({} if kind_label is None else {kind_label: "kind"})
    return Metric(
        f"{PREFIX}{metric}_total",
        description,
        "metric_totals",
        "total",
        labels,
        f"metric = '{metric}'",
        is_counter=True,
    )


def _in_base_unit(column: str) -> str:
    """The alerts whose values are milliseconds, in seconds; all others are ratios, counts or seconds as they are."""
    names = ", ".join(f"'{alert.name}'" for alert in ALERTS if alert.signal.unit == "ms")
    return f"case when alert in ({names}) then {column} / 1000 else {column} end"


METRICS = (
    _alert("firing", "Whether somebody is to be told: 1 or 0. Everything is decided in SQL.", "is_firing::integer"),
    _alert(
        "consecutive_breaches", "Evaluation periods in a row, up to the newest, that breached.", "consecutive_breaches"
    ),
    _alert(
        "value",
        "What the alert goes by, in a base unit (ratio, count or seconds); none where there is nothing to compare.",
        _in_base_unit("value"),
    ),
    _alert("threshold", "What the value is compared with, in the same unit.", _in_base_unit("threshold")),
    Metric(
        f"{PREFIX}maintenance",
        "Whether the newest evaluation is in known maintenance, which mutes every alert but double_booking: 1 or 0.",
        "alert_evaluations",
        "is_in_maintenance::integer",
        where="alert = 'success_rate_low'",
    ),
    Metric(
        f"{PREFIX}double_bookings",
        "Overlapping pairs of live windows of different bookings, now.",
        "double_bookings_now",
        "pair_count",
    ),
    Metric(
        f"{PREFIX}reservation_latency_seconds",
        "Percentiles of the requests of the ten newest minutes, by nearest rank to 1 %; none without requests.",
        "recent_latency_ms",
        "latency_ms / 1000",
        {"environment": "environment", "phase": "phase", "percentile": "percentile"},
    ),
    Metric(
        f"{PREFIX}reservation_latency_samples",
        "Requests that these percentiles are of.",
        "recent_latency_ms",
        "sample_count",
        {"environment": "environment", "phase": "phase"},
        "percentile = 0.5",
    ),
    Metric(
        f"{PREFIX}telemetry_lag_seconds",
        "Time since the newest event was recorded; none before the first.",
        "pipeline_freshness",
        "lag_seconds",
    ),
    Metric(
        f"{PREFIX}rollup_lag_seconds",
        "Time since the rollup that was refreshed longest ago.",
        "pipeline_freshness",
        "refresh_lag_seconds",
    ),
    Metric(
        f"{PREFIX}pipeline_last_success_timestamp_seconds",
        "When a pipeline run last succeeded, in seconds since 1970; none if never.",
        "pipeline_freshness",
        "extract(epoch from last_run_succeeded_at)",
    ),
    Metric(
        f"{PREFIX}pipeline_blocked",
        "Whether critical findings about the data stop the pipeline: 1 or 0.",
        "pipeline_freshness",
        "is_blocked::integer",
    ),
    _total("events", "Events recorded."),
    _total("assignments", "Requests that got their tables."),
    _total("skipped", "Requests that got none."),
    _total("faults", "Requests that got none for another reason than a full restaurant."),
    _total("retries_exhausted", "Requests whose retries were exhausted."),
    _total("cutoffs", "Cutoffs and manual steps.", "kind"),
    _total("errors", "Errors.", "class"),
    _total("double_bookings_found", "Double bookings that were found, though they may have ended since."),
    _total("flag_contradictions", "Unsafe flag combinations that were found."),
)


READS = {
    "alert_evaluations": "select * from analytics.alert_evaluations",
    "pipeline_freshness": "select * from analytics.pipeline_freshness",
    "recent_latency_ms": "select * from analytics.recent_latency_ms",
    "metric_totals": "select * from analytics.metric_totals",
    # 0 rather than nothing where there is none.
    "double_bookings_now": """
        select freshness.environment, count(pairs.table_id) as pair_count
        from pipeline_freshness as freshness
        left join analytics.double_bookings as pairs
            on freshness.environment = coalesce(pairs.environment, freshness.environment)
        group by freshness.environment
    """,
}
"""What the metrics are read from; each may read those before it."""


def statement() -> str:
    """Return the statement that reads all metrics: rows of a place in ``METRICS``, its labels and its value."""
    reads = ",\n".join(f"{name} as materialized ({sql})" for name, sql in READS.items())
    branches = "\nunion all\n".join(
        # Nothing here is anybody's but this module's.
        f"select {number}, array[{', '.join(f'({sql})::text' for sql in metric.labels.values())}],"  # noqa: S608
        f" ({metric.value})::float8 from {metric.view} where {metric.where}"
        for number, metric in enumerate(METRICS)
    )
    return f"with {reads}\n{branches}"


def families(rows: Iterable[tuple[int, list[str], float | None]]) -> Iterator[MetricFamily]:
    """Return the rows of :func:`statement` as the metrics of the prometheus-client library."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily  # noqa: PLC0415  optional

    made: list[Any] = [
        (CounterMetricFamily if metric.is_counter else GaugeMetricFamily)(
            metric.name, metric.description, labels=list(metric.labels)
        )
        for metric in METRICS
    ]
    for number, labels, value in rows:
        if value is not None:
            made[number].add_metric(labels, value)
    yield from made
