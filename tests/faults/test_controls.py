"""Controls: with one safeguard taken away the fault that it guards against is there, and is found."""

from __future__ import annotations

import random
import threading
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from holds_core import HoldCutoffError, HoldRequest, QuoteRequest, set_hold_conflict_enforcement
from holds_core.calls import hold_from, row_from
from holds_core.database.connections import connect
from orchestration.soak.ledger import check_ledger
from orchestration.soak.load import Told
from orchestration.soak.scenario import FollowUp, SoakRequest

EVENING = datetime.now(UTC).replace(hour=18, minute=0, second=0, microsecond=0) + timedelta(days=3)
CREATE = "select to_json(holds.create_table_hold(%s, array[%s], %s, %s, %s))"


def place(connection: psycopg.Connection, restaurant_id: UUID, table_id: UUID, key: str) -> Told:
    """Place a hold in the connection's own transaction; return what the caller was told."""
    asked_at = time.monotonic()
    row = connection.execute(
        CREATE, (restaurant_id, table_id, EVENING, EVENING + timedelta(hours=1), key)
    ).fetchone()  # fmt: skip
    assert row is not None
    ask = HoldRequest(
        restaurant_id=restaurant_id,
        table_ids=(table_id,),
        starts_at=EVENING,
        ends_at=EVENING + timedelta(hours=1),
        idempotency_key=key,
    )
    assert not isinstance(ask, QuoteRequest)
    return Told(
        request=SoakRequest(0, ask, FollowUp.KEEP, is_taken_up_by_staff=False),
        outcome="held",
        hold=hold_from(row_from(row[0])),
        final_status="held",
        latency_ms=1,
        asked_at=asked_at,
        held_at=time.monotonic(),
    )


def test_switching_on_without_drain_lets_an_overlap_in(connection: psycopg.Connection, database_url: str) -> None:
    """A create that began while the switch was off commits after it is on. With the drain, the switch waits for it."""
    restaurant_id, table_id = uuid4(), uuid4()
    set_hold_conflict_enforcement(connection, enabled=False, reason="control")
    with connect(database_url, autocommit=False) as late:
        told = [
            place(late, restaurant_id, uuid4(), "opens the transaction"),
        ]
        with pytest.raises(HoldCutoffError):
            set_hold_conflict_enforcement(connection, enabled=True, reason="with the drain")

        connection.execute(
            "create or replace function holds.drain_creates() returns void language plpgsql as $$ begin end $$"
        )
        set_hold_conflict_enforcement(connection, enabled=True, reason="without the drain")
        set_hold_conflict_enforcement(connection, enabled=False, reason="again")
        told.append(place(connection, restaurant_id, table_id, "first"))
        told.append(place(late, restaurant_id, table_id, "second"))
        set_hold_conflict_enforcement(connection, enabled=True, reason="believes that nothing overlaps")
        late.commit()

    assert check_ledger(connection, told, [restaurant_id]).double_bookings == 1


def test_plain_inserts_deadlock(database_url: str, connection: psycopg.Connection) -> None:
    """Why the insert is ON CONFLICT DO NOTHING: plain ones under an exclusion constraint deadlock, in one order too."""
    restaurant_id = uuid4()
    tables = sorted(uuid4() for _ in range(4))
    deadlocks = 0
    barrier = threading.Barrier(8)

    def insert(seed: int) -> None:
        nonlocal deadlocks
        chance = random.Random(seed)
        with connect(database_url) as own:
            own.execute("set deadlock_timeout = '20ms'")
            barrier.wait()
            for _ in range(12):
                hold_id = uuid4()
                try:
                    with own.transaction():
                        own.execute(
                            "insert into holds.table_holds (id, restaurant_id, owner_id, idempotency_key, request_hash,"
                            " table_ids, held_during, is_enforced, expires_at) values (%s, %s, %s, %s, '', %s,"
                            " tstzrange(%s, %s), true, now() + interval '1 minute')",
                            (
                                hold_id,
                                restaurant_id,
                                hold_id,
                                str(hold_id),
                                tables,
                                EVENING,
                                EVENING + timedelta(hours=1),
                            ),
                        )
                        for table_id in sorted(chance.sample(tables, 3)):
                            own.execute(
                                "insert into holds.table_hold_windows"
                                " (hold_id, restaurant_id, table_id, owner_id, held_during)"
                                " values (%s, %s, %s, %s, tstzrange(%s, %s))",
                                (hold_id, restaurant_id, table_id, hold_id, EVENING, EVENING + timedelta(hours=1)),
                            )
                        # Free again at once, so that the next ones contend too.
                        own.execute("delete from holds.table_hold_windows where hold_id = %s", (hold_id,))
                except psycopg.errors.DeadlockDetected:
                    deadlocks += 1
                except psycopg.errors.ExclusionViolation:
                    pass

    threads = [threading.Thread(target=insert, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert deadlocks > 0
