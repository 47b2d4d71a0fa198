# ruff: noqa: S608 -- the statements are put together from constants of this program, never from data
"""The gate at the views: what must hold of what analysts and dashboards read.

What a single model promises of its own columns (types, accepted values, uniqueness) is guarded by its dbt contract and
tests. Here stands what would make a chart lie all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from expectations.model import Batch, Expectation, Severity, Suite

VIEWS_SCHEMA = "analytics"

OWNER = "team:analytics"
"""Who mends what fails here: the team that Dagster names as the models' owner."""

GRAINS = ("minute", "hour", "day")

_BUCKET = ("bucket_at", "grain", "environment", "restaurant_id", "restaurant_key")
_REBUILD = (
    "Make the rollups behind it anew (holdwatch pipeline rebuild), then run again (holdwatch pipeline run). If that "
    "does not mend it, the model is wrong: dbt_project/models/views/{view}.sql."
)


@dataclass(frozen=True)
class _View:
    """What is expected of one view.

    Attributes:
        columns: Those of its contract.
        counts: Columns whose ``(all)`` row is the sum of the restaurants' rows.
        within: Columns that tell the rows of one bucket and restaurant apart.
        grains: The grains at which it has a row for each restaurant.
        ratio: The column that is a share, if there is one.
    """

    columns: tuple[str, ...]
    counts: tuple[str, ...] = ()
    within: tuple[str, ...] = ()
    grains: tuple[str, ...] = field(default=GRAINS)
    ratio: str | None = None


_VIEWS = {
    "assignment_success_rate": _View(
        columns=(*_BUCKET, "assignment_count", "skipped_count", "success_ratio", "judged_count", "good_count"),
        counts=("assignment_count", "skipped_count"),
        ratio="success_ratio",
    ),
    "reservation_latency_ms": _View(
        columns=(*_BUCKET, "phase", "percentile", "latency_ms", "sample_count"),
        counts=("sample_count",),
        within=("phase", "percentile"),
    ),
    "hold_retry_exhaustion": _View(
        columns=(*_BUCKET, "request_count", "exhausted_count", "exhausted_ratio", "exhausted_event_count"),
        # Not exhausted_event_count: a restaurant without a request has no row, and its events count in (all) only.
        counts=("request_count", "exhausted_count"),
        ratio="exhausted_ratio",
    ),
    "cutoff_triggers": _View(
        columns=(*_BUCKET, "cutoff_kind", "trigger_count"),
        counts=("trigger_count",),
        within=("cutoff_kind",),
    ),
    "error_taxonomy": _View(
        columns=(*_BUCKET, "error_class", "error_code", "source", "severity", "error_count", "error_share"),
        counts=("error_count",),
        within=("error_class", "error_code", "source", "severity"),
        grains=("day",),
        ratio="error_share",
    ),
    "hold_activity": _View(
        columns=(*_BUCKET, "activity", "event_count"),
        counts=("event_count",),
        within=("activity",),
    ),
    "double_bookings": _View(
        columns=(
            "environment", "restaurant_id", "restaurant_key", "table_id", "first_hold_id", "second_hold_id",
            "overlap_starts_at", "overlap_ends_at", "began_at",
        )
    ),
    "hold_enforcement": _View(
        columns=(
            "environment", "is_enabled", "strict_percentage", "strict_restaurant_count", "lenient_restaurant_count",
            "unenforced_window_count", "changed_at", "changed_by", "reason",
        )
    ),
    "alert_evaluations": _View(
        columns=(
            "alert", "severity", "environment", "bucket_at", "value", "threshold", "sample_count", "is_in_maintenance",
            "is_breaching", "consecutive_breaches", "is_firing", "periods_to_fire",
        )
    ),
    "error_budget_burn": _View(columns=("bucket_at", "environment", "window_hours", "burn_rate")),
    "objective_counts": _View(columns=("bucket_at", "grain", "environment", "request_count", "good_count")),
    "maintenance_periods": _View(columns=("environment", "restaurant_key", "starts_at", "ends_at", "reason")),
    "rollout_measures": _View(
        columns=(
            "environment", "flag", "span", "measure", "value", "sample_count", "stage", "measured_from",
            "measured_until",
        )
    ),
    "operational_changes": _View(
        columns=("occurred_at", "environment", "restaurant_key", "kind", "title", "reason", "changed_by")
    ),
    "open_flag_changes": _View(
        columns=(
            "change_id", "environment", "flag", "restaurant_key", "setting", "waits_for", "requested_by",
            "requested_at", "expires_at", "reason",
        )
    ),
    "unsafe_flag_combinations": _View(
        columns=("environment", "rule_name", "restaurant_key", "flags", "because", "found_count", "last_found_at")
    ),
    "pipeline_runs": _View(columns=("ended_at", "environment", "job", "outcome", "reason", "duration_seconds")),
    "metric_totals": _View(columns=("environment", "metric", "kind", "total")),
    "recent_latency_ms": _View(columns=("environment", "phase", "percentile", "latency_ms", "sample_count")),
    "prometheus_series": _View(columns=("metric", "labels", "value", "at")),
    "pipeline_freshness": _View(
        columns=("environment", "newest_event_at", "lag_seconds", "is_blocked", "blocked_reason")
    ),
}  # fmt: skip

_COLUMN_COUNT = sum(len(view.columns) for view in _VIEWS.values())

VIEW_NAMES = tuple(_VIEWS)
"""Every view of the contract."""

BUCKETED_VIEWS = tuple(name for name, view in _VIEWS.items() if view.counts)
"""Views with a row for each bucket, environment and restaurant."""


def views_suite(schema: str = VIEWS_SCHEMA) -> Suite:
    """Return what must hold of the views in ``schema``."""
    expectations: list[Expectation] = []
    for name, view in _VIEWS.items():
        rules = _Rules(f"{schema}.{name}", name)
        expectations.append(rules.columns_present(view))
        if view.counts:
            expectations += rules.of_buckets(view)
    expectations.append(_percentiles_ordered(schema))
    expectations.append(_no_double_bookings(schema))
    return Suite(
        name="views",
        batches=(
            Batch("columns", _columns_query(schema), total=f"select {_COLUMN_COUNT}", unit="column"),
            # Each is computed once: the percentiles of ninety days are no small matter.
            *(Batch(name, f"select * from {schema}.{name}") for name in BUCKETED_VIEWS),
            Batch("double_bookings", f"select * from {schema}.double_bookings", total=None, unit="double booking"),
        ),
        expectations=tuple(expectations),
    )


class _Rules:
    """Makes the expectations that several views share."""

    def __init__(self, asset: str, view: str) -> None:
        self._asset = asset
        self._view = view

    def columns_present(self, view: _View) -> Expectation:
        wanted = ", ".join(f"('{column}')" for column in view.columns)
        return Expectation(
            self._asset,
            "columns_present",
            f"Every column of the view's contract exists: {', '.join(view.columns)}.",
            Severity.CRITICAL,
            "columns",
            f"""
            select column_name, 1 as affected_count
            from (values {wanted}) as wanted (column_name)
            where column_name not in (select column_name from batch where view_name = '{self._view}')
            """,
            f"Restore the column in dbt_project/models/views/{self._view}.sql, which dashboards read, and run again "
            "(holdwatch pipeline run).",
            OWNER,
        )

    def of_buckets(self, view: _View) -> list[Expectation]:
        rules = [self._grains_valid(), self._restaurant_keys_present(), self._all_equals_sum_of_parts(view)]
        if view.ratio is not None:
            rules.append(self._ratios_in_range(view.ratio))
        return rules

    def _critical(self, name: str, description: str, violations: str) -> Expectation:
        remedy = _REBUILD.format(view=self._view)
        return Expectation(self._asset, name, description, Severity.CRITICAL, self._view, violations, remedy, OWNER)

    def _grains_valid(self) -> Expectation:
        known = ", ".join(f"'{grain}'" for grain in GRAINS)
        return self._critical(
            "grains_valid",
            f"Every row's grain is one of {', '.join(GRAINS)}, and its bucket begins where one of that grain does.",
            f"""
            select grain, bucket_at::text as bucket_at, count(*) as affected_count
            from batch
            where grain is null
                or bucket_at is null
                or case when grain in ({known})
                    then bucket_at <> date_trunc(grain, bucket_at at time zone 'UTC') at time zone 'UTC'
                    else true
                end
            group by grain, bucket_at
            """,
        )

    def _restaurant_keys_present(self) -> Expectation:
        return self._critical(
            "restaurant_keys_present",
            "restaurant_key is the restaurant, or (none) or (all), which have no restaurant_id; it is never NULL.",
            """
            select grain, bucket_at::text as bucket_at, environment, restaurant_key, count(*) as affected_count
            from batch
            where restaurant_key is null
                or restaurant_key is distinct from restaurant_id::text
                and (restaurant_id is not null or restaurant_key not in ('(all)', '(none)'))
            group by grain, bucket_at, environment, restaurant_key
            """,
        )

    def _all_equals_sum_of_parts(self, view: _View) -> Expectation:
        keys = ", ".join(("environment", *view.within))
        differs = " or ".join(
            f"sum({count}) filter (where restaurant_key = '(all)') is distinct from "
            f"sum({count}) filter (where restaurant_key <> '(all)')"
            for count in view.counts
        )
        sums = ", ".join(
            f"sum({count}) filter (where restaurant_key = '(all)') as all_{count}, "
            f"sum({count}) filter (where restaurant_key <> '(all)') as parts_{count}"
            for count in view.counts
        )
        grains = ", ".join(f"'{grain}'" for grain in view.grains)
        return self._critical(
            "all_equals_sum_of_parts",
            f"In every bucket the (all) row's {' and '.join(view.counts)} equal the sum over the restaurants, (none) "
            "included.",
            f"""
            select grain, bucket_at::text as bucket_at, {keys}, {sums}, count(*) as affected_count
            from batch
            where grain in ({grains})
            group by grain, bucket_at, {keys}
            having {differs}
            """,
        )

    def _ratios_in_range(self, ratio: str) -> Expectation:
        return self._critical(
            "ratios_in_range",
            f"{ratio} lies between 0 and 1, or is NULL where there is nothing to divide by.",
            f"""
            select grain, bucket_at::text as bucket_at, environment, restaurant_key, {ratio}, 1 as affected_count
            from batch
            where not ({ratio} between 0 and 1)
            """,
        )


def _percentiles_ordered(schema: str) -> Expectation:
    at = {rank: f"max(latency_ms) filter (where percentile = {rank})" for rank in (0.5, 0.95, 0.99)}
    return Expectation(
        f"{schema}.reservation_latency_ms",
        "percentiles_ordered",
        "P50 is at most P95, and P95 at most P99; where there is one of them there are all three.",
        Severity.CRITICAL,
        "reservation_latency_ms",
        f"""
        select grain, bucket_at::text as bucket_at, environment, restaurant_key, phase,
            {at[0.5]} as p50_ms, {at[0.95]} as p95_ms, {at[0.99]} as p99_ms, count(*) as affected_count
        from batch
        group by grain, bucket_at, environment, restaurant_key, phase
        having not coalesce({at[0.5]} <= {at[0.95]} and {at[0.95]} <= {at[0.99]}, false)
        """,
        _REBUILD.format(view="reservation_latency_ms"),
        OWNER,
    )


def _no_double_bookings(schema: str) -> Expectation:
    return Expectation(
        f"{schema}.double_bookings",
        "no_double_bookings",
        "No table is held for two bookings at once.",
        Severity.WARNING,
        "double_bookings",
        """
        select environment, restaurant_key, table_id::text as table_id, first_hold_id::text as first_hold_id,
            second_hold_id::text as second_hold_id, overlap_starts_at::text as overlap_starts_at, 1 as affected_count
        from batch
        """,
        "Release one of the two holds (holdwatch holds release), and find out when strict enforcement was off "
        "(holdwatch enforcement status): docs/runbooks/double-booking.md.",
        OWNER,
    )


def _columns_query(schema: str) -> str:
    return f"""
        select relname::text as view_name, attname::text as column_name
        from pg_attribute
        inner join pg_class on pg_class.oid = attrelid
        where relnamespace = to_regnamespace('{schema}') and attnum > 0 and not attisdropped
    """
