"""The soak finds nothing on a sound database, and finds every kind of damage on a damaged one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from typer.testing import CliRunner

from holds_core import HoldRequest
from holds_core.database.connections import connect
from orchestration.cli.app import app
from orchestration.soak.ledger import LedgerFindings, check_ledger
from orchestration.soak.load import DatabaseAwayError, LoadResult, run_load
from orchestration.soak.run import run_soak
from orchestration.soak.scenario import FollowUp, make_requests, make_restaurants

EVENING = datetime(2030, 1, 31, 18, tzinfo=UTC)


@pytest.fixture(scope="session")
def template(small_template: str) -> str:
    """Holds are of today and later: no history is needed."""
    return small_template


class Load:
    """A load that ran, and its check."""

    def __init__(self, url: str, requests: int = 400) -> None:
        soak_id = uuid4()
        self.connection = connect(url)
        self.restaurant_ids = [restaurant.id for restaurant in make_restaurants(soak_id, requests)]
        self.result: LoadResult = asyncio.run(
            run_load(url, list(make_requests(soak_id, requests, seed=7)), concurrency=requests, connections=20)
        )

    def check(self) -> LedgerFindings:
        """Compare what callers were told with the database as it is now."""
        return check_ledger(self.connection, self.result.told, self.restaurant_ids)


@pytest.fixture
def load(database_url: str) -> Iterator[Load]:
    """A load on a sound database."""
    load = Load(database_url)
    yield load
    load.connection.close()


def test_thousand_requests_at_once_add_up(database_url: str, connection: psycopg.Connection) -> None:
    """Each request ends once, all are in flight at once, nothing is double-booked, lost or left behind."""
    summary = run_soak(database_url, requests=1000, concurrency=1000, connections=50, seed=1)

    assert summary.examples == ()
    assert summary.is_clean
    assert summary.most_in_flight == summary.requests == 1000
    assert summary.held + summary.conflicts == 1000
    assert summary.held > 100
    assert summary.conflicts > 100
    live = "select count(*) from holds.table_hold_windows where released_at is null"
    assert connection.execute(live).fetchone() == (0,)
    strangers = "select count(*) from holds.observability_events where context ->> 'soakId' is distinct from %s"
    assert connection.execute(strangers, (summary.soak_id,)).fetchone() == (0,)
    deadlocks = connection.execute("select deadlocks from pg_stat_database where datname = current_database()")
    assert deadlocks.fetchone() == (0,)


def test_database_that_stays_away_ends_the_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """One clear error, after the time of one call and not of each."""
    monkeypatch.setattr("orchestration.soak.load._DEADLINE", timedelta(seconds=0.5))
    requests = [
        replace(request, ask=HoldRequest(restaurant_id=uuid4(), table_ids=(uuid4(),), starts_at=EVENING,
                                         ends_at=EVENING + timedelta(hours=1)))
        for request in make_requests(uuid4(), 40, seed=1)
    ]  # fmt: skip
    with pytest.raises(DatabaseAwayError, match="0 of 40 requests were answered"):
        asyncio.run(run_load("postgresql://nobody@127.0.0.1:9/none", requests, concurrency=4, connections=2))


def test_load_has_everything_in_it() -> None:
    """Hot tables, combinations in other orders, same-booking repeats, every follow-up, searches and direct holds."""
    requests = list(make_requests(UUID(int=1), 1000, seed=1))
    direct = [request.ask for request in requests if hasattr(request.ask, "table_ids")]

    assert {request.follow_up for request in requests} == set(FollowUp)
    assert 300 < len(direct) < 700
    assert any(list(ask.table_ids) != sorted(ask.table_ids) for ask in direct)
    assert any(len(set(ask.table_ids)) < len(ask.table_ids) for ask in direct)
    bookings = [ask.booking_id for ask in direct if ask.booking_id is not None]
    assert len(set(bookings)) < len(bookings)
    assert requests == list(make_requests(UUID(int=1), 1000, seed=1))


def test_without_the_constraint_the_same_check_finds_double_bookings(database_url: str) -> None:
    """The negative control: a checker that cannot fail is no checker."""
    with connect(database_url) as connection:
        connection.execute("alter table holds.table_hold_windows drop constraint table_hold_windows_no_overlap")

    summary = run_soak(database_url, requests=1000, concurrency=1000, connections=50, seed=1)

    assert summary.double_bookings > 0
    assert any("double booking: table" in example for example in summary.examples)
    assert not summary.is_clean


DAMAGE: dict[str, tuple[str, Callable[[LedgerFindings], int]]] = {
    "a hold vanished": (
        "with gone as (delete from holds.table_hold_windows where hold_id = %(hold_id)s)"
        " delete from holds.table_holds where id = %(hold_id)s",
        lambda findings: findings.lost,
    ),
    "a window vanished": (
        "delete from holds.table_hold_windows where hold_id = %(hold_id)s",
        lambda findings: findings.lost,
    ),
    "a confirmed hold was undone": (
        "update holds.table_holds set status = 'released' where id = %(confirmed_id)s",
        lambda findings: findings.lost,
    ),
    "a hold that nobody heard of": (
        "insert into holds.table_holds (restaurant_id, owner_id, booking_id, idempotency_key, request_hash, table_ids,"
        " held_during, is_enforced, expires_at) select restaurant_id, owner_id, booking_id, 'other', request_hash,"
        " table_ids, held_during, true, now() from holds.table_holds where booking_id is not null limit 1",
        lambda findings: findings.duplicated,
    ),
    "an event vanished": (
        "delete from holds.observability_events where context ->> 'holdId' = %(hold_id)s::text"
        " and event_type = 'capacity.hold.created'",
        lambda findings: findings.missing_events,
    ),
    "an event doubled": (
        "insert into holds.observability_events (occurred_at, environment, source, event_type, restaurant_id, context)"
        " select occurred_at, environment, source, event_type, restaurant_id, context from holds.observability_events"
        " where context ->> 'holdId' = %(hold_id)s::text and event_type = 'capacity.hold.created'",
        lambda findings: findings.missing_events,
    ),
    "a refusal was not recorded": (
        "delete from holds.observability_events where id ="
        " (select id from holds.observability_events where event_type = 'capacity.rpc.conflict' limit 1)",
        lambda findings: findings.missing_events,
    ),
    "a search was not recorded": (
        "delete from holds.observability_events where id ="
        " (select id from holds.observability_events where event_type like 'capacity.selector.%%' limit 1)",
        lambda findings: findings.missing_events,
    ),
    "two bookings share a table": (
        "with original as (select * from holds.table_hold_windows where hold_id = %(confirmed_id)s limit 1)"
        " insert into holds.table_hold_windows"
        " (hold_id, restaurant_id, table_id, owner_id, held_during, created_at, is_enforced)"
        " select hold_id, restaurant_id, table_id, gen_random_uuid(), held_during, created_at, false from original",
        lambda findings: findings.double_bookings,
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_every_kind_of_damage_is_found(load: Load, damage: str) -> None:
    """Clean before, found after: one damage at a time."""
    assert load.check().is_clean, load.check().examples
    statement, count = DAMAGE[damage]
    kept = next(entry.hold for entry in load.result.told if entry.hold and entry.request.follow_up is FollowUp.KEEP)
    confirmed = next(entry.hold for entry in load.result.told if entry.hold and entry.final_status == "confirmed")

    load.connection.execute(statement, {"hold_id": kept.id, "confirmed_id": confirmed.id})

    findings = load.check()
    assert count(findings) > 0, findings
    assert not findings.is_clean


def test_command_reports_and_refuses_prod(
    database_url: str, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """JSON with the agreed names; prod only on request, whichever side says prod."""
    monkeypatch.setenv("HOLDWATCH_DATABASE_URL", database_url)
    done = CliRunner().invoke(app, ["soak", "--requests", "60", "--concurrency", "60", "--connections", "5", "--json"])
    report = json.loads(done.stdout)
    assert done.exit_code == 0
    assert {"requests", "held", "conflicts", "limited", "errors", "double_bookings", "lost", "duplicated"} <= set(
        report
    )
    assert set(report["latency_ms"]) == {"p50", "p95", "p99"}
    assert report["requests"] == 60 == report["held"] + report["conflicts"] + report["limited"] + report["errors"]

    connection.execute("update holds.settings set environment = 'prod'")
    refused = CliRunner().invoke(app, ["soak", "--requests", "1"])
    assert refused.exit_code != 0
    assert "--allow-prod" in str(refused.exception)
    assert CliRunner().invoke(app, ["soak", "--requests", "5", "--allow-prod"]).exit_code == 0


@pytest.mark.slow
def test_ten_thousand_requests_add_up(database_url: str) -> None:
    """Ten times the load, a thousand in flight."""
    summary = run_soak(database_url, requests=10_000, concurrency=1000, connections=50, seed=2)

    assert summary.is_clean, summary.examples
    assert summary.held + summary.conflicts == 10_000
