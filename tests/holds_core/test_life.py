"""What becomes of a hold: extended, moved, released; and whoever comes in between."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from holds_core import (
    Hold,
    HoldClient,
    HoldConflictError,
    HoldCutoffError,
    HoldExpiredError,
    HoldNotFoundError,
    HoldRequestError,
    HoldsError,
)
from holds_core.database.connections import connect
from tests.holds_core.conftest import EVENING, MakeRequest, event_counts


def live_windows(connection: psycopg.Connection, hold_id: UUID) -> list[tuple[UUID, datetime, datetime]]:
    """Return the tables and windows that a hold has now."""
    return connection.execute(
        "select table_id, lower(held_during), upper(held_during) from holds.table_hold_windows"
        " where hold_id = %s and released_at is null order by table_id",
        (hold_id,),
    ).fetchall()


def test_extended_hold_lasts_longer_and_never_shorter(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """Header and windows agree, and asking for less than there is takes nothing away."""
    hold = client.place(make_request(uuid4(), uuid4(), time_to_live=timedelta(minutes=5)))

    extended = client.extend(hold.id, timedelta(minutes=30))
    again = client.extend(hold.id, timedelta(minutes=1))

    assert extended.expires_at is not None
    assert abs(extended.expires_at - datetime.now(UTC) - timedelta(minutes=30)) < timedelta(seconds=20)
    assert again.expires_at == extended.expires_at
    assert connection.execute(
        "select distinct windows.expires_at = holds.expires_at from holds.table_hold_windows as windows"
        " inner join holds.table_holds as holds on holds.id = windows.hold_id"
    ).fetchall() == [(True,)]
    assert event_counts(connection)["capacity.hold.extended"] == 2


def test_what_is_over_cannot_be_extended_or_moved(client: HoldClient, make_request: MakeRequest) -> None:
    """Released, expired, unknown: each is said, and nothing comes back to life."""
    released = client.place(make_request(uuid4()))
    client.release(released.id)
    expired = client.place(make_request(uuid4(), time_to_live=timedelta(milliseconds=1)))
    with pytest.raises(HoldExpiredError, match="expired"):
        client.extend(expired.id)
    with pytest.raises(HoldExpiredError, match="released"):
        client.extend(released.id)
    with pytest.raises(HoldExpiredError):
        client.move(released.id, table_ids=[uuid4()])
    with pytest.raises(HoldNotFoundError):
        client.extend(uuid4())
    with pytest.raises(HoldNotFoundError):
        client.move(uuid4(), table_ids=[uuid4()])


def test_confirmed_hold_needs_no_extension_and_can_be_moved(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """It lasts anyway, and stays confirmed on its new table."""
    hold = client.place(make_request(uuid4()))
    client.confirm(hold.id)
    elsewhere = uuid4()

    assert client.extend(hold.id).expires_at is None
    moved = client.move(hold.id, table_ids=[elsewhere])

    assert (moved.status, moved.expires_at, moved.table_ids) == ("confirmed", None, (elsewhere,))
    assert [table for table, _, _ in live_windows(connection, hold.id)] == [elsewhere]
    with pytest.raises(HoldConflictError):
        client.place(make_request(elsewhere))


def test_moved_hold_leaves_its_place_and_has_the_new_one(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """Old tables are free, new ones taken, the shared one stays; the event says from where."""
    old, shared, new = sorted((uuid4(), uuid4(), uuid4()))
    hold = client.place(make_request(old, shared))

    moved = client.move(hold.id, table_ids=[new, shared], starts_at=EVENING + timedelta(hours=1))

    assert moved.id == hold.id
    assert moved.table_ids == (shared, new)
    window = (EVENING + timedelta(hours=1), EVENING + timedelta(hours=2))
    assert live_windows(connection, hold.id) == [(shared, *window), (new, *window)]
    client.place(make_request(old))
    client.place(make_request(shared, hours=1))
    with pytest.raises(HoldConflictError):
        client.place(make_request(new))
    (context,) = (
        connection.execute(
            "select context from holds.observability_events where event_type = 'capacity.hold.moved'"
        ).fetchone()
        or ()
    )
    assert context["movedFrom"]["tableIds"] == [str(old), str(shared)]
    assert context["tableIds"] == [str(shared), str(new)]


def test_refused_move_changes_nothing(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """The new place is taken in part: all of the old one stays, and the refusal is recorded once of each kind."""
    mine, free, taken = uuid4(), uuid4(), uuid4()
    client.place(make_request(taken))
    hold = client.place(make_request(mine))
    before = live_windows(connection, hold.id)

    with pytest.raises(HoldConflictError) as refusal:
        client.move(hold.id, table_ids=[free, taken])

    assert [window.table_id for window in refusal.value.conflicts] == [taken]
    assert live_windows(connection, hold.id) == before
    client.place(make_request(free))
    counts = event_counts(connection)
    assert (counts["capacity.hold.strict_conflict"], counts["capacity.rpc.conflict"]) == (1, 1)
    assert "capacity.hold.moved" not in counts


def test_hold_can_be_moved_over_its_own_place(client: HoldClient, make_request: MakeRequest) -> None:
    """Half an hour later on the same table: it is not in its own way, with a booking or without."""
    for booking_id in (uuid4(), None):
        hold = client.place(make_request(uuid4(), booking_id=booking_id))
        moved = client.move(
            hold.id, starts_at=EVENING + timedelta(minutes=30), ends_at=EVENING + timedelta(hours=2, minutes=30)
        )
        assert moved.starts_at == EVENING + timedelta(minutes=30)


def test_impossible_moves_are_the_callers_fault(client: HoldClient, make_request: MakeRequest) -> None:
    """No table, no window, no time zone."""
    hold = client.place(make_request(uuid4()))
    with pytest.raises(HoldRequestError, match="1 to 50 tables"):
        client.move(hold.id, table_ids=[])
    with pytest.raises(HoldRequestError, match="begin before it ends"):
        client.move(hold.id, starts_at=EVENING + timedelta(days=1))
    with pytest.raises(HoldRequestError, match="time zone"):
        client.move(hold.id, starts_at=datetime(2030, 1, 1))  # noqa: DTZ001
    with pytest.raises(HoldRequestError, match="time to live"):
        client.extend(hold.id, timedelta(days=2))


def test_replayed_change_is_carried_out_once(
    connection: psycopg.Connection, make_request: MakeRequest, client: HoldClient
) -> None:
    """The same event id is the same call: after another move, its replay does not move the hold back."""
    hold = client.place(make_request(uuid4()))
    first, second = uuid4(), uuid4()
    event_id, at = uuid4(), datetime.now(UTC)
    move = "select outcome, table_ids from holds.move_table_hold(%s, array[%s], null, null, %s, %s)"

    assert connection.execute(move, (hold.id, first, event_id, at)).fetchone() == ("moved", [first])
    client.move(hold.id, table_ids=[second])
    assert connection.execute(move, (hold.id, first, event_id, at)).fetchone() == ("replayed", [second])
    assert event_counts(connection)["capacity.hold.moved"] == 2


def test_holds_that_change_places_do_not_deadlock(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest, database_url: str
) -> None:
    """Two holds that want each other's table are both refused, at once, again and again."""
    tables = (uuid4(), uuid4())
    holds = [client.place(make_request(table)) for table in tables]
    errors: list[HoldsError] = []

    def change(hold: Hold, wanted: UUID) -> None:
        with HoldClient.connect(database_url, max_connections=1) as own:
            for _ in range(50):
                try:
                    own.move(hold.id, table_ids=[wanted])
                except HoldsError as error:
                    errors.append(error)

    threads = [
        threading.Thread(target=change, args=(hold, wanted))
        for hold, wanted in zip(holds, reversed(tables), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {type(error) for error in errors} == {HoldConflictError}
    assert len(errors) == 100
    assert connection.execute(
        "select deadlocks from pg_stat_database where datname = current_database()"
    ).fetchone() == (0,)


def test_move_behind_a_lock_is_a_cutoff(
    make_request: MakeRequest, client: HoldClient, database_url: str, connection: psycopg.Connection
) -> None:
    """Somebody is about to take the new table and does not come to an end: CUTOFF, and the hold stays where it is."""
    hold = client.place(make_request(uuid4()))
    wanted = uuid4()
    with (
        connect(database_url, autocommit=False) as stuck,
        HoldClient.connect(database_url, deadline=timedelta(seconds=0.5)) as hasty,
    ):
        stuck.execute(
            "select holds.create_table_hold(%s, array[%s], %s, %s, 'k')",
            (uuid4(), wanted, EVENING, EVENING + timedelta(hours=2)),
        )
        with pytest.raises(HoldCutoffError):
            hasty.move(hold.id, table_ids=[wanted])
    assert [table for table, _, _ in live_windows(connection, hold.id)] == list(hold.table_ids)
