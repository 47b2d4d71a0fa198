"""Races that need two hands to show: each is held still at its worst moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from holds_core import Hold, HoldClient, HoldConflictError, HoldsError
from holds_core.database.connections import connect
from holds_core.enforcement import set_hold_conflict_enforcement
from tests.holds_core.conftest import MakeRequest

SHORT = timedelta(seconds=0.4)
OVERLAPPING_PAIRS = """
    select count(*) from holds.table_hold_windows as one
    inner join holds.table_hold_windows as other
        on other.table_id = one.table_id and other.id > one.id and other.owner_id <> one.owner_id
        and other.held_during && one.held_during
    where one.released_at is null and other.released_at is null
        and least(one.expires_at, other.expires_at, 'infinity') > clock_timestamp()
"""


def wait_until_blocked(connection: psycopg.Connection) -> None:
    """Wait until somebody of this database waits for a lock."""
    connection.execute(
        "do $$ begin for i in 1..400 loop"
        " exit when exists (select from pg_stat_activity where datname = current_database()"
        " and wait_event_type = 'Lock');"
        " perform pg_sleep(0.025); perform pg_stat_clear_snapshot(); end loop; end $$"
    )
    assert connection.execute(
        "select count(*) > 0 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    ).fetchone() == (True,)


def wait_until(connection: psycopg.Connection, moment: object) -> None:
    """Wait until a moment of the database's clock is over."""
    connection.execute("select pg_sleep_until(%s)", (moment,))


def outcome(connection: psycopg.Connection, function: str, hold_id: UUID, *more: object) -> str:
    """Call a function on a hold, in the connection's transaction."""
    places = ", ".join(["%s"] * (1 + len(more)))
    row = connection.execute(f"select (holds.{function}({places})).outcome", (hold_id, *more)).fetchone()
    assert row is not None
    return str(row[0])


@pytest.mark.parametrize("change", ["confirm_table_hold", "extend_table_hold"])
def test_grandfathered_window_and_a_new_hold_never_both_win(
    client: HoldClient, connection: psycopg.Connection, database_url: str, make_request: MakeRequest, change: str
) -> None:
    """Beside the constraint, confirmed in time and committed late: a strict create waits for it, and is refused."""
    table = uuid4()
    first = client.place(make_request(table))
    set_hold_conflict_enforcement(connection, enabled=False, reason="drill")
    beside = client.place(make_request(table, time_to_live=SHORT))
    set_hold_conflict_enforcement(connection, enabled=True, reason="over", on_overlap="grandfather")
    client.release(first.id)
    # Released, it would be promoted; an overlap elsewhere keeps it as it is.
    connection.execute("update holds.table_hold_windows set is_enforced = false where hold_id = %s", (beside.id,))

    with connect(database_url, autocommit=False) as late, ThreadPoolExecutor(1) as thread:
        assert outcome(late, change, beside.id, *([60] if change == "extend_table_hold" else [])) != "expired"
        wait_until(connection, beside.expires_at)
        placed = thread.submit(client.place, make_request(table))
        wait_until_blocked(connection)
        late.commit()
        with pytest.raises(HoldConflictError):
            placed.result(20)
    assert connection.execute(OVERLAPPING_PAIRS).fetchone() == (0,)


def test_expired_grandfathered_window_makes_way(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """Nobody confirmed it in time: the new hold has the table, and the old one is over at once."""
    table = uuid4()
    set_hold_conflict_enforcement(connection, enabled=False, reason="drill")
    beside = client.place(make_request(table, time_to_live=timedelta(milliseconds=1)))
    connection.execute("update holds.table_hold_windows set is_enforced = false")
    connection.execute("update holds.settings set is_strict_conflicts_enabled = true")

    assert client.place(make_request(table)).is_enforced
    assert client.release(beside.id).status == "expired"


def test_sweeper_spares_a_hold_that_is_just_extended(
    client: HoldClient, connection: psycopg.Connection, database_url: str, make_request: MakeRequest
) -> None:
    """The extend commits while the sweeper is at work on the holds before it: told that it lasts, it lasts."""
    connection.execute(
        "create function wait_for_test() returns trigger language plpgsql as"
        " $$ begin perform pg_advisory_xact_lock(42); return new; end $$;"
        " create trigger wait_for_test before insert on holds.observability_events for each row"
        " when (new.event_type = 'capacity.hold.expired') execute function wait_for_test()"
    )
    # More than a cursor fetches at once.
    holds = sorted((client.place(make_request(uuid4(), time_to_live=SHORT)) for _ in range(80)), key=lambda h: h.id)
    last = max(holds, key=lambda hold: hold.id)
    with (
        connect(database_url, autocommit=False) as extending,
        connect(database_url, autocommit=False) as gate,
        ThreadPoolExecutor(1) as thread,
    ):
        gate.execute("select pg_advisory_xact_lock(42)")
        assert outcome(extending, "extend_table_hold", last.id, 60) == "extended"
        wait_until(connection, max(hold.expires_at for hold in holds if hold.expires_at is not None))
        swept = thread.submit(client.expire)
        wait_until_blocked(connection)
        extending.commit()
        gate.rollback()
        assert swept.result(20) == 79

    assert client.confirm(last.id).status == "confirmed"


def test_move_into_a_crowd_does_not_deadlock(
    client: HoldClient, connection: psycopg.Connection, database_url: str, make_request: MakeRequest
) -> None:
    """A hold that has expired on C moves to A and B, A being busy; meanwhile another takes over B and C."""
    a, b, c = sorted(uuid4() for _ in range(3))
    moving = client.place(make_request(c, time_to_live=SHORT))
    errors: list[HoldsError] = []

    def attempt(action: Callable[[], Hold]) -> Hold | None:
        try:
            return action()
        except HoldsError as error:
            errors.append(error)
            return None

    with connect(database_url, autocommit=False) as busy, ThreadPoolExecutor(2) as threads:
        request = make_request(a)
        busy.execute(
            "select holds.create_table_hold(%s, array[%s], %s, %s, 'busy')",
            (request.restaurant_id, a, request.starts_at, request.ends_at),
        )
        moved: Future[Hold | None] = threads.submit(attempt, lambda: client.move(moving.id, table_ids=[a, b]))
        wait_until_blocked(connection)
        wait_until(connection, moving.expires_at)
        placed = threads.submit(attempt, lambda: client.place(make_request(b, c)))
        done = threading.Event()
        placed.add_done_callback(lambda _: done.set())
        assert done.wait(20)
        busy.rollback()
        results = [moved.result(20), placed.result(20)]

    assert results[1] is not None
    assert {type(error).__name__ for error in errors} <= {"HoldConflictError", "HoldExpiredError"}
    assert results[0] is None
    assert connection.execute(OVERLAPPING_PAIRS).fetchone() == (0,)
    assert connection.execute("select status from holds.table_holds where id = %s", (moving.id,)).fetchone() in [
        ("expired",),
        ("held",),
    ]
