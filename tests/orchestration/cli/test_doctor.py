"""The doctor finds what is wrong, says how to mend it, and touches nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from holds_core import Event
from holds_core.events.spool import WAITING, EventSpool
from tests.orchestration.cli.test_commands import Run, run

__all__ = ["run"]


@pytest.fixture
def spool(tmp_path: Path) -> EventSpool:
    """A spool of this test's own."""
    return EventSpool(tmp_path / "spool")


def examined(run: Run, spool: EventSpool) -> tuple[int, dict[str, dict[str, Any]]]:
    """Run the doctor; return its exit status and the checks by name."""
    done = run("doctor", "--json", HOLDWATCH_SPOOL_DIRECTORY=str(spool.directory))
    return done.status, {check["check"]: check for check in done.json["checks"]}


def test_healthy_database_is_well(run: Run, spool: EventSpool) -> None:
    """Nothing failed, and each thing that there is was looked at."""
    status, checks = examined(run, spool)

    assert status == 0
    assert {"database", "schema", "environment", "enforcement", "double bookings", "event partitions"} <= checks.keys()
    assert checks["flags"]["state"] == "ok"
    assert {check["state"] for check in checks.values()} <= {"ok", "warning"}
    assert checks["event spool"]["state"] == "ok"
    assert "remedy" in checks["schema"]
    assert "holdwatch 0" in run("doctor").out
    # What stands in brackets is no markup of ours.
    if checks["extra supabase"]["state"] == "warning":
        assert "holdwatch[supabase]" in "".join(run("doctor", COLUMNS="300").out.split())


def test_each_fault_is_found_and_has_a_remedy(run: Run, spool: EventSpool, connection: psycopg.Connection) -> None:
    """A dropped constraint, an older schema, no partitions ahead, waiting events: all in one go."""
    spool.append(Event(event_type="x", source="test"))
    (spool.directory / "rejected.jsonl").write_text('{"line": "x"}\n')
    connection.execute("alter table holds.table_hold_windows drop constraint table_hold_windows_no_overlap")
    connection.execute("delete from public.holdwatch_migrations where number > 5")
    connection.execute("update holds.settings set strict_percentage = 40")
    connection.execute(
        "select holds.store_event("
        "gen_random_uuid(), now() + interval '3 days', 'x', 'info', 'a slow clock', null, null,"
        " '{}')"
    )
    partitions = connection.execute(
        "select inhrelid::regclass::text from pg_inherits where inhparent = 'holds.observability_events'::regclass"
        " and right(inhrelid::regclass::text, 8) > to_char(current_date, 'YYYYMMDD')"
    ).fetchall()
    for (name,) in partitions:
        connection.execute(f"drop table {name}")

    status, checks = examined(run, spool)

    assert status == 1
    found = {name: check["state"] for name, check in checks.items()}
    assert found["schema"] == found["enforcement"] == found["event partitions"] == found["flags"] == "failed"
    assert "strictConflicts is 40 % in the settings" in checks["flags"]["found"]
    assert found["event spool"] == found["rejected events"] == "warning"
    assert found["quarantine"] == found["rollups"] == "warning"
    assert "the last from a slow clock" in checks["quarantine"]["found"]
    assert "1 events wait" in checks["event spool"]["found"]
    assert checks["event spool"]["remedy"] == "holdwatch events drain"
    assert (spool.directory / WAITING).exists()


def test_unreachable_database_does_not_stop_the_rest(run: Run, spool: EventSpool) -> None:
    """The password is not said, and the spool is still looked at."""
    done = run("doctor", HOLDWATCH_DATABASE_URL="postgresql://me:secret@127.0.0.1:9/none")

    assert done.status == 1
    assert "failed" in done.out
    assert "event spool" in done.out
    assert "secret" not in done.out + done.err


def test_drain_brings_what_waits_to_the_database(run: Run, spool: EventSpool, connection: psycopg.Connection) -> None:
    """From the console, and the second time there is nothing to do."""
    for _ in range(3):
        spool.append(Event(event_type="capacity.manual.validate", source="test"))
    where = {"HOLDWATCH_SPOOL_DIRECTORY": str(spool.directory)}

    assert run("events", "drain", "--json", **where).json == {
        "directory": str(spool.directory), "drained": 3, "rejected": 0, "postponed": 0,
    }  # fmt: skip
    assert "0 events drained" in run("events", "drain", **where).out
    assert connection.execute("select count(*) from holds.observability_events").fetchone() == (3,)
