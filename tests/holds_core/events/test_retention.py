"""Ninety days: what is older goes, what has no place is kept apart, and nothing goes before it is rolled up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from holds_core import HoldClient
from holds_core.database.connections import connect
from holds_core.database.queries import query
from holds_core.events.record import Event, record_event
from holds_core.events.retention import drop_partitions, plan_retention
from tests.holds_core.conftest import MakeRequest

NEW_TODAY = datetime.now(UTC).date() + timedelta(days=2)
"""A day two days on: today's two oldest partitions are too old by then."""


@pytest.fixture
def database_url(new_database: Callable[..., str], whole_template: str) -> str:
    """A database of each test's own: they drop what the others need."""
    return new_database(whole_template)


def partitions(connection: psycopg.Connection) -> set[str]:
    rows = connection.execute(
        "select relname::text from pg_class where relnamespace = 'holds'::regnamespace and relkind = 'r'"
        " and relname ~ '^observability_events_[0-9]+$'"
    )
    return {row[0] for row in rows}


def noon(day: date) -> datetime:
    return datetime.combine(day, time(12), UTC)


def event(occurred_at: datetime) -> Event:
    return Event(event_type="capacity.manual.validate", source="test", occurred_at=occurred_at, id=uuid4())


def insert(connection: psycopg.Connection, occurred_at: datetime) -> int:
    row = connection.execute(
        "insert into holds.observability_events (occurred_at, environment, source, event_type)"
        " values (%s, 'dev', 'test', 'capacity.manual.validate') returning ingest_pos",
        (occurred_at,),
    ).fetchone()
    assert row is not None
    return int(row[0])


def test_partitions_go_once_their_events_are_rolled_up(connection: psycopg.Connection) -> None:
    oldest = NEW_TODAY - timedelta(days=92)
    position = insert(connection, noon(oldest))
    before = partitions(connection)

    plan = plan_retention(connection, rolled_up_to=position - 1, today=NEW_TODAY)
    assert [one.day for one in plan] == [oldest, oldest + timedelta(days=1)]
    assert [one.kept_because for one in plan] == ["not all of its events are in the rollups", None]
    assert partitions(connection) == before, "a plan changes nothing"
    assert [one.kept_because for one in plan_retention(connection, rolled_up_to=None, today=NEW_TODAY)] == [
        "there are no rollups that could hold its events",
        None,
    ]

    plan = plan_retention(connection, rolled_up_to=position, today=NEW_TODAY)
    assert [one.name for one in drop_partitions(connection, plan)] == [one.name for one in plan]
    assert before - partitions(connection) == {one.name for one in plan}
    assert plan_retention(connection, rolled_up_to=position, today=NEW_TODAY) == []


def test_a_reader_of_other_days_is_not_in_the_way_and_one_of_that_day_postpones_it(
    connection: psycopg.Connection, database_url: str
) -> None:
    plan = plan_retention(connection, rolled_up_to=0, today=NEW_TODAY)
    with connect(database_url, autocommit=False) as reader:
        reader.execute(f"select count(*) from holds.{plan[0].name}")
        assert drop_partitions(connection, plan) == []
        # Events come in meanwhile.
        insert(connection, datetime.now(UTC))
    # What was begun is brought to its end.
    again = plan_retention(connection, rolled_up_to=0, today=NEW_TODAY)
    assert plan[0].name in {one.name for one in again}
    assert {one.name for one in drop_partitions(connection, again)} == {one.name for one in again}
    assert not partitions(connection) & {one.name for one in plan}


@pytest.mark.parametrize("days", [-92, 2, 3650])
def test_events_out_of_range_are_quarantined(connection: psycopg.Connection, days: int) -> None:
    """By the database, whether there is a partition for them or not; recorded, not lost, and only once."""
    odd = event(datetime.now(UTC) + timedelta(days=days))
    for _ in range(2):
        assert record_event(connection, odd)
        connection.execute(query("store_event"), odd.parameters())
    rows = connection.execute("select id, occurred_at, source from holds.quarantined_events").fetchall()
    assert rows == [(odd.id, odd.occurred_at, "test")]
    assert connection.execute("select count(*) from holds.observability_events").fetchone() == (0,)
    assert connection.execute(query("readmit_quarantined_events")).fetchone() == (0,)


def test_events_of_a_day_without_a_partition_wait_for_it(connection: psycopg.Connection) -> None:
    """Nobody has made partitions for long: holds go on, their events wait, and are let in later."""
    today = datetime.now(UTC).date()
    connection.execute(f"drop table holds.observability_events_{today:%Y%m%d}")
    now = event(datetime.now(UTC))
    assert record_event(connection, now)
    connection.execute(query("store_event"), event(datetime.now(UTC)).parameters())
    assert connection.execute("select count(*) from holds.quarantined_events").fetchone() == (2,)
    connection.execute("select holds.ensure_event_partitions(%s, %s)", (today, today))
    assert connection.execute(query("readmit_quarantined_events")).fetchone() == (2,)
    assert connection.execute("select count(*) from holds.quarantined_events").fetchone() == (0,)
    ids = {row[0] for row in connection.execute("select id from holds.observability_events")}
    assert now.id in ids
    assert len(ids) == 2


def test_ended_holds_are_forgotten_with_their_windows(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """Released and expired ones, and confirmed ones whose window is long over; those that live or ended lately stay."""
    released, confirmed, lately, held = (client.place(make_request(uuid4())) for _ in range(4))
    client.release(released.id)
    client.release(lately.id)
    client.confirm(confirmed.id)
    old = "interval '95 days'"
    connection.execute(
        f"update holds.table_hold_windows set released_at = released_at - {old} where hold_id = %s", (released.id,)
    )
    connection.execute(
        "update holds.table_hold_windows set held_during = tstzrange(now() - interval '92 days',"
        " now() - interval '91 days') where hold_id = %s",
        (confirmed.id,),
    )

    def remaining() -> set[UUID]:
        return {row[0] for row in connection.execute("select id from holds.table_holds")}

    before = datetime.now(UTC) - timedelta(days=90)
    assert connection.execute(query("forget_ended_holds"), {"before": before}).fetchone() == (2,)
    assert remaining() == {lately.id, held.id}
    windows = connection.execute("select distinct hold_id from holds.table_hold_windows").fetchall()
    assert {row[0] for row in windows} == {lately.id, held.id}
    assert connection.execute(query("forget_ended_holds"), {"before": before}).fetchone() == (0,)
