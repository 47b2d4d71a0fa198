"""A contended load while everything breaks: what callers were told is what the database has.

The quick tests send hundreds of requests; the slow ones, together, more than twenty thousand.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from holds_core.calls import Call
from holds_core.database.connections import connect
from holds_core.events.spool import default_spool
from orchestration.server.embedded import EmbeddedServer
from orchestration.soak.ledger import LedgerFindings, check_ledger
from orchestration.soak.load import LoadResult, run_load
from orchestration.soak.scenario import make_requests, make_restaurants
from tests.faults.proxy import faulty_proxy

CONNECTIONS = 30
IN_FLIGHT = 300
QUICK = 400
SLOW = pytest.mark.slow
SIZES = [pytest.param(QUICK, id="quick"), pytest.param(5_000, id="5000", marks=SLOW)]

Fault = Callable[[], None]


@dataclass(frozen=True)
class Outcome:
    """How a load went."""

    load: LoadResult
    findings: LedgerFindings
    faults: int

    @property
    def errors(self) -> list[str]:
        """What callers were told went wrong."""
        return [entry.error for entry in self.load.told if entry.error is not None]


@contextmanager
def repeated(fault: Fault, pause_seconds: float) -> Iterator[Callable[[], int]]:
    """Do something again and again within the block; yields how often it was done.

    After each time there is a pause at least twice as long as it took: on a slow machine a restart takes seconds, and a
    server that is always starting answers nobody.
    """
    is_over = threading.Event()
    count = 0

    def run() -> None:
        nonlocal count
        pause = pause_seconds
        while not is_over.wait(pause):
            began = time.monotonic()
            fault()
            pause = max(pause_seconds, 2 * (time.monotonic() - began))
            count += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield lambda: count
    finally:
        is_over.set()
        thread.join()


@pytest.fixture(autouse=True)
def own_spools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spools of this test's own, for the load's clients."""
    monkeypatch.setenv("HOLDWATCH_SPOOL_DIRECTORY", str(tmp_path / "spool"))


def put_under_load(
    url: str, requests: int, fault: Fault, pause_seconds: float, *, direct_url: str | None = None
) -> Outcome:
    """Run the load with a fault every so often, then drain its spool and check the ledger."""
    soak_id = uuid4()
    restaurant_ids = [restaurant.id for restaurant in make_restaurants(soak_id, requests)]
    with repeated(fault, pause_seconds) as count:
        load = asyncio.run(
            run_load(url, list(make_requests(soak_id, requests, 7)), concurrency=IN_FLIGHT, connections=CONNECTIONS)
        )
        faults = count()
    with connected_once_up(direct_url or url) as connection:
        default_spool(url).drain(connection)
        findings = check_ledger(connection, load.told, restaurant_ids, lost_answers=requests // 4)
    return Outcome(load, findings, faults)


@contextmanager
def connected_once_up(url: str) -> Iterator[psycopg.Connection]:
    """Connect as soon as the server answers: the last fault may have been a moment ago."""
    ends_at = time.monotonic() + 60
    while True:
        try:
            connection = connect(url)
            break
        except psycopg.OperationalError:
            if time.monotonic() > ends_at:
                raise
            threading.Event().wait(0.1)
    with connection:
        yield connection


def assert_all_adds_up(outcome: Outcome, requests: int) -> None:
    """Nothing lost, nothing twice, nothing without its event, nobody on another's table."""
    assert outcome.faults > 0
    assert len(outcome.load.told) == requests
    assert outcome.findings.is_clean, outcome.findings.examples
    assert outcome.errors == []
    outcomes = [entry.outcome for entry in outcome.load.told]
    assert outcomes.count("held") > requests / 5
    assert outcomes.count("conflict") > requests / 5


def back_ends(connection: psycopg.Connection, function: str, share: float) -> None:
    """Call a function on some of the load's back ends."""
    connection.execute(
        f"select {function}(pid) from pg_stat_activity"
        " where datname = current_database() and application_name = 'holdwatch-client' and random() < %s",
        (share,),
    )


@pytest.mark.parametrize("requests", SIZES)
def test_terminated_back_ends(database_url: str, connection: psycopg.Connection, requests: int) -> None:
    """A third of the connections break at once, again and again."""
    outcome = put_under_load(database_url, requests, lambda: back_ends(connection, "pg_terminate_backend", 0.3), 0.15)
    assert_all_adds_up(outcome, requests)


@pytest.mark.parametrize("requests", SIZES)
def test_cancelled_statements(database_url: str, connection: psycopg.Connection, requests: int) -> None:
    """Somebody cancels what is running: that is a CUTOFF, said to the caller, with its event; nothing else."""
    outcome = put_under_load(database_url, requests, lambda: back_ends(connection, "pg_cancel_backend", 0.5), 0.05)

    assert outcome.faults > 0
    assert outcome.findings.is_clean, outcome.findings.examples
    assert all("CUTOFF" in error or "cutoff" in error for error in outcome.errors), outcome.errors[:3]


@pytest.mark.parametrize("requests", SIZES)
def test_replies_cut_after_commit(database_url: str, requests: int) -> None:
    """Every 23rd answer is lost: its caller asks again with the same key."""
    with faulty_proxy(database_url) as (proxy, url):
        proxy.cut_every(23)
        outcome = put_under_load(url, requests, lambda: None, 0.1, direct_url=database_url)
        assert proxy.cut_count > requests / 50
    assert_all_adds_up(outcome, requests)


def test_without_keys_the_checker_finds_duplicates(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: a new key for each try, and what the cut answers left behind belongs to nobody."""
    original = Call.next_parameters

    def with_new_keys(call: Call) -> dict[str, Any]:
        parameters = original(call)
        if "idempotency_key" in parameters:
            parameters |= {"idempotency_key": str(uuid4()), "event_id": uuid4()}
        return parameters

    monkeypatch.setattr(Call, "next_parameters", with_new_keys)
    with faulty_proxy(database_url) as (proxy, url):
        proxy.cut_every(10)
        outcome = put_under_load(url, QUICK, lambda: None, 0.1, direct_url=database_url)

    assert outcome.findings.duplicated > 0


def a_back_end(server: EmbeddedServer) -> int | None:
    """Return the process of one of the load's back ends; None while the server is not up."""
    try:
        with connect(server.url()) as connection:
            row = connection.execute(
                "select pid from pg_stat_activity where application_name = 'holdwatch-client' and state = 'active'"
                " order by random() limit 1"
            ).fetchone()
    except psycopg.OperationalError:
        return None
    return None if row is None else int(row[0])


@pytest.mark.parametrize("requests", SIZES)
def test_killed_back_ends(own_server: EmbeddedServer, requests: int) -> None:
    """kill -9 of a back end takes the whole server down and through recovery, with everything that was on it."""
    killed = 0

    def kill() -> None:
        nonlocal killed
        ends_at = time.monotonic() + 2
        while (process := a_back_end(own_server)) is None and time.monotonic() < ends_at:
            threading.Event().wait(0.02)
        if process is not None:
            os.kill(process, signal.SIGKILL)
            killed += 1

    outcome = put_under_load(own_server.url(), requests, kill, 0.4 if requests == QUICK else 2)
    assert killed > 0
    assert_all_adds_up(outcome, requests)


@pytest.mark.parametrize("requests", SIZES)
def test_server_stopped_at_once_and_started(own_server: EmbeddedServer, requests: int) -> None:
    """An immediate stop is a crash: what was acknowledged is there when the server is back."""

    def restart() -> None:
        own_server.stop(mode="immediate")
        own_server.start()

    outcome = put_under_load(own_server.url(), requests, restart, 0.5 if requests == QUICK else 4)
    assert_all_adds_up(outcome, requests)


def test_full_disk_under_the_spool(
    database_url: str, connection: psycopg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database refuses events and the disk is full: holds go on, and what was lost is counted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or os.system(f"mount -t tmpfs -o size=32k tmpfs '{folder}' 2> /dev/null") != 0:
        pytest.skip("only root may mount a small disk")
    try:
        monkeypatch.setenv("HOLDWATCH_SPOOL_DIRECTORY", str(folder / "spool"))
        connection.execute("alter table holds.observability_events add constraint never check (false) not valid")
        soak_id = uuid4()
        load = asyncio.run(
            run_load(
                database_url, list(make_requests(soak_id, QUICK, 7)), concurrency=IN_FLIGHT, connections=CONNECTIONS
            )
        )
        connection.execute("alter table holds.observability_events drop constraint never")
        restaurant_ids = [restaurant.id for restaurant in make_restaurants(soak_id, QUICK)]
        findings = check_ledger(connection, load.told, restaurant_ids)
        waiting = default_spool(database_url).depth()
    finally:
        os.system(f"umount '{folder}'")

    assert [entry.error for entry in load.told if entry.error] == []
    assert (findings.double_bookings, findings.lost, findings.duplicated) == (0, 0, 0)
    assert 0 < waiting < QUICK
    not_recorded = sum(entry.hold is not None and not entry.hold.is_event_recorded for entry in load.told)
    assert not_recorded > 0
