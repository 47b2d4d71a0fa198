"""Every expectation at the views, on views that pass it and on ones that fail it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
import pytest

from expectations.model import Severity, SuiteResult
from expectations.suites.views import VIEW_NAMES, views_suite
from expectations.validate import validate

SCHEMA = "sample_views"
RESTAURANT = "11111111-1111-4111-8111-111111111111"
HOUR = "2026-03-10 12:00:00+00"

_BUCKET = "bucket_at timestamptz, grain text, environment text, restaurant_id uuid, restaurant_key text"
_TABLES = {
    "assignment_success_rate": (
        f"{_BUCKET}, assignment_count bigint, skipped_count bigint, success_ratio float8, judged_count bigint, "
        "good_count bigint"
    ),
    "reservation_latency_ms": f"{_BUCKET}, phase text, percentile float8, latency_ms float8, sample_count bigint",
    "hold_retry_exhaustion": (
        f"{_BUCKET}, request_count bigint, exhausted_count bigint, exhausted_ratio float8, exhausted_event_count bigint"
    ),
    "cutoff_triggers": f"{_BUCKET}, cutoff_kind text, trigger_count bigint",
    "error_taxonomy": (
        f"{_BUCKET}, error_class text, error_code text, source text, severity text, error_count bigint, "
        "error_share float8"
    ),
    "double_bookings": (
        "environment text, restaurant_id uuid, restaurant_key text, table_id uuid, first_hold_id uuid, "
        "second_hold_id uuid, overlap_starts_at timestamptz, overlap_ends_at timestamptz, began_at timestamptz"
    ),
    "hold_activity": f"{_BUCKET}, activity text, event_count bigint",
    "hold_enforcement": (
        "environment text, is_enabled boolean, strict_percentage integer, strict_restaurant_count bigint, "
        "lenient_restaurant_count bigint, unenforced_window_count bigint, changed_at timestamptz, changed_by text, "
        "reason text"
    ),
    "alert_evaluations": (
        "alert text, severity text, environment text, bucket_at timestamptz, value float8, threshold float8, "
        "sample_count bigint, is_in_maintenance boolean, is_breaching boolean, consecutive_breaches integer, "
        "is_firing boolean, periods_to_fire integer"
    ),
    "error_budget_burn": "bucket_at timestamptz, environment text, window_hours integer, burn_rate float8",
    "objective_counts": (
        "bucket_at timestamptz, grain text, environment text, request_count bigint, good_count bigint"
    ),
    "maintenance_periods": (
        "environment text, restaurant_key text, starts_at timestamptz, ends_at timestamptz, reason text"
    ),
    "rollout_measures": (
        "environment text, flag text, span text, measure text, value float8, sample_count bigint, stage integer, "
        "measured_from timestamptz, measured_until timestamptz"
    ),
    "operational_changes": (
        "occurred_at timestamptz, environment text, restaurant_key text, kind text, title text, reason text, "
        "changed_by text"
    ),
    "open_flag_changes": (
        "change_id bigint, environment text, flag text, restaurant_key text, setting text, waits_for text, "
        "requested_by text, requested_at timestamptz, expires_at timestamptz, reason text"
    ),
    "unsafe_flag_combinations": (
        "environment text, rule_name text, restaurant_key text, flags text, because text, found_count bigint, "
        "last_found_at timestamptz"
    ),
    "pipeline_runs": (
        "ended_at timestamptz, environment text, job text, outcome text, reason text, duration_seconds float8"
    ),
    "metric_totals": "environment text, metric text, kind text, total bigint",
    "recent_latency_ms": ("environment text, phase text, percentile float8, latency_ms float8, sample_count bigint"),
    "prometheus_series": "metric text, labels jsonb, value float8, at timestamptz",
    "pipeline_freshness": (
        "environment text, newest_event_at timestamptz, lag_seconds float8, is_blocked boolean, blocked_reason text"
    ),
}

_PARTS = {
    "(all)": f"'{HOUR}', 'hour', 'prod', null, '(all)'",
    "(none)": f"'{HOUR}', 'hour', 'prod', null, '(none)'",
    "one": f"'{HOUR}', 'hour', 'prod', '{RESTAURANT}', '{RESTAURANT}'",
}


def _rows(values: Mapping[str, list[str]]) -> str:
    return ", ".join(f"({_PARTS[part]}, {row})" for part, rows in values.items() for row in rows)


def _in_order(view: str) -> str:
    """Rows that are in order: one bucket of one restaurant and of events without one."""
    match view:
        case "assignment_success_rate":
            return _rows({"(all)": ["3, 1, 0.75"], "(none)": ["1, 0, 1"], "one": ["2, 1, 0.667"]})
        case "reservation_latency_ms":
            return _rows(
                {
                    "(all)": ["'total', 0.5, 10, 3", "'total', 0.95, 20, 3", "'total', 0.99, 20, 3"],
                    "(none)": ["'total', 0.5, 10, 1", "'total', 0.95, 10, 1", "'total', 0.99, 10, 1"],
                    "one": ["'total', 0.5, 10, 2", "'total', 0.95, 20, 2", "'total', 0.99, 20, 2"],
                }
            )
        case "hold_retry_exhaustion":
            return _rows({"(all)": ["4, 1, 0.25, 9"], "(none)": ["1, 0, null, 0"], "one": ["3, 1, 0.333, 1"]})
        case "cutoff_triggers" | "hold_activity":
            return _rows({"(all)": ["'MANUAL', 2"], "(none)": ["'MANUAL', 1"], "one": ["'MANUAL', 1"]})
        case "error_taxonomy":
            # By the hour there is the (all) row alone.
            return _rows({"(all)": ["'conflict', '23P01', 'rpc', 'warning', 2, 1"]})
        case _:
            return ""


@pytest.fixture
def views(connection: psycopg.Connection) -> psycopg.Connection:
    """Tables in the place of the views, all in order."""
    connection.execute(f"create schema {SCHEMA}")
    for name, columns in _TABLES.items():
        connection.execute(f"create table {SCHEMA}.{name} ({columns})")
        if rows := _in_order(name):
            connection.execute(f"insert into {SCHEMA}.{name} values {rows}")
    return connection


def check(database_url: str) -> SuiteResult:
    (result,) = validate(database_url, [views_suite(SCHEMA)])
    return result


@dataclass(frozen=True)
class Bad:
    """A statement that breaks one expectation of one view, and what must be said of it."""

    view: str
    name: str
    statement: str
    says: str
    severity: Severity = Severity.CRITICAL


CASES = [
    *(
        Bad(view, "columns_present", f"alter table {SCHEMA}.{view} rename column {column} to other", f"={column}")
        for view, column in (
            ("double_bookings", "restaurant_id"),
            ("prometheus_series", "labels"),
            ("pipeline_freshness", "lag_seconds"),
            ("alert_evaluations", "is_firing"),
            ("hold_enforcement", "is_enabled"),
        )
    ),
    *(
        Bad(view, "all_equals_sum_of_parts", f"delete from {SCHEMA}.{view} where restaurant_key = '(all)'", "=NULL")
        for view in (
            "assignment_success_rate", "reservation_latency_ms", "hold_retry_exhaustion", "cutoff_triggers",
            "hold_activity",
        )
    ),
    Bad(
        "error_taxonomy",
        "all_equals_sum_of_parts",
        f"update {SCHEMA}.error_taxonomy set grain = 'day', bucket_at = '2026-03-10 00:00:00+00'",
        "error_class=conflict",
    ),
    *(
        Bad(view, "ratios_in_range", f"update {SCHEMA}.{view} set {ratio} = {value} where {ratio} < 1.1", says)
        for view, ratio, value, says in (
            ("assignment_success_rate", "success_ratio", "1.01", "success_ratio=1.01"),
            ("hold_retry_exhaustion", "exhausted_ratio", "-0.1", "exhausted_ratio=-0.1"),
            ("error_taxonomy", "error_share", "'NaN'", "error_share=nan"),
        )
    ),
    *(
        Bad(view, "grains_valid", f"update {SCHEMA}.{view} set bucket_at = bucket_at + interval '1 second'", "12:00:01")
        for view in (
            "assignment_success_rate", "reservation_latency_ms", "hold_retry_exhaustion", "cutoff_triggers",
            "hold_activity", "error_taxonomy",
        )
    ),
    Bad("error_taxonomy", "grains_valid", f"update {SCHEMA}.error_taxonomy set grain = 'week'", "grain=week"),
    *(
        Bad(view, "restaurant_keys_present", f"update {SCHEMA}.{view} set restaurant_id = '{RESTAURANT}'", "(all)")
        for view in (
            "assignment_success_rate", "reservation_latency_ms", "hold_retry_exhaustion", "cutoff_triggers",
            "hold_activity", "error_taxonomy",
        )
    ),
    Bad(
        "error_taxonomy", "restaurant_keys_present", f"update {SCHEMA}.error_taxonomy set restaurant_key = null", "NULL"
    ),
    Bad(
        "reservation_latency_ms",
        "percentiles_ordered",
        f"update {SCHEMA}.reservation_latency_ms set latency_ms = 30 where restaurant_id is not null "
        "and percentile = 0.95",
        "p95_ms=30.0",
    ),
    Bad(
        "double_bookings",
        "no_double_bookings",
        f"insert into {SCHEMA}.double_bookings (environment, table_id) values ('prod', '{RESTAURANT}')",
        f"table_id={RESTAURANT}",
        Severity.WARNING,
    ),
]  # fmt: skip


def test_views_in_order_pass_every_expectation(views: psycopg.Connection, database_url: str) -> None:
    """Nothing fails on views that are in order."""
    result = check(database_url)
    assert [outcome.observed for outcome in result.results if not outcome.passed] == []
    assert {outcome.expectation.asset for outcome in result.results} == {f"{SCHEMA}.{name}" for name in VIEW_NAMES}


@pytest.mark.parametrize("name", sorted({bad.name for bad in CASES}))
def test_broken_views_fail_their_expectation(name: str, views: psycopg.Connection, database_url: str) -> None:
    """A mistake in each view fails the same expectation of each, which names the rows; the other views pass it."""
    broken = {bad.view: bad for bad in CASES if bad.name == name}
    for bad in broken.values():
        views.execute(bad.statement)
    outcomes = [outcome for outcome in check(database_url).results if outcome.expectation.name == name]
    failed = {outcome.expectation.asset.split(".")[1]: outcome for outcome in outcomes if not outcome.passed}
    assert set(failed) == set(broken)
    for view, bad in broken.items():
        assert bad.says in failed[view].observed
        assert failed[view].expectation.severity == bad.severity
        assert failed[view].affected_count > 0


@pytest.mark.parametrize("count", ["assignment_count", "skipped_count", "request_count", "exhausted_count"])
def test_each_count_of_the_all_rows_is_compared(count: str, views: psycopg.Connection, database_url: str) -> None:
    """It is not enough that one of a view's counts adds up."""
    view = "assignment_success_rate" if count in ("assignment_count", "skipped_count") else "hold_retry_exhaustion"
    views.execute(f"update {SCHEMA}.{view} set {count} = {count} + 1 where restaurant_key = '(none)'")
    (failed,) = check(database_url).blocking
    assert (failed.expectation.asset, failed.expectation.name) == (f"{SCHEMA}.{view}", "all_equals_sum_of_parts")
    assert f"all_{count}=" in failed.observed


def test_missing_view_blocks_and_says_so(views: psycopg.Connection, database_url: str) -> None:
    """A view that is not there fails what is expected of it, and nothing of the others."""
    views.execute(f"drop table {SCHEMA}.cutoff_triggers")
    blocking = check(database_url).blocking
    assert {outcome.expectation.asset for outcome in blocking} == {f"{SCHEMA}.cutoff_triggers"}
    assert {outcome.expectation.name for outcome in blocking} >= {"columns_present", "all_equals_sum_of_parts"}
    assert any("does not exist" in (outcome.error or "") for outcome in blocking)
