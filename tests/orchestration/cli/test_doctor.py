"""The doctor finds what is wrong, says how to mend it, and touches nothing."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import dagster as dg
import psycopg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    InProcessCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, ScheduleInstigatorData
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.types import DaemonHeartbeat
from psycopg import sql

from holds_core import Event
from holds_core.database.connections import connect
from holds_core.database.settings import Environment
from holds_core.events.spool import WAITING, EventSpool, default_spool
from orchestration import dagster_instance
from orchestration.doctor import Diagnosis, Limits, examine
from tests.orchestration.cli.test_commands import Run, run

__all__ = ["run"]


@pytest.fixture
def spool(database_url: str, tmp_path: Path) -> EventSpool:
    """The database's spool, below a root of this test's own."""
    return default_spool(database_url, {"HOLDWATCH_SPOOL_DIRECTORY": str(tmp_path / "spool")})


def examined(run: Run, spool: EventSpool) -> tuple[int, dict[str, dict[str, Any]]]:
    """Run the doctor; return its exit status and the checks by name."""
    done = run("doctor", "--json", HOLDWATCH_SPOOL_DIRECTORY=str(spool.directory.parent))
    return done.status, {check["check"]: check for check in done.json["checks"]}


def test_healthy_database_is_well(run: Run, spool: EventSpool) -> None:
    """Nothing failed, and each thing that there is was looked at."""
    status, checks = examined(run, spool)

    assert status == 0
    assert {"database", "schema", "environment", "enforcement", "double bookings", "event partitions"} <= checks.keys()
    assert checks["flags"]["state"] == "ok"
    assert {check["state"] for check in checks.values()} <= {"ok", "warning", "not installed"}
    assert checks["event spool"]["state"] == "ok"
    assert "remedy" in checks["schema"]
    assert "holdwatch 0" in run("doctor").out
    # What stands in brackets is no markup of ours.
    if checks["extra supabase"]["state"] == "not installed":
        assert "[supabase]'" in "".join(run("doctor", COLUMNS="300").out.split())


def test_each_fault_is_found_and_has_a_remedy(run: Run, spool: EventSpool, connection: psycopg.Connection) -> None:
    """A dropped constraint, an older schema, no partitions ahead, waiting events: all in one go."""
    spool.append(Event(event_type="x", source="test"))
    (spool.directory / "rejected.jsonl").write_text('{"line": "x"}\n')
    connection.execute("alter table holds.table_hold_windows drop constraint table_hold_windows_no_overlap")
    connection.execute("delete from public.holdwatch_migrations where number > 5")
    connection.execute("update holds.settings set strict_percentage = 40")
    connection.execute(
        "select holds.store_event("
        "gen_random_uuid(), now() + interval '3 days', 'x', 'info', 'a slow clock', null, null,"
        " '{}')"
    )
    partitions = connection.execute(
        "select inhrelid::regclass::text from pg_inherits where inhparent = 'holds.observability_events'::regclass"
        " and right(inhrelid::regclass::text, 8) > to_char(current_date, 'YYYYMMDD')"
    ).fetchall()
    for (name,) in partitions:
        connection.execute(f"drop table {name}")

    status, checks = examined(run, spool)

    assert status == 1
    found = {name: check["state"] for name, check in checks.items()}
    assert found["schema"] == found["enforcement"] == found["event partitions"] == found["flags"] == "failed"
    assert "strictConflicts is 40 % in the settings" in checks["flags"]["found"]
    assert found["event spool"] == found["rejected events"] == "warning"
    assert found["quarantine"] == found["rollups"] == "warning"
    assert "the last from a slow clock" in checks["quarantine"]["found"]
    assert "1 events wait" in checks["event spool"]["found"]
    assert checks["event spool"]["remedy"] == "holdwatch events drain"
    assert (spool.directory / WAITING).exists()


def test_unreachable_database_does_not_stop_the_rest(run: Run, spool: EventSpool) -> None:
    """The password is not said, and the spool is still looked at."""
    done = run("doctor", HOLDWATCH_DATABASE_URL="postgresql://me:secret@127.0.0.1:9/none")

    assert done.status == 1
    assert "failed" in done.out
    assert "event spool" in done.out
    assert "secret" not in done.out + done.err


def test_drain_brings_what_waits_to_the_database(run: Run, spool: EventSpool, connection: psycopg.Connection) -> None:
    """From the console, and the second time there is nothing to do."""
    for _ in range(3):
        spool.append(Event(event_type="capacity.manual.validate", source="test"))
    where = {"HOLDWATCH_SPOOL_DIRECTORY": str(spool.directory.parent)}

    assert run("events", "drain", "--json", **where).json == {
        "directory": str(spool.directory), "drained": 3, "rejected": 0, "postponed": 0,
    }  # fmt: skip
    assert "0 events drained" in run("events", "drain", **where).out
    assert connection.execute("select count(*) from holds.observability_events").fetchone() == (3,)


def test_events_of_an_older_release_are_brought_by_whoever_says_so(
    run: Run, spool: EventSpool, connection: psycopg.Connection
) -> None:
    """They wait in the folder that was one for all databases: the doctor says so, and no drain takes them unasked."""
    old = EventSpool(spool.directory.parent)
    old.append(Event(event_type="capacity.manual.validate", source="test"))
    where = {"HOLDWATCH_SPOOL_DIRECTORY": str(old.directory)}
    _, checks = examined(run, spool)

    assert checks["event spool"]["state"] == "ok"
    assert f"1 events wait in {old.directory}, for another database" in checks["other events"]["found"]
    assert checks["other events"]["remedy"].endswith(f"holdwatch events drain --spool {old.directory}")
    assert run("events", "drain", "--json", **where).json["drained"] == 0
    assert run("holds", "sweep", "--json", **where).json["drained"] == 0
    assert run("events", "drain", "--spool", str(old.directory), **where).status == 0
    assert connection.execute("select count(*) from holds.observability_events").fetchone() == (1,)
    assert old.depth() == 0
    assert run("events", "drain", "--spool", str(old.directory / "none")).status == 2


def examined_here(url: str, monkeypatch: pytest.MonkeyPatch, limits: Limits | None = None) -> dict[str, Diagnosis]:
    """Examine a database in this process; return the diagnoses by name."""
    monkeypatch.setenv("HOLDWATCH_DATABASE_URL", url)
    return {one.check: one for one in examine(limits)}


def test_limits_that_are_reached_are_told_with_a_remedy(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is low, a server that is too old; and one that is newer than any test has seen."""
    strict = Limits(free_bytes=10**18, oldest_server=990000, days_ahead=1000)
    found = examined_here(database_url, monkeypatch, strict)
    assert (found["disk"].state, found["database"].state) == ("warning", "failed")
    assert "GB free" in found["disk"].found
    assert "Make room" in found["disk"].remedy
    assert "Upgrade the server to PostgreSQL 99" in found["database"].remedy
    assert found["event partitions"].state == "failed"
    full = examined_here(database_url, monkeypatch, Limits(free_bytes=10**18, least_free_bytes=10**18))["disk"]
    assert (full.state, "HOLDWATCH_STATE_DIR" in full.remedy) == ("failed", True)

    due = examined_here(database_url, monkeypatch, Limits(flag_notice=timedelta(days=3650)))["flags"]
    assert (due.state, "selector.lookahead expires 20" in due.found) == ("warning", True)
    assert "holdwatch flags stale" in due.remedy
    newer = examined_here(database_url, monkeypatch, Limits(newest_server=140000))["database"]
    assert newer.state == "warning"
    assert "newer than PostgreSQL 13 has been tested" in newer.remedy
    assert examined_here(database_url, monkeypatch)["database"].state == "ok"


def test_database_that_is_not_ours_is_told_so(new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One line about the schema instead of one for each thing that is not there."""
    found = examined_here(new_database(), monkeypatch)

    assert found["schema"].state == "failed"
    assert found["schema"].remedy.endswith("holdwatch db migrate")
    assert found["extension"].state == "ok"
    assert not {"enforcement", "flags", "schedules"} & found.keys()


def test_schema_of_another_release_is_told_by_what_to_do(
    database_url: str, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind: migrate. Ahead: another program. With other content: the file as it was."""
    connection.execute(
        "insert into public.holdwatch_migrations (number, name, checksum) values (9999, '9999_of_the_future', 'x')"
    )
    ahead = examined_here(database_url, monkeypatch)["schema"]
    assert (ahead.state, ahead.remedy) == ("failed", "Install that release or a later one.")
    assert "9999_of_the_future" in ahead.found

    connection.execute("delete from public.holdwatch_migrations where number = 9999")
    connection.execute("update public.holdwatch_migrations set checksum = 'x' where number = 3")
    edited = examined_here(database_url, monkeypatch)["schema"]
    assert "0003_table_holds was applied with another content" in edited.found

    connection.execute("delete from public.holdwatch_migrations where number > 7")
    behind = examined_here(database_url, monkeypatch)["schema"]
    assert (behind.state, behind.remedy) == ("failed", "holdwatch db migrate")
    assert "the next is 0008" in behind.found


def test_extension_that_was_dropped_is_told_with_what_went_with_it(
    database_url: str, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever drops it with cascade drops the constraint: both are found."""
    connection.execute("drop extension btree_gist cascade")

    found = examined_here(database_url, monkeypatch)

    assert (found["extension"].state, found["enforcement"].state) == ("failed", "failed")
    assert "create extension btree_gist" in found["extension"].remedy


def test_login_without_rights_is_told_which_to_get(
    run: Run, database_url: str, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None: how to get one. A role: it is named, and what the role may not see is skipped, not failed."""
    login = f"guest_{uuid4().hex[:12]}"
    parts = urlsplit(database_url)
    where = f"{parts.hostname}:{parts.port or 5432}" if parts.hostname else ""
    own = urlunsplit(parts._replace(netloc=f"{login}:guest@{where}"))
    connection.execute(sql.SQL("create role {} login password 'guest'").format(sql.Identifier(login)))
    try:
        without = examined_here(own, monkeypatch)
        connection.execute(sql.SQL("grant analytics_reader to {}").format(sql.Identifier(login)))
        reader = examined_here(own, monkeypatch)
        said = run("doctor", HOLDWATCH_DATABASE_URL=own, COLUMNS="200").out.splitlines()[-1]
        denied = run("holds", "conflicts", HOLDWATCH_DATABASE_URL=own)
    finally:
        connection.execute(sql.SQL("drop role {}").format(sql.Identifier(login)))

    assert without["rights"].state == "failed"
    assert "holdwatch db grant ROLE PERSON" in without["rights"].remedy
    assert (reader["rights"].state, reader["rights"].found) == ("ok", f"{login} is analytics_reader")
    assert reader["enforcement"].state == reader["schema"].state == "skipped"
    assert f"{login} may not look at this" in reader["enforcement"].found
    assert re.match(r"\d+ checks were skipped\. Ask as the owner of the database", said), said
    assert (denied.status, "the owner alone looks at what is stored" in denied.err) == (1, True)
    owner = examined_here(database_url, monkeypatch)
    assert owner["rights"].found.endswith(" is the owner")


def test_stale_rollups_are_told_once_events_wait(
    small_views_template: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old refresh is no matter while nothing has come in since; then it is."""
    url = small_views_template()
    with connect(url) as connection:
        connection.execute("update analytics.rollup_positions set refreshed_at = now() - interval '2 hours'")
        assert examined_here(url, monkeypatch)["rollups"].state == "ok"
        connection.execute("select holds.store_event(gen_random_uuid(), now(), 'x', 'info', 'test', null, null, '{}')")

    stale = examined_here(url, monkeypatch)["rollups"]

    assert stale.state == "warning"
    assert "1 events wait, and the last refresh was at" in stale.found
    assert "holdwatch pipeline run" in stale.remedy
    assert examined_here(url, monkeypatch, Limits(rollup_age=timedelta(days=1)))["rollups"].state == "ok"


def test_alert_that_fires_fails_and_names_its_page(
    small_views_template: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A silent pipeline, and the page that comes of it; the silence fails where schedules are counted on."""
    url = small_views_template()
    assert examined_here(url, monkeypatch)["alerts"].state == "ok"
    with connect(url) as connection:
        connection.execute(
            "select holds.store_event("
            "gen_random_uuid(), now() - interval '40 minutes', 'pipeline.run.failed', 'info', 'test', null, null, '{}')"
        )
        silent = examined_here(url, monkeypatch)
        connection.execute("create schema if not exists dagster")
        connection.execute("create table if not exists dagster.daemon_heartbeats ()")
        counted_on = examined_here(url, monkeypatch)["pipeline"]
        connection.execute(
            "select holds.store_event("
            "gen_random_uuid(), now(), 'pipeline.run.succeeded', 'info', 'test', null, null, '{}')"
        )
        mended = examined_here(url, monkeypatch)

    assert (mended["alerts"].found, mended["pipeline"].state) == ("none fires", "ok")
    assert (silent["alerts"].state, silent["alerts"].found) == ("failed", "firing: telemetry_stale (page, dev)")
    assert silent["alerts"].remedy == "docs/runbooks/telemetry-stale.md"
    assert (silent["pipeline"].state, counted_on.state) == ("warning", "failed")
    assert counted_on.found.startswith("the last run ended 40 minutes ago, at ")
    assert counted_on.remedy == "holdwatch pipeline run"


def test_embedded_server_that_should_be_up_is_told_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started to stay, it is down: failed. Not started to stay, it is nobody's fault."""
    monkeypatch.delenv("HOLDWATCH_DATABASE_URL", raising=False)
    monkeypatch.setattr("orchestration.paths.STATE_DIR", tmp_path)
    at_rest = next(one for one in examine() if one.check == "database")
    (tmp_path / "keep-server").touch()
    down = next(one for one in examine() if one.check == "database")

    assert at_rest.state == "skipped"
    assert (down.state, down.remedy) == ("failed", "holdwatch db start")
    assert down.found.startswith("the embedded server was started to stay up, and is down; log: /")


def test_schedules_that_are_off_are_told_by_name(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No Dagster yet, no daemon, a daemon that works, one that has died, a schedule that somebody switched off."""
    assert "has never run" in examined_here(database_url, monkeypatch)["schedules"].found
    home = dagster_instance.dagster_home(tmp_path)
    variables = dagster_instance.process_environment(database_url, Environment.DEV, home)
    with dagster_instance.environment_variables(variables), dg.DagsterInstance.from_config(str(home)) as instance:
        asleep = examined_here(database_url, monkeypatch)["schedules"]
        instance.add_daemon_heartbeat(DaemonHeartbeat(time.time(), "SCHEDULER", "1", []))
        at_work = examined_here(database_url, monkeypatch)["schedules"]
        died = examined_here(database_url, monkeypatch, Limits(heartbeat_age=timedelta(0)))["schedules"]
        location = InProcessCodeLocationOrigin(LoadableTargetOrigin())
        origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), "pipeline_every_half_hour")
        instance.add_instigator_state(
            InstigatorState(
                origin, InstigatorType.SCHEDULE, InstigatorStatus.STOPPED, ScheduleInstigatorData("*/5 * * * *")
            )
        )
        switched_off = examined_here(database_url, monkeypatch)["schedules"]

    assert (asleep.state, asleep.remedy) == ("warning", "Start it: holdwatch up")
    assert at_work.state == "ok"
    assert died.state == "warning"
    assert "no daemon of Dagster's has given a sign of life since" in died.found
    assert (switched_off.state, switched_off.found) == ("warning", "switched off in Dagster: pipeline_every_half_hour")
    assert "under Automation" in switched_off.remedy
