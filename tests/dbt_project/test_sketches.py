"""Percentiles of the views: within 1 % of the exact nearest rank, and as near to it as DataDog's own sketches."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random

import psycopg
import pytest
from ddsketch import DDSketch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holds_core.database.connections import connect
from orchestration.dbt import DbtResult

PERCENTS = (50, 95, 99)
ALPHA = 0.0099

random = Random(11)
SAMPLES: dict[str, list[float]] = {
    "log-normal": [random.lognormvariate(4, 1) for _ in range(5_000)],
    "Pareto, a tail without a mean": [random.paretovariate(0.8) for _ in range(5_000)],
    "constant": [250.0] * 1_000,
    "two far apart": [1e-3] * 95 + [1e6] * 5,
    "zeros": [0.0] * 90 + [10.0] * 10,
    "all zero": [0.0] * 7,
    "tiny": [random.random() * 1e-200 for _ in range(500)],
    "the smallest": [2.3e-308, 1e-307, 1e-300, 5e-300],
    "huge": [random.random() * 1e300 for _ in range(500)],
    "the largest": [1.7976931348623157e308, 1.79e308, 1.78e308, 1e308],
    "one": [17.0],
    "edges of cells": [((1 + ALPHA) / (1 - ALPHA)) ** power for power in range(-300, 300)],
    "every magnitude": [10.0**power for power in range(-300, 309)],
}


def nearest_rank(values: list[float], percent: int) -> float:
    return sorted(values)[-(-percent * len(values) // 100) - 1]


def sketched(connection: psycopg.Connection, values: list[float]) -> dict[int, float]:
    """What the live view says of these latencies."""
    with connection.transaction(force_rollback=True):
        with connection.cursor() as cursor:
            cursor.executemany(
                "insert into holds.observability_events (occurred_at, environment, source, event_type, context) values"
                " (now(), 'prod', 'test', 'capacity.selector.assignment',"
                " jsonb_build_object('timing', jsonb_build_object('totalMs', %s::float8)))",
                [(value,) for value in values],
            )
        rows = connection.execute(
            "select percentile, latency_ms, sample_count from analytics.reservation_latency_ms"
            " where grain = 'day' and restaurant_key = '(all)' and phase = 'total'"
        ).fetchall()
        assert {row[2] for row in rows} == {len(values)}
        return {round(row[0] * 100): row[1] for row in rows}


@pytest.mark.parametrize("name", SAMPLES)
def test_percentiles_are_within_a_hundredth_of_the_nearest_rank(empty_views: psycopg.Connection, name: str) -> None:
    found = sketched(empty_views, SAMPLES[name])
    for percent in PERCENTS:
        exact = nearest_rank(SAMPLES[name], percent)
        assert found[percent] == pytest.approx(exact, rel=0.01, abs=0), percent


@pytest.mark.parametrize("name", [name for name in SAMPLES if name not in ("tiny", "the smallest", "the largest")])
def test_percentiles_agree_with_datadogs_sketches(empty_views: psycopg.Connection, name: str) -> None:
    """Of the same accuracy, theirs and ours are at most twice that apart; ranks between two values they take lower."""
    theirs = DDSketch(ALPHA)
    for value in SAMPLES[name]:
        theirs.add(value)
    found = sketched(empty_views, SAMPLES[name])
    ordered = sorted(SAMPLES[name])
    for percent in PERCENTS:
        # Their rank is floor(q (n - 1)), ours ceil(q n) - 1: asked for the share that lies at our rank.
        rank = -(-percent * len(ordered) // 100) - 1
        share = 1.0 if len(ordered) == 1 else (rank + 1e-9 * len(ordered)) / (len(ordered) - 1)
        answer = theirs.get_quantile_value(min(1.0, share))
        assert answer is not None
        assert found[percent] == pytest.approx(answer, rel=2.1 * ALPHA, abs=0), percent


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.floats(min_value=2.3e-308, max_value=1.7976931348623157e308) | st.just(0.0), min_size=1, max_size=60)
)
def test_any_latencies_have_their_percentiles(empty_views: psycopg.Connection, values: list[float]) -> None:
    found = sketched(empty_views, values)
    for percent in PERCENTS:
        exact = nearest_rank(values, percent)
        assert math.isclose(found[percent], exact, rel_tol=0.01), (percent, exact, found[percent])


def test_merging_loses_nothing(new_views_database: Callable[[], str], dbt: Callable[..., DbtResult]) -> None:
    """A day in three refreshes has the same cells as in one, and so the same percentiles."""
    values = [random.lognormvariate(4, 1) for _ in range(1_000)]
    now = datetime.now(UTC)
    url = new_views_database()
    cells = "select sketch_indexes, sketch_counts, p50_ms, p95_ms, p99_ms from analytics.fct_latency_sketches"
    with connect(url) as connection:
        for part in range(3):
            with connection.cursor() as cursor:
                cursor.executemany(
                    "insert into holds.observability_events (occurred_at, environment, source, event_type, context)"
                    " values (%s, 'prod', 'test', 'capacity.selector.assignment',"
                    " jsonb_build_object('timing', jsonb_build_object('totalMs', %s::float8)))",
                    [(now, value) for value in values[part::3]],
                )
            assert dbt(url, "run", "--select", "fct_latency_sketches").is_successful
        additive = connection.execute(f"{cells} where grain = 'day' and restaurant_key = '(all)'").fetchall()
        assert dbt(url, "run", "--select", "fct_latency_sketches", "--full-refresh").is_successful
        assert connection.execute(f"{cells} where grain = 'day' and restaurant_key = '(all)'").fetchall() == additive
        (row,) = additive
        for percent, found in zip(PERCENTS, row[2:], strict=True):
            assert found == pytest.approx(nearest_rank(values, percent), rel=0.01)
