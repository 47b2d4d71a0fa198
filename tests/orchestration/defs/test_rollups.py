"""Refreshing, reconciling and letting go, as Dagster runs them, on a database with real rollups."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from dagster import (
    AssetKey,
    DagsterInstance,
    DagsterRunStatus,
    Definitions,
    RunRequest,
    SkipReason,
    build_schedule_context,
    build_sensor_context,
)

from holds_core.database.connections import connect
from orchestration.dagster_instance import DATABASE_URL_VARIABLE
from orchestration.dbt import run_dbt
from orchestration.defs.events.sync import sync_events_every_five_minutes
from orchestration.defs.pipeline.job import pipeline_job
from orchestration.defs.pipeline.schedule import pipeline_every_half_hour, pipeline_when_nothing_is_built
from orchestration.defs.rollups.refresh import refresh_every_five_minutes, refresh_when_events_wait
from orchestration.history import History, write_history
from orchestration.resources import DatabaseResource
from orchestration.rollups import ROLLUPS, reconcile_day, rolled_up_to, waiting_events
from tests.transactions import wait_for_earlier_transactions

DAYS = AssetKey(["analytics", "rollup_days"])


@pytest.fixture(scope="module")
def built(new_database: Callable[..., str], whole_template: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a database with all that dbt builds, and 5,000 events of six days rolled up."""
    url = new_database(whole_template)
    with connect(url) as connection:
        write_history(connection, History(5_000, 6, datetime.now(UTC)))
        wait_for_earlier_transactions(connection)
    result = run_dbt(url, "run", state=tmp_path_factory.mktemp("state"))
    assert result.is_successful, result.problems
    return url


@pytest.fixture
def url(built: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    monkeypatch.setenv(DATABASE_URL_VARIABLE, built)
    monkeypatch.setenv("HOLDWATCH_STATE_DIR", str(tmp_path))
    return built


def insert(connection: psycopg.Connection, count: int, at: datetime | None = None) -> None:
    connection.execute(
        "insert into holds.observability_events (occurred_at, environment, source, event_type)"
        " select coalesce(%s, now()), 'dev', 'test', 'capacity.selector.assignment' from generate_series(1, %s)",
        (at, count),
    )


def test_a_refresh_takes_in_what_waits_and_says_how_far_it_came(
    definitions: Definitions, instance: DagsterInstance, url: str
) -> None:
    with connect(url) as connection:
        before = rolled_up_to(connection)
        insert(connection, 40)
        assert waiting_events(connection) == 40
        wait_for_earlier_transactions(connection)
        result = definitions.resolve_job_def("refresh").execute_in_process(instance=instance)
        assert result.success
        after = rolled_up_to(connection)
        assert before is not None
        assert after is not None
        assert after > before
        assert waiting_events(connection) == 0
    for rollup in ROLLUPS:
        event = instance.get_latest_materialization_event(AssetKey(["analytics", rollup]))
        assert event is not None
        assert event.asset_materialization is not None
        position = event.asset_materialization.metadata["position"].value
        assert isinstance(position, int)
        assert position >= before


@pytest.fixture
def stored_instance(tmp_path: Path) -> Iterator[DagsterInstance]:
    """An instance on the disk: schedules and sensors open it anew."""
    with DagsterInstance.local_temp(str(tmp_path)) as made:
        yield made


def test_where_nothing_has_come_in_the_schedule_moves_the_positions_on_and_starts_no_run(
    stored_instance: DagsterInstance, url: str
) -> None:
    """What the pipeline recorded of its own runs is nothing to start one for: positions move on to just before it."""

    def schedule() -> object:
        with build_schedule_context(
            instance=stored_instance, resources={"database": DatabaseResource(url=url)}
        ) as context:
            return refresh_every_five_minutes(context)

    with connect(url) as connection, connect(url) as other:
        before = rolled_up_to(connection)
        assert before is not None
        connection.execute("delete from holds.observability_events where ingest_pos > %s", (before,))
        wait_for_earlier_transactions(connection)
        assert isinstance(schedule(), SkipReason)
        quiet = rolled_up_to(connection)
        assert quiet is not None
        assert quiet > before
        for rollup in ROLLUPS:
            event = stored_instance.get_latest_materialization_event(AssetKey(["analytics", rollup]))
            assert event is not None
            assert event.asset_materialization is not None
            assert event.asset_materialization.metadata["position"].value == quiet

        recorded = connection.execute(
            "insert into holds.observability_events (occurred_at, environment, source, event_type)"
            " values (now(), 'dev', 'pipeline', 'pipeline.run.succeeded') returning ingest_pos"
        ).fetchone()
        assert recorded is not None
        wait_for_earlier_transactions(connection)
        assert isinstance(schedule(), SkipReason)
        assert rolled_up_to(connection) == recorded[0] - 1
        assert waiting_events(connection) == 1

        refreshed = "select min(refreshed_at) from analytics.rollup_positions"
        at = connection.execute(refreshed).fetchone()
        with other.transaction():
            other.execute("select pg_advisory_xact_lock(hashtextextended('holdwatch.refresh.fct_error_counts', 0))")
            assert isinstance(schedule(), RunRequest)
        insert(connection, 1)
        assert isinstance(schedule(), RunRequest)
        assert connection.execute(refreshed).fetchone() == at


def test_many_events_ask_for_a_refresh_and_a_blocked_pipeline_holds_it_back(
    stored_instance: DagsterInstance, url: str
) -> None:

    database = DatabaseResource(url=url)

    def sensor() -> object:
        return refresh_when_events_wait(
            build_sensor_context(instance=stored_instance, resources={"database": database})
        )

    def schedule() -> object:
        with build_schedule_context(instance=stored_instance, resources={"database": database}) as context:
            return refresh_every_five_minutes(context)

    with connect(url) as connection:
        insert(connection, 1)
        assert isinstance(sensor(), SkipReason)
        assert isinstance(schedule(), RunRequest)
        insert(connection, 20_000)
        assert isinstance(sensor(), RunRequest)
        connection.execute(
            "insert into holds.observability_events (occurred_at, environment, source, event_type, context)"
            " values (now(), 'dev', 'pipeline', 'pipeline.run.failed',"
            """ '{"job": "pipeline", "isBlocked": true, "reason": "12 rows have no restaurant"}')"""
        )
        for asked in (sensor(), schedule()):
            assert isinstance(asked, SkipReason)
            assert "12 rows have no restaurant" in (asked.skip_message or "")
        connection.execute("delete from holds.observability_events where event_type = 'pipeline.run.failed'")
        # Without its rollups the position means nothing: the pipeline builds them first.
        connection.execute("update analytics.rollup_positions set server_id = 1")
        assert isinstance(schedule(), SkipReason)
        connection.execute("update analytics.rollup_positions set server_id = holds.server_id()")


def test_the_pipeline_runs_each_half_hour_and_at_once_where_nothing_is_built(
    definitions: Definitions, stored_instance: DagsterInstance, url: str
) -> None:
    """A first run that failed is tried again after five minutes, and no sooner."""

    database = DatabaseResource(url=url)

    def sensor() -> object:
        context = build_sensor_context(instance=stored_instance, resources={"database": database})
        return pipeline_when_nothing_is_built(context)

    assert pipeline_every_half_hour.cron_schedule == "10,40 * * * *"
    assert isinstance(sensor(), SkipReason)
    with connect(url) as connection:
        connection.execute("update analytics.rollup_positions set server_id = 1")
        assert isinstance(sensor(), RunRequest)
        run = stored_instance.create_run_for_job(
            job_def=definitions.resolve_job_def(pipeline_job.name), status=DagsterRunStatus.FAILURE
        )
        skipped = sensor()
        assert isinstance(skipped, SkipReason)
        assert run.run_id in (skipped.skip_message or "")
        stored_instance.delete_run(run.run_id)
        assert isinstance(sensor(), RunRequest)
        connection.execute("update analytics.rollup_positions set server_id = holds.server_id()")


def test_days_that_differ_are_rebuilt_and_told_of(
    definitions: Definitions, instance: DagsterInstance, url: str
) -> None:
    """A backfill of several days is one run; the check fails where something was wrong, and passes the next time."""
    today = datetime.now(UTC).date()
    first = today - timedelta(days=5)
    broken = today - timedelta(days=3)
    job = definitions.resolve_job_def("reconcile_days")
    tags = {
        "dagster/asset_partition_range_start": f"{first}",
        "dagster/asset_partition_range_end": f"{today}",
    }

    def backfill() -> tuple[bool, list[str]]:
        result = job.execute_in_process(instance=instance, tags=tags)
        assert result.success
        (check,) = result.get_asset_check_evaluations()
        (made,) = {
            str(event.step_materialization_data.materialization.metadata["days_rebuilt"].value): event
            for event in result.get_asset_materialization_events()
        }
        return check.passed, [made]

    with connect(url) as connection:
        assert all(one.is_equal for one in reconcile_day(connection, broken))
        assert backfill() == (True, ["none"])
        connection.execute(
            "update analytics.fct_event_counts set event_count = event_count + 1 where grain = 'hour' and"
            " restaurant_key = '(all)' and bucket_at = (select min(bucket_at) from analytics.fct_event_counts"
            " where grain = 'hour' and bucket_at >= %s)",
            (datetime(broken.year, broken.month, broken.day, tzinfo=UTC),),
        )
        found = reconcile_day(connection, broken)
        assert [(one.rollup, one.differing) for one in found if not one.is_equal] == [("fct_event_counts", 2)]
        assert backfill() == (False, [f"{broken}"])
        assert all(one.is_equal for one in reconcile_day(connection, broken))
        assert backfill() == (True, ["none"])
        recorded = connection.execute(
            "select count(*), sum(differing_count) from analytics.rollup_reconciliations where day = %s", (broken,)
        ).fetchone()
        assert recorded is not None
        assert recorded[0] >= 15
        assert recorded[1] == 4


def test_another_databases_events_are_followed_where_one_is_named(
    definitions: Definitions,
    instance: DagsterInstance,
    url: str,
    new_database: Callable[..., str],
    whole_template: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with build_schedule_context(instance=instance) as context:
        assert isinstance(sync_events_every_five_minutes(context), SkipReason)
    source = new_database(whole_template)
    monkeypatch.setenv("HOLDWATCH_SYNC_URL", source)
    with build_schedule_context(instance=instance) as context:
        assert isinstance(sync_events_every_five_minutes(context), RunRequest)
    with connect(source) as there, connect(url) as here:
        insert(there, 25)
        wait_for_earlier_transactions(there)
        result = definitions.resolve_job_def("sync_events").execute_in_process(instance=instance)
        assert result.success
        (event,) = [event for event in result.all_events if event.is_successful_output]
        metadata = event.step_output_data.metadata
        assert metadata["imported"].value == 25
        # What Dagster keeps of the run names the source, without its password.
        assert "holdwatch_test" in str(metadata["source"].value)
        password = there.info.password
        assert password
        assert password not in str(metadata)
        ids = {row[0] for row in there.execute("select id from holds.observability_events")}
        found = here.execute("select count(*) from holds.observability_events where id = any(%s)", (list(ids),))
        assert found.fetchone() == (25,)


def test_retention_says_first_and_then_lets_go(definitions: Definitions, instance: DagsterInstance, url: str) -> None:
    """A dry run changes nothing; what is not rolled up stays; Dagster's own old runs go too."""
    old = datetime.now(UTC).date() - timedelta(days=95)
    name = f"observability_events_{old:%Y%m%d}"
    job = definitions.resolve_job_def("retention")

    def run(**config: object) -> dict[str, Any]:
        result = job.execute_in_process(instance=instance, run_config={"ops": {"let_go": {"config": config}}})
        assert result.success
        events = [event for event in result.all_events if event.is_successful_output and event.step_key == "let_go"]
        return {key: value.value for key, value in events[-1].step_output_data.metadata.items()}

    with connect(url) as connection:

        def is_there() -> bool:
            return connection.execute("select to_regclass('holds.' || %s) is not null", (name,)).fetchone() == (True,)

        connection.execute("select holds.ensure_event_partitions(%s, %s)", (old, old))
        insert(connection, 1, datetime(old.year, old.month, old.day, 12, tzinfo=UTC))
        run(dry_run=True)
        assert is_there()
        assert run()["partitions_dropped"] == 0
        assert is_there()
        wait_for_earlier_transactions(connection)
        definitions.resolve_job_def("refresh").execute_in_process(instance=instance)
        assert run()["partitions_dropped"] == 1
        assert not is_there()

    old_run = instance.create_run_for_job(job_def=job, run_id=str(uuid4()), status=DagsterRunStatus.SUCCESS)
    assert run(history_days=14)["runs_pruned"] == 0
    assert instance.get_run_by_id(old_run.run_id) is not None
    # Everything that has ended is older than now.
    assert run(history_days=0)["runs_pruned"] >= 1
    assert instance.get_run_by_id(old_run.run_id) is None
