"""Each role can do its own work and nothing else."""

from __future__ import annotations

from uuid import uuid4

import psycopg
import pytest

from holds_core import assert_enforced

CREATE = (
    "select (holds.create_table_hold("
    "gen_random_uuid(), array[gen_random_uuid()], now(), now() + interval '1 hour', 'k')).outcome"
)
FORBIDDEN = [
    "select * from holds.table_holds",
    "select * from holds.table_hold_windows",
    "select * from holds.observability_events",
    "insert into holds.table_hold_windows (hold_id) values (gen_random_uuid())",
    "update holds.settings set is_strict_conflicts_enabled = false",
    "delete from holds.observability_events",
    "select holds.ensure_event_partitions(current_date, current_date)",
    "select holds.mark_expired(array[]::uuid[])",
    "create table holds.mine (id integer)",
    "create table analytics.mine (id integer)",
    "create function holds.mine() returns integer language sql as 'select 1'",
]


def test_app_places_holds_through_functions_alone(connection: psycopg.Connection) -> None:
    """holds_app holds, and proves that it is safe to."""
    connection.execute("set role holds_app")

    assert connection.execute(CREATE).fetchone() == ("held",)
    assert_enforced(connection)


@pytest.mark.parametrize("role", ["holds_app", "holds_operator", "analytics_reader"])
def test_everything_else_is_refused(connection: psycopg.Connection, role: str) -> None:
    """Tables, internals and definitions are out of every role's reach."""
    connection.execute(f"set role {role}")

    for statement in FORBIDDEN:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


def test_only_the_operator_switches(connection: psycopg.Connection) -> None:
    """The switch is the operator's; placing holds is not."""
    switch = "select holds.set_hold_conflict_enforcement(false, 'drill')"
    for role in ("holds_app", "analytics_reader"):
        connection.execute(f"set role {role}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(switch)
        connection.execute("reset role")
    connection.execute("set role holds_operator")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(CREATE)

    assert connection.execute(switch).fetchone() == (False,)


def test_nobody_else_may_call_anything(connection: psycopg.Connection) -> None:
    """A role without a grant cannot even call a function."""
    name = f"stranger_{uuid4().hex[:8]}"
    connection.execute(f"create role {name}")
    try:
        connection.execute(f"set role {name}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(CREATE)
    finally:
        connection.execute("reset role")
        connection.execute(f"drop role {name}")
