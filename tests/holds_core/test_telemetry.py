"""Every call and its events: recorded once, never in its way, never lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from holds_core import (
    Event,
    HoldClient,
    HoldConflictError,
    HoldRequestError,
    QuoteRequest,
    Table,
    quote_tables_for_booking,
)
from holds_core.database.connections import connect
from holds_core.enforcement import set_hold_conflict_enforcement
from holds_core.events.spool import DrainReport, EventSpool
from tests.holds_core.conftest import EVENING, MakeRequest, event_counts

SHORT = timedelta(milliseconds=1)


def test_every_refusal_is_recorded_exactly_once_of_each_kind(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """One strict_conflict and one rpc.conflict, with what the views read."""
    table = uuid4()
    client.place(make_request(table))
    refused = make_request(table, event_context={"soakId": "s"})

    with pytest.raises(HoldConflictError):
        client.place(refused, attempt=3)

    assert event_counts(connection) == {
        "capacity.hold.created": 1,
        "capacity.hold.strict_conflict": 1,
        "capacity.rpc.conflict": 1,
    }
    rows: dict[str, Any] = dict(
        connection.execute(
            "select event_type, context from holds.observability_events where event_type like '%conflict'"
        ).fetchall()
    )
    for context in rows.values():
        assert context["tableIds"] == [str(table)]
        assert datetime.fromisoformat(context["window"]["startsAt"]) == EVENING
        assert context["soakId"] == "s"
    rpc, strict = rows["capacity.rpc.conflict"], rows["capacity.hold.strict_conflict"]
    assert (rpc["code"], rpc["reason"], rpc["attempt"]) == ("23P01", "HOLD_CONFLICT", 3)
    assert (strict["sqlstate"], strict["constraint"]) == ("23P01", "table_hold_windows_no_overlap")
    assert [conflict["tableId"] for conflict in strict["conflicts"]] == [str(table)]


def test_broken_telemetry_does_not_fail_the_hold(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest, spool: EventSpool
) -> None:
    """The hold stands; its event waits in the spool, and is stored once when telemetry is mended."""
    connection.execute("alter table holds.observability_events add constraint never check (false) not valid")

    request = make_request(uuid4(), event_context={"channel": "web"})
    hold = client.place(request)

    assert hold.status == "held"
    assert hold.is_event_recorded
    assert event_counts(connection) == {}
    assert spool.depth() == 1

    connection.execute("alter table holds.observability_events drop constraint never")
    assert spool.drain(connection) == DrainReport(drained=1, rejected=0)
    assert client.place(request).is_replay
    context = connection.execute("select context from holds.observability_events").fetchall()
    assert [(row["holdId"], row["channel"]) for (row,) in context] == [(str(hold.id), "web")]


def test_lost_event_is_said(
    database_url: str, connection: psycopg.Connection, make_request: MakeRequest, tmp_path: Path
) -> None:
    """Neither the database nor the disk takes the event: the hold stands, and says so."""
    connection.execute("alter table holds.observability_events add constraint never check (false) not valid")
    (tmp_path / "file").touch()
    unwritable = EventSpool(tmp_path / "file" / "spool")

    with HoldClient.connect(database_url, spool=unwritable) as client:
        hold = client.place(make_request(uuid4()))

    assert hold.status == "held"
    assert not hold.is_event_recorded
    assert unwritable.dropped == 1


def test_each_try_has_its_own_event(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """A try that is refused, and the same try repeated once the table is free: both ends are recorded."""
    table = uuid4()
    blocker = client.place(make_request(table))
    repeat = (
        "select (holds.create_table_hold(%(restaurant)s, array[%(table)s], %(from)s, %(until)s, 'k',"
        " p_event_id => %(event)s, p_attempted_at => %(at)s)).outcome"
    )
    parameters = {
        "restaurant": uuid4(),
        "table": table,
        "from": EVENING,
        "until": EVENING + timedelta(hours=1),
        "event": uuid4(),
        "at": datetime.now(UTC),
    }
    assert connection.execute(repeat, parameters).fetchone() == ("conflict",)
    assert connection.execute(repeat, parameters).fetchone() == ("conflict",)
    client.release(blocker.id)
    assert connection.execute(repeat, parameters).fetchone() == ("held",)

    assert event_counts(connection) == {
        "capacity.hold.created": 2,
        "capacity.hold.released": 1,
        "capacity.hold.strict_conflict": 1,
        "capacity.rpc.conflict": 1,
    }


def test_new_partitions_let_holds_through(
    client: HoldClient, connection: psycopg.Connection, database_url: str, make_request: MakeRequest
) -> None:
    """A long reader of the events, and somebody who makes tomorrow's partition: holds and their events go on."""
    with connect(database_url, autocommit=False) as reader:
        reader.execute("select count(*) from holds.observability_events")
        connection.execute("set lock_timeout = '2s'")
        made = connection.execute(
            "select holds.ensure_event_partitions(current_date + 30, current_date + 31)"
        ).fetchone()

        assert made == (2,)
        assert client.place(make_request(uuid4())).is_event_recorded


def test_locked_telemetry_does_not_hide_the_hold(
    client: HoldClient, database_url: str, connection: psycopg.Connection, restaurant_id: UUID, spool: EventSpool
) -> None:
    """The events cannot be written for now: the booking has its tables, and the events wait."""
    table = Table(id=uuid4(), capacity=2)
    request = QuoteRequest(
        restaurant_id=restaurant_id,
        tables=[table],
        party_size=2,
        starts_at=EVENING,
        ends_at=EVENING + timedelta(hours=1),
    )
    with connect(database_url, autocommit=False) as blocker:
        blocker.execute("lock table holds.observability_events in access exclusive mode")
        quote = quote_tables_for_booking(client, request)

    assert quote.hold is not None
    assert quote.is_event_recorded
    spool.drain(connection)
    assert event_counts(connection) == {"capacity.hold.created": 1, "capacity.selector.assignment": 1}


def test_callers_context_cannot_stand_in_for_ours(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """What a caller adds never replaces what the core says."""
    hold = client.place(make_request(uuid4(), event_context={"holdId": "other", "channel": "web"}))

    (context,) = connection.execute("select context from holds.observability_events").fetchone() or ()
    assert (context["holdId"], context["channel"]) == (str(hold.id), "web")


@pytest.mark.parametrize("kind", ["conflict", "confirmed", "extended", "moved", "released", "created"])
def test_no_event_is_lost_with_its_answer(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest, spool: EventSpool, kind: str
) -> None:
    """What could not be stored comes with the answer, waits in the spool, and is stored once, as it would have been."""
    table = uuid4()
    hold = client.place(make_request(table))
    connection.execute("alter table holds.observability_events add constraint never check (false) not valid")
    match kind:
        case "conflict":
            with pytest.raises(HoldConflictError):
                client.place(make_request(table))
        case "confirmed":
            client.confirm(hold.id)
        case "extended":
            client.extend(hold.id)
        case "moved":
            client.move(hold.id, table_ids=[uuid4()])
        case "released":
            client.release(hold.id)
        case "created":
            client.place(make_request(uuid4()))
    connection.execute("alter table holds.observability_events drop constraint never")
    spool.drain(connection)

    expected = {"capacity.hold.created": 1}
    if kind == "conflict":
        expected |= {"capacity.hold.strict_conflict": 1, "capacity.rpc.conflict": 1}
    elif kind == "created":
        expected["capacity.hold.created"] = 2
    else:
        expected[f"capacity.hold.{kind}"] = 1
    assert event_counts(connection) == expected
    contexts = connection.execute(
        "select context - 'conflicts' ? 'holdId', context::text like %s from holds.observability_events"
        " where event_type <> 'capacity.hold.created'",
        (f'%"holdId": "{hold.id}"%"conflicts"%',),
    ).fetchall()
    assert all(row == (True, False) for row in contexts), "the other hold is not named outside the database"


def test_both_events_of_an_unenforced_hold_are_kept(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest, spool: EventSpool
) -> None:
    """That strict mode would have refused it is an event too."""
    table = uuid4()
    client.place(make_request(table))
    set_hold_conflict_enforcement(connection, enabled=False, reason="drill")
    connection.execute(
        "alter table holds.observability_events add constraint never"
        " check (event_type <> 'capacity.hold.strict_conflict') not valid"
    )
    assert client.place(make_request(table)).is_event_recorded
    connection.execute("alter table holds.observability_events drop constraint never")

    assert spool.depth() == 1
    spool.drain(connection)
    assert event_counts(connection)["capacity.hold.strict_conflict"] == 1


def test_event_of_a_lost_answer_comes_with_the_replay(
    database_url: str, connection: psycopg.Connection, make_request: MakeRequest, tmp_path: Path
) -> None:
    """Who was told that it could not be stored may be gone: whoever asks again is told too, and it counts once."""
    request = make_request(uuid4())
    spools = [EventSpool(tmp_path / name) for name in ("gone", "asks again")]
    # Refused for now, not for good.
    connection.execute(
        "create function refuse() returns trigger language plpgsql as"
        " $$ begin raise exception 'not now' using errcode = '55000'; end $$;"
        " create trigger refuse before insert on holds.observability_events for each row execute function refuse()"
    )
    for spool in spools:
        with HoldClient.connect(database_url, max_connections=1, spool=spool) as one:
            one.place(request)
    connection.execute("drop trigger refuse on holds.observability_events")

    assert [spool.depth() for spool in spools] == [1, 1]
    for spool in spools:
        spool.drain(connection)
    assert event_counts(connection) == {"capacity.hold.created": 1}


def test_event_that_is_no_json_fails_nobody(client: HoldClient) -> None:
    """Telemetry never raises; what cannot be written down is counted."""
    event = Event(event_type="x", source="test", context={"when": datetime.now(UTC)})
    assert client.record(event) is False


def test_event_needs_a_time_zone() -> None:
    """Its time is part of its identity."""
    with pytest.raises(HoldRequestError, match="time zone"):
        Event(event_type="x", source="test", occurred_at=EVENING.replace(tzinfo=None))


def test_spool_that_cannot_be_read_fails_nobody(
    database_url: str, make_request: MakeRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a hold nor the end of the program."""

    def refuse(_: EventSpool) -> int:
        raise PermissionError("the spool's folder is somebody else's")

    monkeypatch.setattr(EventSpool, "depth", refuse)
    with HoldClient.connect(database_url, spool=EventSpool(tmp_path)) as client:
        assert client.place(make_request(uuid4())).status == "held"
