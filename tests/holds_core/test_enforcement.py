"""The kill switch, shadow mode, and the proof that overlaps are refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest

from holds_core import (
    EnforcementError,
    HoldClient,
    HoldConflictError,
    MigrationError,
    assert_enforced,
    is_holds_strict_conflicts_enabled,
    set_hold_conflict_enforcement,
)
from holds_core.database.connections import connect
from tests.holds_core.conftest import MakeRequest, event_counts


def test_new_database_is_enforced(connection: psycopg.Connection) -> None:
    """Safe by default, and the probe leaves nothing behind."""
    assert_enforced(connection)

    assert is_holds_strict_conflicts_enabled(connection)
    assert connection.execute("select count(*) from holds.table_holds").fetchone() == (0,)


def test_switched_off_is_not_blind(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """The overlap is allowed, marked, and recorded as what strict mode would have refused."""
    table = uuid4()
    client.place(make_request(table))
    set_hold_conflict_enforcement(connection, enabled=False, reason="drill")

    overlapping = client.place(make_request(table))
    elsewhere = client.place(make_request(uuid4()))

    assert (overlapping.is_enforced, elsewhere.is_enforced) == (False, True)
    assert event_counts(connection) == {
        "capacity.enforcement.changed": 1,
        "capacity.flags.changed": 1,
        "capacity.hold.created": 3,
        "capacity.hold.strict_conflict": 1,
    }
    (context,) = (
        connection.execute(
            "select context from holds.observability_events where event_type = 'capacity.hold.strict_conflict'"
        ).fetchone()
        or ()
    )
    assert context["isShadow"] is True


def test_switching_is_recorded_with_who_and_why(connection: psycopg.Connection) -> None:
    """Once for each change; asking for what is so already is no change."""
    for enabled in (False, False, True):
        assert set_hold_conflict_enforcement(connection, enabled=enabled, reason="drill") is enabled

    contexts = connection.execute(
        "select context ->> 'enabled', context ->> 'reason', context ->> 'changedBy' = session_user"
        " from holds.observability_events where event_type = 'capacity.enforcement.changed' order by occurred_at"
    ).fetchall()
    assert contexts == [("false", "drill", True), ("true", "drill", True)]


def test_switching_on_over_live_overlaps_is_refused(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """First the overlap has to go; then what was unenforced comes under the constraint."""
    table = uuid4()
    first = client.place(make_request(table))
    set_hold_conflict_enforcement(connection, enabled=False, reason="drill")
    client.place(make_request(table))

    with pytest.raises(EnforcementError, match="overlaps of live windows"):
        set_hold_conflict_enforcement(connection, enabled=True, reason="drill over")
    assert not is_holds_strict_conflicts_enabled(connection)

    client.release(first.id)
    set_hold_conflict_enforcement(connection, enabled=True, reason="drill over")
    with pytest.raises(HoldConflictError):
        client.place(make_request(table))
    assert connection.execute("select bool_and(is_enforced) from holds.table_hold_windows").fetchone() == (True,)


def test_strict_holds_also_see_unenforced_windows(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """A window the constraint does not watch is in the way all the same."""
    table = uuid4()
    hold = client.place(make_request(table))
    connection.execute("update holds.table_hold_windows set is_enforced = false where hold_id = %s", (hold.id,))

    with pytest.raises(HoldConflictError):
        client.place(make_request(table))


def test_switching_off_waits_for_nobody(connection: psycopg.Connection, database_url: str) -> None:
    """A create that is stuck does not stand between ops and the kill switch; switching on waits for it."""
    with connect(database_url, autocommit=False) as stuck:
        stuck.execute(
            "select holds.create_table_hold(%s, array[%s], now(), now() + interval '1 hour', 'k')", (uuid4(), uuid4())
        )
        connection.execute("set lock_timeout = '200ms'")

        assert set_hold_conflict_enforcement(connection, enabled=False, reason="stuck") is False
        with pytest.raises(Exception, match="took longer than it may"):
            set_hold_conflict_enforcement(connection, enabled=True, reason="too early")


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("alter table holds.table_hold_windows drop constraint table_hold_windows_no_overlap", "is missing"),
        (
            (
                "alter table holds.table_hold_windows drop constraint table_hold_windows_no_overlap,"
                " add constraint table_hold_windows_no_overlap exclude using gist"
                " (table_id with =, owner_id with =, held_during with &&)"
            ),
            "not as it was made",
        ),
        ("update holds.settings set is_strict_conflicts_enabled = false", "switched off"),
        (
            "update pg_index set indisvalid = false where indexrelid = 'holds.table_hold_windows_no_overlap'::regclass",
            "not valid",
        ),
    ],
    ids=["dropped", "weakened", "switched off", "invalid index"],
)
def test_whatever_weakens_enforcement_is_named(connection: psycopg.Connection, damage: str, problem: str) -> None:
    """assert_enforced raises, and says which part of the guarantee is gone."""
    connection.execute(damage)

    with pytest.raises(EnforcementError, match=problem):
        assert_enforced(connection)


def test_expired_holds_do_not_stand_in_the_way_of_switching_on(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """A hold whose time is over is ended by the switch; its shadow comes under the constraint."""
    table = uuid4()
    set_hold_conflict_enforcement(connection, enabled=False, reason="drill")
    first = client.place(make_request(table, time_to_live=timedelta(milliseconds=300)))
    client.place(make_request(table))
    connection.execute("select pg_sleep_until(%s)", (first.expires_at,))

    assert set_hold_conflict_enforcement(connection, enabled=True, reason="drill over")

    assert_enforced(connection)
    assert event_counts(connection)["capacity.hold.expired"] == 1


def test_unenforced_overlaps_are_a_reason_to_doubt(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """However they came about: the switch alone proves nothing."""
    table = uuid4()
    client.place(make_request(table))
    set_hold_conflict_enforcement(connection, enabled=False, reason="drill")
    client.place(make_request(table))
    connection.execute("update holds.settings set is_strict_conflicts_enabled = true")

    with pytest.raises(EnforcementError, match="does not watch"):
        assert_enforced(connection)


def test_database_without_the_schema_is_said(new_database: Callable[[], str]) -> None:
    """One clear error, with what to do."""
    with connect(new_database()) as empty, pytest.raises(MigrationError, match="holdwatch db migrate"):
        assert_enforced(empty)
