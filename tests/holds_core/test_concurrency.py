"""Races: exactly one wins, nobody deadlocks, and no two answers contradict each other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from holds_core import Hold, HoldClient, HoldConflictError, HoldExpiredError
from tests.holds_core.conftest import MakeRequest, event_counts

CALLERS = 12


def race(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Make the calls at the same moment, a thread each; return what each returned or raised."""
    barrier = threading.Barrier(len(calls))
    outcomes: list[Any] = [RuntimeError("did not run")] * len(calls)

    def run(index: int) -> None:
        barrier.wait()
        try:
            outcomes[index] = calls[index]()
        except Exception as error:  # noqa: BLE001  what a call raised is its outcome
            outcomes[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


@pytest.fixture
def many(database_url: str) -> Iterator[HoldClient]:
    """A client with a connection for each caller."""
    with HoldClient.connect(database_url, max_connections=CALLERS, deadline=timedelta(seconds=30)) as client:
        yield client


def test_one_of_many_gets_the_table(
    many: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """One hold, and a conflict for everybody else, recorded once each."""
    table = uuid4()
    outcomes = race([lambda: many.place(make_request(table)) for _ in range(CALLERS)])

    assert sum(isinstance(outcome, Hold) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, HoldConflictError) for outcome in outcomes) == CALLERS - 1
    assert event_counts(connection) == {
        "capacity.hold.created": 1,
        "capacity.hold.strict_conflict": CALLERS - 1,
        "capacity.rpc.conflict": CALLERS - 1,
    }


def test_one_key_asked_many_times_at_once_is_one_hold(
    many: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """A caller that repeats itself while the first call is still running gets the same hold, not a conflict."""
    for _ in range(5):
        request = make_request(uuid4(), uuid4(), booking_id=None)
        outcomes = race([partial(many.place, request) for _ in range(CALLERS)])

        assert [type(outcome) for outcome in outcomes] == [Hold] * CALLERS
        assert len({outcome.id for outcome in outcomes}) == 1
        assert sum(not outcome.is_replay for outcome in outcomes) == 1
    assert connection.execute("select count(*) from holds.table_holds").fetchone() == (5,)


def test_combinations_in_any_order_do_not_deadlock(
    many: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """Overlapping sets of tables, named in opposite orders, again and again: a hold or a conflict, nothing else."""
    tables = [uuid4() for _ in range(4)]
    for round_number in range(8):
        combinations = [
            [*tables[number % 4 :], *tables[: number % 4]][:3][:: 1 if number % 2 else -1] for number in range(CALLERS)
        ]
        outcomes = race(
            [partial(many.place, make_request(*chosen, starts=3 * round_number)) for chosen in combinations]
        )
        assert {type(outcome) for outcome in outcomes} == {Hold, HoldConflictError}
        # Any two sets of three out of four tables share one: exactly one caller can win.
        assert sum(isinstance(outcome, Hold) for outcome in outcomes) == 1
    deadlocks = connection.execute(
        "select deadlocks from pg_stat_database where datname = current_database()"
    ).fetchone()
    assert deadlocks == (0,)


def test_confirm_and_take_over_never_both_win(
    many: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """At the moment of expiry either the owner confirms or another takes the table: never both, never neither."""
    winners = set()
    for number in range(12):
        table = uuid4()
        old = many.place(make_request(table, time_to_live=timedelta(milliseconds=60)))
        # Everybody sets off so as to arrive at the moment of expiry, some a little before, some a little after.
        lead = f"{number - 6} milliseconds"
        connection.execute("select pg_sleep_until(%s::timestamptz + %s::interval)", (old.expires_at, lead))
        confirmed, taken = race([partial(many.confirm, old.id), partial(many.place, make_request(table))])

        has_confirmed, has_taken = isinstance(confirmed, Hold), isinstance(taken, Hold)
        assert isinstance(confirmed, Hold | HoldExpiredError), confirmed
        assert isinstance(taken, Hold | HoldConflictError), taken
        assert not (has_confirmed and has_taken)
        winners.add((has_confirmed, has_taken))
    live = connection.execute(
        "select count(*), count(distinct table_id) from holds.table_hold_windows"
        " where released_at is null and (expires_at is null or expires_at > clock_timestamp())"
    ).fetchone()
    assert live is not None
    assert live[0] == live[1]
    assert winners <= {(True, False), (False, True), (False, False)}


def test_sweepers_side_by_side_end_each_hold_once(
    many: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """Many sweepers share the work: every hold is counted by one of them."""
    last = [many.place(make_request(uuid4(), uuid4(), time_to_live=timedelta(milliseconds=1))) for _ in range(40)][-1]
    connection.execute("select pg_sleep_until(%s)", (last.expires_at,))

    counts = race([lambda: many.expire(limit=10) for _ in range(CALLERS)])

    assert all(isinstance(count, int) for count in counts), counts
    assert sum(counts) + many.expire() == 40
    assert event_counts(connection)["capacity.hold.expired"] == 40
