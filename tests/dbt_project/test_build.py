"""What `dbt build` leaves behind: documented views that their readers can read, replaced without a gap."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import yaml
from psycopg import errors

from holds_core.database.connections import connect
from orchestration.dbt import KEPT_RUNS, DbtResult
from orchestration.paths import DBT_PROJECT_DIR
from tests.dbt_project.loading import insert_event
from tests.dbt_project.test_live_views import VIEWS

BUCKET = [
    ("bucket_at", "timestamp with time zone"),
    ("grain", "text"),
    ("environment", "text"),
    ("restaurant_id", "uuid"),
    ("restaurant_key", "text"),
]
# Those of Spark are not PostgreSQL's.
MODELS = sum(path.parent.name != "spark" for path in (DBT_PROJECT_DIR / "models").rglob("*.sql"))
COLUMNS = {
    "assignment_success_rate": [
        *BUCKET,
        ("assignment_count", "bigint"),
        ("skipped_count", "bigint"),
        ("success_ratio", "double precision"),
        ("judged_count", "bigint"),
        ("good_count", "bigint"),
    ],
    "reservation_latency_ms": [
        *BUCKET,
        ("phase", "text"),
        ("percentile", "double precision"),
        ("latency_ms", "double precision"),
        ("sample_count", "bigint"),
    ],
    "hold_retry_exhaustion": [
        *BUCKET,
        ("request_count", "bigint"),
        ("exhausted_count", "bigint"),
        ("exhausted_ratio", "double precision"),
        ("exhausted_event_count", "bigint"),
    ],
    "cutoff_triggers": [*BUCKET, ("cutoff_kind", "text"), ("trigger_count", "bigint")],
    "error_taxonomy": [
        *BUCKET,
        ("error_class", "text"),
        ("error_code", "text"),
        ("source", "text"),
        ("severity", "text"),
        ("error_count", "bigint"),
        ("error_share", "double precision"),
    ],
    "alert_evaluations": [
        ("alert", "text"),
        ("severity", "text"),
        ("environment", "text"),
        ("bucket_at", "timestamp with time zone"),
        ("value", "double precision"),
        ("threshold", "double precision"),
        ("sample_count", "bigint"),
        ("is_in_maintenance", "boolean"),
        ("is_breaching", "boolean"),
        ("consecutive_breaches", "integer"),
        ("is_firing", "boolean"),
        ("periods_to_fire", "integer"),
    ],
    "hold_activity": [*BUCKET, ("activity", "text"), ("event_count", "bigint")],
    "hold_enforcement": [
        ("environment", "text"),
        ("is_enabled", "boolean"),
        ("strict_percentage", "integer"),
        ("strict_restaurant_count", "bigint"),
        ("lenient_restaurant_count", "bigint"),
        ("unenforced_window_count", "bigint"),
        ("changed_at", "timestamp with time zone"),
        ("changed_by", "text"),
        ("reason", "text"),
    ],
    "pipeline_runs": [
        ("ended_at", "timestamp with time zone"),
        ("environment", "text"),
        ("event_id", "uuid"),
        ("job", "text"),
        ("outcome", "text"),
        ("reason", "text"),
        ("duration_seconds", "double precision"),
    ],
    "prometheus_series": [
        ("metric", "text"),
        ("labels", "jsonb"),
        ("value", "double precision"),
        ("at", "timestamp with time zone"),
    ],
}


def test_build_succeeds_where_nothing_was_built_before(first_build: tuple[str, DbtResult]) -> None:
    _, result = first_build
    assert result.problems == ()
    assert (result.models_built, result.models_failed, result.tests_failed, result.skipped) == (MODELS, 0, 0, 0)
    assert result.tests_passed >= 35
    assert result.log.is_file()


def test_build_clears_old_runs_away(first_build: tuple[str, DbtResult]) -> None:
    """Only the newest stay; the fixture had left more of them there."""
    _, result = first_build
    kept = sorted(result.log.parent.parent.iterdir())
    assert len(kept) <= KEPT_RUNS
    assert result.log.parent in kept
    assert not any(folder.name.startswith("20200101T000000-") for folder in kept)


def test_build_writes_nothing_into_the_checkout(first_build: tuple[str, DbtResult]) -> None:
    assert {path.name for path in DBT_PROJECT_DIR.iterdir()} <= {
        "dbt_project.yml",
        "profiles.yml",
        "macros",
        "models",
        "tests",
    }


@pytest.mark.parametrize("view", COLUMNS)
def test_columns_are_the_contract(empty_views: psycopg.Connection, view: str) -> None:
    rows = empty_views.execute(
        "select column_name, data_type from information_schema.columns"
        " where table_schema = 'analytics' and table_name = %s order by ordinal_position",
        (view,),
    )
    assert rows.fetchall() == COLUMNS[view]


def test_every_view_and_column_is_described_in_the_database(empty_views: psycopg.Connection) -> None:
    """What psql's `\\d+` shows; a quantity says its unit."""
    undescribed = empty_views.execute(
        """
        select attrelid::regclass::text || '.' || attname
        from pg_attribute
        where
            attrelid in (select oid from pg_class where relnamespace = 'analytics'::regnamespace and relkind = 'v')
            and attnum > 0
            and col_description(attrelid, attnum) is null
        union all
        select oid::regclass::text
        from pg_class
        where relnamespace = 'analytics'::regnamespace and relkind = 'v' and obj_description(oid, 'pg_class') is null
        """
    )
    assert undescribed.fetchall() == []
    described = empty_views.execute(
        """
        select column_name, col_description(('analytics.' || table_name)::regclass, ordinal_position)
        from information_schema.columns
        where table_schema = 'analytics'
        """
    )
    units = {
        "_count": "(count)",
        "_ms": "millisecond",
        "_at": "UTC",
        "_ratio": "0 to 1",
        "_share": "0 to 1",
        "_seconds": "econds",
    }
    for column, description in described:
        for suffix, unit in units.items():
            if column.endswith(suffix):
                assert unit in description, column


def test_the_reader_reads_the_views_and_nothing_else(views: psycopg.Connection) -> None:
    insert_event(views, "capacity.selector.assignment")
    views.execute("set role analytics_reader")
    for view in VIEWS:
        views.execute(f"select * from analytics.{view}")
    assert views.execute("select count(*) from analytics.assignment_success_rate").fetchone() == (6,)
    for statement in (
        "select * from holds.observability_events",
        "select * from holds.table_hold_windows",
        "drop view analytics.cutoff_triggers",
        "create table analytics.mine (id integer)",
    ):
        with pytest.raises(errors.InsufficientPrivilege), views.transaction():
            views.execute(statement)


def test_two_builds_at_once_replace_the_views_in_place(
    new_views_database: Callable[[], str], dbt: Callable[..., DbtResult]
) -> None:
    """No view is ever missing: what others have built upon one is still there, and so is the right to read it."""
    url = new_views_database()
    with connect(url) as connection:
        connection.execute("create view public.mine as select * from analytics.assignment_success_rate")
        # The marts are made anew; nothing of ours reads them.
        oids = (
            "select array_agg(oid order by oid) from pg_class where relnamespace = 'analytics'::regnamespace"
            " and relkind in ('v', 'r') and relname not like 'restaurants_%'"
        )
        before = connection.execute(oids).fetchone()
        with ThreadPoolExecutor(2) as executor:
            results = list(executor.map(lambda _: dbt(url, "run"), range(2)))
        assert [(result.is_successful, result.models_built) for result in results] == [(True, MODELS)] * 2
        assert results[0].log != results[1].log
        assert connection.execute(oids).fetchone() == before
        connection.execute("select * from public.mine")


def test_retired_views_go_unless_somebody_has_built_upon_them(
    new_views_database: Callable[[], str], dbt: Callable[..., DbtResult]
) -> None:
    url = new_views_database()
    there = "select to_regclass('analytics.int_events_bucketed') is not null"
    with connect(url) as connection:
        connection.execute("create view analytics.int_events_bucketed as select 1 as grain")
        connection.execute("create view public.mine as select * from analytics.int_events_bucketed")
        assert dbt(url, "run", "--select", "stg_holds__events").is_successful
        assert connection.execute(there).fetchone() == (True,)
        connection.execute("drop view public.mine")
        assert dbt(url, "run", "--select", "stg_holds__events").is_successful
        assert connection.execute(there).fetchone() == (False,)


def test_a_view_whose_columns_have_changed_is_made_anew(
    new_views_database: Callable[[], str], dbt: Callable[..., DbtResult]
) -> None:
    """Also one that stands in the way as a table; whoever could read it can read the new one."""
    url = new_views_database()
    with connect(url) as connection:
        connection.execute("drop view analytics.prometheus_series, analytics.cutoff_triggers")
        connection.execute("create view analytics.cutoff_triggers as select 1 as bucket_at, 2 as retired")
        connection.execute("create table analytics.prometheus_series (metric text)")
        assert dbt(url, "run", "--select", "cutoff_triggers", "prometheus_series").is_successful
        connection.execute("set role analytics_reader")
        connection.execute("select trigger_count from analytics.cutoff_triggers")
        connection.execute("select labels from analytics.prometheus_series")


def test_a_view_that_lies_fails_and_producers_mistakes_warn(
    new_views_database: Callable[[], str], dbt: Callable[..., DbtResult]
) -> None:
    """The data tests can fail, and say what is wrong by their names."""
    url = new_views_database()
    with connect(url) as connection:
        insert_event(connection, "capacity.selector.assignment", '{"timing": {"totalMs": "fast"}}')
        connection.execute(
            """
            create or replace view analytics.assignment_success_rate as
            select
                date_trunc('hour', now()) + interval '1 minute' as bucket_at, 'hour'::text as grain,
                'prod'::text as environment, null::uuid as restaurant_id, '(all)'::text as restaurant_key,
                5::bigint as assignment_count, 0::bigint as skipped_count, 1.5::float8 as success_ratio,
                5::bigint as judged_count, 5::bigint as good_count
            from generate_series(1, 2)
            """
        )
    result = dbt(url, "test", "--exclude-resource-type", "unit_test")
    assert not result.is_successful
    assert {(problem.status, problem.name.partition(".")[0]) for problem in result.problems} == {
        ("fail", "assignment_success_rate_is_unique"),
        ("fail", "assignment_success_rate_is_sound"),
        ("fail", "assignment_success_rate_adds_up"),
        ("warn", "selections_have_a_latency"),
    }
    assert (result.tests_failed, result.tests_warned) == (3, 1)


def test_every_model_has_a_description_and_every_view_an_exposure() -> None:
    models = _entries("models")
    assert all(model.get("description") for model in models)
    exposed = {ref for exposure in _entries("exposures") for ref in exposure["depends_on"]}
    assert {f"ref('{view}')" for view in VIEWS} <= exposed <= {f"ref('{model['name']}')" for model in models}


def _entries(kind: str) -> list[dict[str, list[str]]]:
    files: list[Path] = sorted((DBT_PROJECT_DIR / "models").rglob("*.yml"))
    return [entry for file in files for entry in yaml.safe_load(file.read_text("utf-8")).get(kind, [])]
