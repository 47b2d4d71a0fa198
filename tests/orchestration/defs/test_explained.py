"""What Dagster's UI shows of assets, jobs and schedules is enough for somebody who sees them for the first time."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from dagster import AssetCheckKey, AssetKey, DagsterInstance, Definitions, PathMetadataValue, UrlMetadataValue
from dagster._utils.tags import TagConcurrencyLimitsCounter

from dashboards.anchors import anchor
from dashboards.catalogue import VIEWS
from orchestration.asset_facts import Updates, runbook
from orchestration.dagster_instance import DATABASE_URL_VARIABLE
from orchestration.dbt_manifest import manifest
from orchestration.jobs import JOB_TAG
from orchestration.paths import PROJECT_ROOT
from orchestration.pipeline.runs import step_error
from orchestration.ports import free_port

JOBS = ("pipeline", "push_metrics", "reconcile_days", "refresh", "retention", "sweep_holds", "sync_events")


def test_every_asset_explains_itself(definitions: Definitions) -> None:
    """Whose it is, what it is, what keeps it up to date, whether one may rely on it; columns, where it has any."""
    graph = definitions.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description, key
        assert "Raw SQL" not in node.description, key
        assert node.owners, key
        # A third icon pushes the name out of the catalog of a narrow window.
        assert 1 <= len(node.kinds) <= 2, key
        assert node.group_name != "default", key
        assert node.tags["updates"] in set(Updates), key
        is_public = key.path[0] != "holds" and (key.path[0] != "analytics" or key.path[-1] in VIEWS)
        assert node.tags["contract"] == ("public" if is_public else "internal"), key
        if node.kinds & {"table", "dbt"}:
            schema: Any = node.metadata["dagster/column_schema"]
            # Dagster wraps the schema where we have, and not where dbt's integration has.
            columns = getattr(schema, "value", schema).columns
            assert columns, key
            assert all(column.type not in ("", "?", "string") and column.description for column in columns), key
    live = {key.path[-1] for key in graph.get_all_asset_keys() if graph.get(key).tags["updates"] == Updates.LIVE}
    assert {"assignment_success_rate", "live_event_counts"} <= live
    assert not live & {"fct_event_counts", "restaurants_over_90_days"}


def test_paths_that_assets_name_are_there(definitions: Definitions) -> None:
    """Pages of docs/ with their headings, runbooks, models: a reader finds what a link names."""
    graph = definitions.resolve_asset_graph()
    named = {
        value.path
        for key in graph.get_all_asset_keys()
        for value in graph.get(key).metadata.values()
        if isinstance(value, PathMetadataValue) and value.path is not None
    }
    assert {"docs/runbooks/success-rate.md", "docs/reference/views.md#double_bookings"} <= named
    for path in named:
        file, _, heading = path.partition("#")
        assert (PROJECT_ROOT / file).is_file(), path
        headings = [
            line.lstrip("# ") for line in (PROJECT_ROOT / file).read_text("utf-8").splitlines() if line[:1] == "#"
        ]
        assert not heading or heading in map(anchor, headings), path


def test_runbooks_are_links_where_they_are_published(monkeypatch: pytest.MonkeyPatch) -> None:
    """A placeholder is no link: it would lead nowhere."""
    assert runbook("latency") == PathMetadataValue("docs/runbooks/latency.md")
    monkeypatch.setenv("HOLDWATCH_RUNBOOKS_URL", "https://wiki.example/runbooks/")
    assert runbook("latency") == UrlMetadataValue("https://wiki.example/runbooks/latency.md")
    monkeypatch.setenv("HOLDWATCH_RUNBOOKS_URL", "no url")
    assert runbook("latency") == PathMetadataValue("docs/runbooks/latency.md")


def test_columns_of_sources_have_the_types_of_the_database(connection: psycopg.Connection) -> None:
    """What the UI says of tables that no run builds is what the migrations made."""
    found = connection.execute(
        "select relname::text, attname::text, format_type(atttypid, null) from pg_attribute join pg_class on"
        " pg_class.oid = attrelid where relnamespace = 'holds'::regnamespace and attnum > 0"
    ).fetchall()
    actual = {(table, column): kind.replace("timestamp with time zone", "timestamptz") for table, column, kind in found}
    sources = manifest()["sources"].values()
    said = {(one["name"], name): column["data_type"] for one in sources for name, column in one["columns"].items()}
    assert ("observability_events", "context") in said
    assert said == {column: actual.get(column) for column in said}


def test_every_job_explains_itself_and_its_configuration(definitions: Definitions) -> None:
    """Whoever opens the launchpad is told what the job does, whose it is, and what each field means."""
    for name in JOBS:
        job = definitions.resolve_job_def(name)
        assert job.description, name
        assert job.owners, name
        fields = dict(_fields(job.run_config_schema.config_type))
        for path, field in fields.items():
            # How steps are executed and how values are stored between them is Dagster's own.
            if path.startswith(("ops.", "resources.")) and not path.startswith("resources.io_manager."):
                assert field.description, (name, path)
                assert field.default_provided or path.startswith("resources."), (name, path)
        assert "resources.database.config.url" in fields, name
    retention = dict(_fields(definitions.resolve_job_def("retention").run_config_schema.config_type))
    assert "Only say" in str(retention["ops.let_go.config.dry_run"].description)
    assert retention["ops.let_go.config.history_days"].default_value == 14


def _fields(config_type: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the fields that a person fills in, by their path."""
    for name, field in (getattr(config_type, "fields", None) or {}).items():
        here = f"{path}.{name}" if path else name
        if getattr(field.config_type, "fields", None):
            yield from _fields(field.config_type, here)
        elif ".config." in here:
            yield here, field


def test_a_job_runs_once_at_a_time_ends_and_is_tried_again(
    definitions: Definitions, instance: DagsterInstance, server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the instance's own limits: a second run of a job waits, whoever asked for it; another job's does not."""
    monkeypatch.setenv(DATABASE_URL_VARIABLE, server_url)
    settings = yaml.safe_load((files("orchestration") / "dagster.yaml").read_text("utf-8"))
    limits = settings["concurrency"]["runs"]["tag_concurrency_limits"]
    jobs = {name: definitions.resolve_job_def(name) for name in JOBS}
    runs = {name: instance.create_run_for_job(job, tags=job.run_tags) for name, job in jobs.items()}
    for name, run in runs.items():
        assert run.tags[JOB_TAG] == name
        assert 60 <= int(run.tags["dagster/max_runtime"]) <= settings["run_monitoring"]["max_runtime_seconds"]
        assert run.tags["dagster/max_retries"] == "1"
        counter = TagConcurrencyLimitsCounter(limits, [run])
        assert {other for other in JOBS if counter.is_blocked(runs[other])} == {name}


def test_a_step_that_loses_the_database_begins_anew_and_a_mistake_is_said_once(
    definitions: Definitions, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice, for as long as a restart takes; what is wrong in itself does not get better by waiting."""
    monkeypatch.delenv("HOLDWATCH_SYNC_URL", raising=False)
    monkeypatch.setenv(DATABASE_URL_VARIABLE, f"postgresql://nobody@127.0.0.1:{free_port()}/nowhere")

    def retries(job: str) -> tuple[int, str]:
        run = definitions.resolve_job_def(job).execute_in_process(instance=instance, raise_on_error=False)
        assert not run.success
        (failure,) = [event for event in run.all_events if event.is_step_failure]
        return sum(event.is_step_up_for_retry for event in run.all_events), step_error(failure)

    times, error = retries("sweep_holds")
    assert times == 2
    assert "127.0.0.1" in error
    times, error = retries("sync_events")
    assert times == 0
    assert "HOLDWATCH_SYNC_URL is not set" in error


def test_every_schedule_and_sensor_explains_itself(definitions: Definitions) -> None:
    """Each says what it does; one that starts runs is named after the job it starts."""
    repository = definitions.get_repository_def()
    assert repository.schedule_defs
    assert repository.sensor_defs
    for schedule in repository.schedule_defs:
        assert schedule.description, schedule.name
        assert schedule.owners, schedule.name
        assert schedule.name.startswith(f"{schedule.job_name}_every_"), schedule.name
        assert schedule.execution_timezone == "UTC", schedule.name
    for sensor in repository.sensor_defs:
        assert sensor.description, sensor.name
        for target in sensor.targets:
            assert sensor.name.startswith(target.job_name), sensor.name


def test_one_check_of_a_gate_can_be_run_alone(
    definitions: Definitions,
    instance: DagsterInstance,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As by its button in the UI, after rows were mended: the others are not run with it."""
    monkeypatch.setenv(DATABASE_URL_VARIABLE, database_url)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    key = AssetCheckKey(AssetKey(["holds", "observability_events"]), "times_in_range")
    job = definitions.resolve_implicit_global_asset_job_def()
    result = job.get_subset(asset_selection=set(), asset_check_selection={key}).execute_in_process(instance=instance)
    assert [(one.asset_check_key, one.passed) for one in result.get_asset_check_evaluations()] == [(key, True)]
