"""A database of the first release becomes one of this release, with all that is in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from typer.testing import CliRunner

from holds_core import HoldClient, HoldConflictError, HoldRequest
from holds_core.database.connections import connect
from holds_core.database.migrations import load_migrations
from holds_core.enforcement import enforcement_problems
from holds_core.flags.trail import verify_trail
from orchestration.cli.app import app
from orchestration.dbt import run_dbt
from tests.conftest import with_database
from tests.fixtures.first_release import restore_first_release

FIRST_RELEASE = 5
"""Migrations that it had."""

RESTAURANT, STARTS_AT = UUID(int=100), datetime(2035, 5, 17, 19, tzinfo=UTC)

_SCHEMA = """
select 'function', oid::regprocedure::text, pg_get_functiondef(oid) || coalesce(proacl::text, '')
from pg_proc
where pronamespace = 'holds'::regnamespace and prokind = 'f'
union all
select 'column', attrelid::regclass::text || '.' || attname, format(
    '%s %s %s', format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid)
)
from pg_attribute
inner join pg_class on pg_class.oid = attrelid
left join pg_attrdef on adrelid = attrelid and adnum = attnum
where relnamespace = 'holds'::regnamespace and attnum > 0 and not attisdropped and not relispartition
union all
select 'constraint', conrelid::regclass::text || '.' || conname, pg_get_constraintdef(pg_constraint.oid)
from pg_constraint
inner join pg_class on pg_class.oid = conrelid
where connamespace = 'holds'::regnamespace and not relispartition
union all
select 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid)
from pg_index
inner join pg_class on pg_class.oid = indrelid
where relnamespace = 'holds'::regnamespace and not relispartition
union all
select 'table', oid::regclass::text, format('%s %s %s', relkind, relrowsecurity, relacl)
from pg_class
where relnamespace = 'holds'::regnamespace and relkind in ('r', 'p', 'v', 'S') and not relispartition
union all
select 'policy', format('%s.%s', tablename, policyname), format('%s %s %s %s', cmd, roles, qual, with_check)
from pg_policies
where schemaname = 'holds'
union all
select 'trigger', format('%s.%s', tgrelid::regclass, tgname), pg_get_triggerdef(pg_trigger.oid)
from pg_trigger
inner join pg_class on pg_class.oid = tgrelid
where relnamespace = 'holds'::regnamespace and not tgisinternal and not relispartition
"""


@pytest.fixture(scope="module")
def upgraded_url(new_database: Callable[..., str]) -> str:
    """The first release's database, upgraded as its owner would: by ``holdwatch db migrate``, and nothing else."""
    url = new_database()
    restore_first_release(url)
    done = CliRunner().invoke(app, ["db", "migrate", "--json"], env={"HOLDWATCH_DATABASE_URL": url})

    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["already_applied"], said["environment"]) == (FIRST_RELEASE, "staging")
    assert said["applied"] == [migration.name for migration in load_migrations()[FIRST_RELEASE:]]
    return url


def holds_again(url: str, table: int, booking: int) -> None:
    """Ask for the window that the first release's holds are of."""
    with HoldClient.connect(url) as client:
        client.place(
            HoldRequest(
                restaurant_id=RESTAURANT,
                table_ids=(UUID(int=table),),
                starts_at=STARTS_AT,
                ends_at=STARTS_AT + timedelta(hours=2),
                booking_id=UUID(int=booking),
            )
        )


def test_upgraded_schema_is_that_of_a_new_database(upgraded_url: str, whole_template: str, server_url: str) -> None:
    """Functions, columns, constraints, indexes, rights, policies, triggers: no one can tell which way it came."""
    found = []
    for url in (with_database(server_url, whole_template), upgraded_url):
        with psycopg.connect(url) as connection:
            rows = connection.execute(_SCHEMA).fetchall()
        found.append({(kind, name): said for kind, name, said in rows})
    fresh, upgraded = found

    assert len(fresh) > 200
    assert upgraded.keys() == fresh.keys()
    assert {key: said for key, said in upgraded.items() if said != fresh[key]} == {}


@pytest.mark.parametrize("table", [1, 2], ids=["held", "confirmed"])
def test_hold_of_the_first_release_still_refuses_others(upgraded_url: str, table: int) -> None:
    """Whoever asks for the same window of the same table is refused by the constraint, as before the upgrade."""
    with pytest.raises(HoldConflictError):
        holds_again(upgraded_url, table, booking=900 + table)


def test_holds_of_the_first_release_live_on(upgraded_url: str) -> None:
    """What was held can be confirmed, what was released is free, what stood beside the constraint is over."""
    with connect(upgraded_url) as connection:
        before: dict[UUID, str] = dict(
            connection.execute(
                "select booking_id, status from holds.table_holds where booking_id < %s", (UUID(int=300),)
            ).fetchall()
        )
        held = connection.execute("select id from holds.table_holds where status = 'held'").fetchone()
    assert held is not None
    assert before == {
        UUID(int=201): "held",
        UUID(int=202): "confirmed",
        UUID(int=203): "released",
        UUID(int=205): "released",
    }

    with HoldClient.connect(upgraded_url) as client:
        assert client.confirm(held[0]).status == "confirmed"
    holds_again(upgraded_url, table=3, booking=903)


def test_events_of_the_first_release_are_counted(upgraded_url: str, tmp_path: Path) -> None:
    """Views that were built after the upgrade have each event in its day, and its latency."""
    with connect(upgraded_url) as connection:
        assert connection.execute(
            "select count(*) from holds.observability_events where source = 'selector'"
        ).fetchone() == (8,)
    assert run_dbt(upgraded_url, "run", state=tmp_path).is_successful

    with connect(upgraded_url) as connection:
        days = connection.execute(
            "select bucket_at::date, assignment_count, skipped_count from analytics.assignment_success_rate"
            " where grain = 'day' and restaurant_key = '(all)' and environment = 'staging' order by bucket_at"
        ).fetchall()
        latencies = connection.execute(
            "select sum(sample_count), max(latency_ms) from analytics.reservation_latency_ms where grain = 'day'"
            " and phase = 'total' and percentile = 0.99 and restaurant_key = '(all)' and environment = 'staging'"
        ).fetchone()
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    assert days == [(yesterday - timedelta(days=1), 3, 1), (yesterday, 3, 1)]
    assert latencies is not None
    assert latencies[0] == 8
    assert latencies[1] == pytest.approx(400, rel=0.01)


def test_flags_work_on_what_the_first_release_had_switched(upgraded_url: str) -> None:
    """Overlaps are refused, and a probe says so; the flags stand, their trail is whole, and the switch works."""
    variables = {"HOLDWATCH_DATABASE_URL": upgraded_url}
    with connect(upgraded_url) as connection:
        assert enforcement_problems(connection) == []
        assert not verify_trail(connection).problems
    listed = CliRunner().invoke(app, ["flags", "list", "--json"], env=variables)
    flags = {row["flag"]: row["effective"] for row in json.loads(listed.stdout)["flags"]}
    assert flags["holds.strictConflicts"] == "on"

    for switch in ("off", "on"):
        done = CliRunner().invoke(app, ["enforcement", switch, "--reason", "drill", "--json"], env=variables)
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["is_strict"] is (switch == "on")
