"""One sweep leaves nothing behind."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest

from holds_core import HoldClient
from holds_core.events.spool import EventSpool
from holds_core.sweeper import is_sweep_due, sweep_holds
from tests.holds_core.conftest import MakeRequest
from tests.transactions import wait_for_earlier_transactions


def test_sweep_goes_on_until_nothing_is_left(
    client: HoldClient,
    connection: psycopg.Connection,
    make_request: MakeRequest,
    spool: EventSpool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Batches smaller than a hold has tables: no window is left because its hold was counted before."""
    for _ in range(6):
        client.place(make_request(*(uuid4() for _ in range(4)), time_to_live=timedelta(milliseconds=1)))
    monkeypatch.setattr("holds_core.sweeper._BATCH", 3)

    assert sweep_holds(connection, spool).expired == 6
    assert connection.execute("select count(*) from holds.table_hold_windows where released_at is null").fetchone() == (
        0,
    )


def test_detector_does_not_wait_for_a_broken_spool(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest, spool: EventSpool
) -> None:
    """The spool's folder cannot be read: double bookings are looked for all the same, and what is over ends."""
    client.place(make_request(uuid4()))
    spool.directory.write_text("not a folder")
    before = connection.execute("select seen_until::text from holds.double_booking_checks").fetchone()

    connection.execute(
        "insert into holds.flag_changes (environment, flag, value, reason, base_version, state, requested_by,"
        " requested_login, requested_at, expires_at) values ('dev', 'selector.combinations', 'false', 'x', 0,"
        " 'requested', 'ann', 'ann', now() - interval '2 hours', now() - interval '1 hour')"
    )

    with suppress(OSError):
        sweep_holds(connection, spool)
    assert connection.execute("select seen_until::text from holds.double_booking_checks").fetchone() != before
    assert connection.execute("select state from holds.flag_changes").fetchone() == ("expired",)


def test_sweep_is_due_while_something_is_new(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest, spool: EventSpool
) -> None:
    """A hold that the detector has not seen yet; once it is known that all of that time has been seen, nothing is."""
    client.place(make_request(uuid4()))
    assert is_sweep_due(connection, spool)
    for _ in range(2):
        wait_for_earlier_transactions(connection)
        sweep_holds(connection, spool)
    assert not is_sweep_due(connection, spool)


def test_days_without_a_partition_hold_up_nobody_and_a_sweep_makes_them(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest, spool: EventSpool
) -> None:
    """The hold goes through, its event is quarantined; the application's own role mends both, and sweeps on."""
    for (name,) in connection.execute(
        "select inhrelid::regclass::text from pg_inherits where inhparent = 'holds.observability_events'::regclass"
    ).fetchall():
        connection.execute(f"drop table {name}")

    assert client.place(make_request(uuid4())).is_event_recorded
    assert connection.execute("select count(*) from holds.quarantined_events").fetchone() == (1,)
    connection.execute("set role holds_app")
    report = sweep_holds(connection, spool)
    again = sweep_holds(connection, spool)
    connection.execute("reset role")

    assert (report.partitions, report.readmitted) == (15, 1)
    assert (again.partitions, again.readmitted) == (0, 0)
    assert connection.execute("select count(*) from holds.quarantined_events").fetchone() == (0,)
    assert connection.execute(
        "select count(*) from holds.observability_events where event_type = 'capacity.hold.created'"
    ).fetchone() == (1,)
