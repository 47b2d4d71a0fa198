"""Whatever is done to holds, in whatever order, is what a simple model in memory says."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from holds_core import (
    HoldClient,
    HoldConflictError,
    HoldExpiredError,
    HoldRequest,
    set_hold_conflict_enforcement,
)
from holds_core.database.connections import connect
from tests.faults.proxy import FaultyProxy, faulty_proxy

TABLES = [UUID(int=number) for number in range(1, 5)]
RESTAURANT = UUID(int=99)
EVENING = datetime(2030, 1, 31, 18, tzinfo=UTC)
EXAMPLES = int(os.environ.get("HOLDWATCH_EXAMPLES", "60"))
"""Nightly: HOLDWATCH_EXAMPLES=2000."""

Slots = tuple[int, int]


@dataclass
class ModelHold:
    """A hold as the model has it."""

    id: UUID
    owner: UUID
    tables: frozenset[UUID]
    slots: Slots
    status: str = "held"
    is_enforced: bool = True

    def overlaps(self, other: ModelHold) -> bool:
        """Whether two live holds of different owners are on one table in one slot."""
        return (
            self.owner != other.owner
            and bool(self.tables & other.tables)
            and self.slots[0] < other.slots[1]
            and other.slots[0] < self.slots[1]
        )


def window(slots: Slots) -> tuple[datetime, datetime]:
    """Half-hours of the evening."""
    return EVENING + timedelta(minutes=30 * slots[0]), EVENING + timedelta(minutes=30 * slots[1])


some_tables = st.frozensets(st.sampled_from(TABLES), min_size=1, max_size=3)
some_slots = st.tuples(st.integers(0, 4), st.integers(1, 3)).map(lambda pair: (pair[0], pair[0] + pair[1]))


def machine(proxy: FaultyProxy, url: str, direct_url: str) -> type[RuleBasedStateMachine]:
    """Return the machine for one database."""

    class Holds(RuleBasedStateMachine):
        """Place, confirm, extend, move, release, expire, switch, crash."""

        holds = Bundle("holds")

        def __init__(self) -> None:
            super().__init__()
            self.connection = connect(direct_url)
            self.connection.execute(
                "truncate holds.table_holds, holds.table_hold_windows, holds.observability_events;"
                " update holds.settings set is_strict_conflicts_enabled = true"
            )
            self.opened = HoldClient.connect(url, max_connections=1)
            self.client = self.opened.__enter__()
            self.model: dict[UUID, ModelHold] = {}
            self.is_strict = True
            self.bookings = [uuid4() for _ in range(3)]

        def live(self) -> list[ModelHold]:
            return [hold for hold in self.model.values() if hold.status in ("held", "confirmed")]

        def in_the_way(self, wanted: ModelHold) -> list[ModelHold]:
            return [hold for hold in self.live() if hold.id != wanted.id and hold.overlaps(wanted)]

        def request(self, tables: frozenset[UUID], slots: Slots, booking: int | None) -> HoldRequest:
            starts_at, ends_at = window(slots)
            return HoldRequest(
                restaurant_id=RESTAURANT,
                table_ids=tuple(tables),
                starts_at=starts_at,
                ends_at=ends_at,
                booking_id=None if booking is None else self.bookings[booking],
                time_to_live=timedelta(hours=1),
            )

        @rule(
            target=holds,
            tables=some_tables,
            slots=some_slots,
            booking=st.sampled_from([None, 0, 1, 2]),
            is_cut=st.booleans(),
        )
        def place(self, tables: frozenset[UUID], slots: Slots, booking: int | None, is_cut: bool) -> Any:
            """A conflict if and only if the model has one; a lost answer changes nothing."""
            request = self.request(tables, slots, booking)
            wanted = ModelHold(uuid4(), request.booking_id or uuid4(), tables, slots)
            blockers = self.in_the_way(wanted)
            if is_cut:
                proxy.cut_replies(1)
            try:
                hold = self.client.place(request)
            except HoldConflictError:
                assert self.is_strict, "refused while the switch is off"
                assert blockers, "refused though the model has room"
                return multiple()
            finally:
                proxy.cut_replies(0)
            assert not (self.is_strict and blockers), "held though the model has it taken"
            assert hold.is_enforced is not bool(blockers)
            placed = replace(wanted, id=hold.id, owner=request.booking_id or hold.id, is_enforced=not blockers)
            self.model[hold.id] = placed
            assert self.client.place(request).id == hold.id, "a replay is another hold"
            return hold.id

        @rule(hold_id=holds)
        def confirm(self, hold_id: UUID) -> None:
            """Live ones are confirmed; ended ones stay ended."""
            self.change(hold_id, lambda: self.client.confirm(hold_id), "confirmed")

        @rule(hold_id=holds)
        def extend(self, hold_id: UUID) -> None:
            """Live ones go on as they are."""
            self.change(hold_id, lambda: self.client.extend(hold_id, timedelta(hours=2)), self.model[hold_id].status)

        def change(self, hold_id: UUID, call: Callable[[], Any], status: str) -> None:
            hold = self.model[hold_id]
            if hold.status in ("held", "confirmed"):
                assert call().status == status
                hold.status = status
            else:
                with pytest.raises(HoldExpiredError):
                    call()

        @rule(hold_id=holds, tables=some_tables, slots=some_slots)
        def move(self, hold_id: UUID, tables: frozenset[UUID], slots: Slots) -> None:
            """All of it or nothing."""
            hold = self.model[hold_id]
            starts_at, ends_at = window(slots)
            if hold.status not in ("held", "confirmed"):
                with pytest.raises(HoldExpiredError):
                    self.client.move(hold_id, table_ids=list(tables), starts_at=starts_at, ends_at=ends_at)
                return
            wanted = replace(hold, tables=tables, slots=slots)
            blockers = self.in_the_way(wanted)
            try:
                moved = self.client.move(hold_id, table_ids=list(tables), starts_at=starts_at, ends_at=ends_at)
            except HoldConflictError:
                assert self.is_strict
                assert blockers
                return
            assert not (self.is_strict and blockers)
            assert frozenset(moved.table_ids) == tables
            self.model[hold_id] = replace(wanted, is_enforced=not blockers)

        @rule(hold_id=holds)
        def release(self, hold_id: UUID) -> None:
            """Ended ones stay as they ended."""
            hold = self.model[hold_id]
            status = "released" if hold.status in ("held", "confirmed") else hold.status
            assert self.client.release(hold_id).status == status
            hold.status = status

        @rule(hold_id=consumes(holds))
        def expire(self, hold_id: UUID) -> None:
            """Its time is over; the sweeper ends it, if it was not confirmed."""
            self.connection.execute(
                "update holds.table_holds set expires_at = clock_timestamp() - interval '1 second'"
                " where id = %(id)s and status = 'held'",
                {"id": hold_id},
            )
            self.connection.execute(
                "update holds.table_hold_windows set expires_at = clock_timestamp() - interval '1 second'"
                " where hold_id = %(id)s and released_at is null and expires_at is not null",
                {"id": hold_id},
            )
            ended = self.client.expire()
            hold = self.model[hold_id]
            assert ended == (hold.status == "held")
            if hold.status == "held":
                hold.status = "expired"

        @rule(is_strict=st.booleans())
        def switch(self, is_strict: bool) -> None:
            """Over overlaps it takes the other way: they are grandfathered."""
            set_hold_conflict_enforcement(self.connection, enabled=is_strict, reason="model", on_overlap="grandfather")
            self.is_strict = is_strict

        @rule()
        def crash(self) -> None:
            """The client's back end is terminated: the next call has to live with it."""
            self.connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and application_name = 'holdwatch-client'"
            )

        @invariant()
        def database_is_as_the_model(self) -> None:
            """Every hold, its tables, its window, its state; and overlaps only where the model has them."""
            rows = self.connection.execute(
                "select holds.id, holds.status,"
                " array_agg(windows.table_id) filter (where windows.released_at is null), holds.held_during"
                " from holds.table_holds as holds"
                " inner join holds.table_hold_windows as windows on windows.hold_id = holds.id"
                " group by holds.id"
            ).fetchall()
            found = {row[0]: (row[1], frozenset(row[2] or ()), (row[3].lower, row[3].upper)) for row in rows}
            expected = {
                hold.id: (
                    hold.status,
                    hold.tables if hold.status in ("held", "confirmed") else frozenset(),
                    window(hold.slots),
                )
                for hold in self.model.values()
            }
            assert found == expected
            row = self.connection.execute(
                "select count(*) from holds.table_hold_windows as one inner join holds.table_hold_windows as two"
                " on one.table_id = two.table_id and one.id < two.id and one.owner_id <> two.owner_id"
                " and one.held_during && two.held_during"
                " where one.released_at is null and two.released_at is null and one.is_enforced and two.is_enforced"
            ).fetchone()
            assert row == (0,), "two enforced windows overlap"

        def teardown(self) -> None:
            """Close what was opened."""
            self.opened.__exit__(None, None, None)
            self.connection.close()

    return Holds


def test_holds_are_as_a_simple_model_has_them(database_url: str) -> None:
    """Sixty programs of up to twenty steps; nightly two thousand and more."""
    with faulty_proxy(database_url) as (proxy, url):
        run_state_machine_as_test(
            machine(proxy, url, database_url),
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=20,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                phases=[phase for phase in Phase if phase is not Phase.explain],
            ),
        )


def test_machine_finds_a_broken_core(database_url: str, connection: psycopg.Connection) -> None:
    """The control: with the constraint dropped and the look beforehand gone, the model is contradicted."""
    connection.execute("alter table holds.table_hold_windows drop constraint table_hold_windows_no_overlap")
    connection.execute(
        "create or replace function holds.is_taken(p_table_id uuid, p_held_during tstzrange, p_owner_id uuid)"
        " returns boolean language plpgsql as $$ begin return false; end $$"
    )
    with faulty_proxy(database_url) as (proxy, url), pytest.raises(AssertionError):
        run_state_machine_as_test(
            machine(proxy, url, database_url),
            settings=settings(
                max_examples=40,
                stateful_step_count=10,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.generate],
                print_blob=False,
            ),
        )
