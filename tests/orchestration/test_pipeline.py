"""One pass of the pipeline after another, on one database: what passes, what warns, what blocks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from expectations.suites.events import events_suite
from expectations.suites.views import views_suite
from holds_core.database.connections import connect
from holds_core.database.settings import Environment
from orchestration.database import Database
from orchestration.dbt import DbtProblem
from orchestration.doctor import State, examine
from orchestration.paths import state_dir
from orchestration.pipeline import Finding, PipelineProgress, PipelineReport, run_pipeline
from orchestration.pipeline.dbt_findings import dbt_findings

pytestmark = [
    # Said by dagster-dbt of itself.
    pytest.mark.filterwarnings("ignore:AssetExecutionContext.op is deprecated:DeprecationWarning"),
    # Dagster, dbt and Great Expectations are loaded twice, on machines that are busy with the other tests.
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("pipeline"),
]

SEED = """
insert into holds.observability_events
    (id, occurred_at, environment, source, event_type, severity, restaurant_id, context)
select
    gen_random_uuid(), now() - number * interval '20 minutes', 'dev', 'capacity.selector',
    case when number % 5 = 0 then 'capacity.selector.skipped' else 'capacity.selector.assignment' end, 'info',
    case when number % 50 <> 0 then '11111111-1111-4111-8111-111111111111'::uuid end,
    jsonb_build_object('timing', jsonb_build_object('totalMs', number, 'plannerMs', number / 2))
from generate_series(1, 500) as number
"""


@dataclass(frozen=True)
class Pass:
    """A pass that came through, and what it worked on."""

    database: Database
    report: PipelineReport
    progress: list[PipelineProgress]
    state: Path
    dashboards: Path


@pytest.fixture(scope="module")
def passed(new_database: Callable[..., str], template: str, tmp_path_factory: pytest.TempPathFactory) -> Pass:
    """A first pass over events of which ten lack a restaurant."""
    url = new_database(template)
    with connect(url) as connection:
        connection.execute(SEED)
    state, dashboards = tmp_path_factory.mktemp("state"), tmp_path_factory.mktemp("dashboards")
    progress: list[PipelineProgress] = []
    database = Database(url, False, Environment.DEV)
    with pytest.MonkeyPatch.context() as patch:
        # A shell's own Dagster is none of ours.
        patch.setenv("DAGSTER_HOME", "/nowhere")
        report = run_pipeline(database, progress.append, state=state, dashboards_directory=dashboards)
        assert os.environ["DAGSTER_HOME"] == "/nowhere"
    return Pass(database, report, progress, state, dashboards)


def rows(url: str, statement: str) -> list[tuple[object, ...]]:
    with connect(url) as connection:
        return connection.execute(statement.encode()).fetchall()


def relations(url: str) -> list[tuple[object, ...]]:
    """Everything in the schema of the views, with the transaction that last touched it."""
    return rows(
        url,
        "select oid, relname, xmin::text, pg_get_viewdef(oid) from pg_class "
        "where relnamespace = 'analytics'::regnamespace and relkind = 'v' order by oid",
    )


def test_pass_builds_everything_and_shows_warnings(passed: Pass) -> None:
    """Events without a restaurant warn, with their number and source, and keep nothing from being built."""
    report = passed.report
    assert report.succeeded
    assert not report.is_blocked
    assert report.failures == ()
    assert report.expectations_failed == 0
    assert report.expectations_passed > 30
    (warning,) = report.warnings
    assert warning.title == "observability_events: restaurants known"
    assert warning.affected_rows == 10
    assert warning.total_rows == 500
    assert "source=capacity.selector" in warning.observed
    assert {row["restaurant_id"] for row in warning.rows} == {"NULL"}
    # The rows that are named are those.
    named = ", ".join(f"'{row['id']}'" for row in warning.rows)
    assert rows(
        passed.database.url,
        f"select count(*) from holds.observability_events where restaurant_id is null and id in ({named})",
    ) == [(10,)]
    assert report.models_built >= 8
    assert report.tests_passed > 0
    assert report.tests_failed == 0
    assert rows(
        passed.database.url,
        "select sum(assignment_count), sum(skipped_count) from "
        "analytics.assignment_success_rate where grain = 'day' and restaurant_key = '(all)'",
    ) == [(400, 100)]


def test_pass_writes_the_dashboard_files(passed: Pass) -> None:
    """Every file it names is there, can be read, and stands where it was told to put it."""
    assert len(passed.report.files) >= 2
    for path in passed.report.files:
        assert passed.dashboards in path.parents
        assert yaml.safe_load(path.read_text("utf-8"))  # of which JSON is a part


def test_pass_writes_the_data_docs_of_both_gates(passed: Pass) -> None:
    """The index, the newest page of each gate, and the path of its own page at each check that Dagster keeps."""
    assert passed.report.data_docs == passed.state / "data-docs" / "index.html"
    index = passed.report.data_docs.read_text("utf-8")
    for suite in (events_suite(datetime.now(UTC)), views_suite()):
        (page,) = (passed.state / "data-docs" / "validations" / suite.name / passed.report.run_id).rglob("*.html")
        assert str(page.relative_to(passed.state / "data-docs")) in index
        assert rows(
            passed.database.url,
            "select count(*) from dagster.event_logs "
            f"where dagster_event_type = 'ASSET_CHECK_EVALUATION' and event like '%{page}%'",
        ) == [(len(suite.expectations),)]


def test_pass_tells_how_far_it_is(passed: Pass) -> None:
    """The stages in their order, and a count that reaches its total."""
    stages = list(dict.fromkeys(event.stage for event in passed.progress))
    assert stages == [
        "loading Dagster, dbt and Great Expectations",
        "counting events",
        "checking the events",
        "building and testing the views",
        "reporting feature flags",
        "checking the views",
        "generating dashboard files",
        "writing the report",
    ]
    assert passed.progress[-1].done == passed.progress[-1].total > 0


def test_pass_is_recorded_in_dagster_and_as_an_event(passed: Pass) -> None:
    """Dagster's storage is in the same database, in its own schema; the event names the run."""
    assert rows(passed.database.url, "select run_id, status from dagster.runs") == [(passed.report.run_id, "SUCCESS")]
    assert rows(
        passed.database.url,
        "select context ->> 'runId', environment from holds.observability_events "
        "where event_type = 'pipeline.run.succeeded'",
    ) == [(passed.report.run_id, "dev")]
    assert rows(passed.database.url, "select is_blocked from analytics.pipeline_freshness") == [(False,)]


def test_pass_leaves_no_secret_on_the_disk(passed: Pass) -> None:
    """The password reaches Dagster and dbt through the environment, and is in none of their files."""
    password = urlsplit(passed.database.url).password
    if not password:
        pytest.skip("this server asks for no password")
    for path in passed.state.rglob("*"):
        if path.is_file():
            assert password.encode() not in path.read_bytes(), path


def test_blocked_pass_names_rows_and_remedy_and_leaves_all_as_it_was(passed: Pass, tmp_path: Path) -> None:
    """An event three days ahead: the command exits 1, says which and what to do; views and files stay."""
    url = passed.database.url
    ((event_id,),) = rows(
        url,
        "insert into holds.observability_events (occurred_at, environment, source, event_type) "
        "values (now() + interval '3 days', 'dev', 'clock', 'capacity.rpc.conflict') returning id::text",
    )
    before = relations(url)
    files_before = [(path, path.stat().st_mtime_ns) for path in passed.report.files]
    # What was parsed stays parsed.
    shutil.copytree(state_dir() / "dbt", tmp_path / "dbt")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"HOLDWATCH_DATABASE_URL": url, "HOLDWATCH_STATE_DIR": str(tmp_path)},
    )
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("holdwatch: The pipeline is blocked: observability_events: times in range: 1 of 50")
    assert str(event_id) in line
    assert "Mend the clock" in line
    assert "docs/data-quality.md#times-in-range" in line
    report = json.loads(done.stdout)
    assert report["is_blocked"]
    assert not report["succeeded"]
    assert (report["expectations_failed"], report["models_built"], report["files"]) == (1, 0, [])
    (failure,) = report["failures"]
    assert [(row["id"], row["source"]) for row in failure["rows"]] == [(event_id, "clock")]
    assert (failure["affected_rows"], failure["total_rows"], failure["owner"]) == (1, 502, "team:platform")
    assert str(event_id) in next((tmp_path / "data-docs/validations/events").rglob("*.html")).read_text("utf-8")
    assert "Not checked yet" in Path(report["data_docs"]).read_text("utf-8")
    assert "DagsterAssetCheckFailedError" in Path(report["log"]).read_text("utf-8")

    assert relations(url) == before
    assert [(path, path.stat().st_mtime_ns) for path in passed.report.files] == files_before
    ((is_blocked, reason),) = rows(url, "select is_blocked, blocked_reason from analytics.pipeline_freshness")
    assert is_blocked
    assert str(event_id) in str(reason)
    assert "docs/data-quality.md#times-in-range" in str(reason)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOLDWATCH_DATABASE_URL", url)
        (quality,) = (one for one in examine() if one.check == "data quality")
    assert quality.state is State.FAILED
    assert str(event_id) in quality.found
    assert rows(
        url,
        "select context ->> 'runId', context ->> 'isBlocked' from holds.observability_events "
        "where event_type = 'pipeline.run.failed'",
    ) == [(report["run_id"], "true")]


def test_a_test_of_dbt_names_rows(passed: Pass) -> None:
    """Of what dbt only counts, the rows are read again, some of them; a query that fails or writes costs only those."""

    def found(query: str) -> Finding:
        problem = DbtProblem("adds_up", "fail", "Got 12 results, configured to fail if != 0", 12, query)
        (finding,) = dbt_findings(passed.database.url, [problem], passed.state)
        return finding

    named = found(
        "select number as bucket, null as total, 'call Ada' as message from generate_series(1, 12) as number order by 1"
    )
    assert named.rows == tuple({"bucket": str(number), "total": "NULL"} for number in range(1, 11))
    assert named.affected_rows == 12
    assert "holdwatch pipeline rebuild" in named.remedy
    assert found("select * from analytics.gone").rows == ()
    assert found("select holds.store_event(gen_random_uuid(), now(), 'x', 'info', 'x', null, null, '{}')").rows == ()
    assert rows(passed.database.url, "select count(*) from holds.observability_events where event_type = 'x'") == [(0,)]


PROGRAM = """
import sys
from orchestration.cli import main
sys.argv = ["holdwatch", "pipeline", "run", "--json"]
main()
"""
