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
    "select * from holds.flag_audit",
    "update holds.flag_overrides set value = 'false'",
    "insert into holds.flag_actors (login, person) values (session_user, 'somebody')",
    "update holds.flag_changes set approved_by = 'somebody'",
    "delete from holds.flag_audit",
    "select holds.set_flag_actor(session_user, 'somebody')",
    "select holds.set_hold_conflict_rollout(0)",
    "select holds.set_restaurant_enforcement(gen_random_uuid(), false)",
    "select holds.set_hold_rate_limit(1)",
    "insert into holds.flag_cohorts (flag, restaurant_id) values ('holds.strictConflicts', gen_random_uuid())",
    "select holds.put_rollback('{}', 'somebody', 'x')",
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


FUNCTIONS = {
    "holds_app": {
        "confirm_table_hold",
        "create_table_hold",
        "detect_double_bookings",
        "enforcement_problems",
        "enforcement_status",
        "sweep_table_holds",
        "expire_table_holds",
        "extend_table_hold",
        "find_hold_conflicts",
        "flag_snapshot",
        "guard_problems",
        "is_hold_strict_for",
        "is_holds_strict_conflicts_enabled",
        "move_table_hold",
        "record_event",
        "release_table_hold",
        "restaurants_apart",
        "store_event",
        "tend_event_partitions",
        "tend_flags",
    },
    "holds_operator": {
        "add_maintenance_window",
        "apply_flag_change",
        "approve_flag_change",
        "break_glass",
        "detect_double_bookings",
        "edit_flag_change",
        "end_maintenance_window",
        "enforcement_problems",
        "enforcement_status",
        "find_hold_conflicts",
        "flag_anchor_problems",
        "flag_cohort_problems",
        "flag_contradictions",
        "flag_snapshot",
        "flag_state_problems",
        "guard_problems",
        "guard_rollouts",
        "is_hold_strict_for",
        "is_holds_strict_conflicts_enabled",
        "is_in_rollout",
        "list_flag_actors",
        "list_flag_audit",
        "list_flag_changes",
        "list_flag_overrides",
        "list_maintenance_windows",
        "list_rollout_cohort",
        "maintenance_occurrences",
        "reject_flag_change",
        "request_flag_change",
        "restaurants_apart",
        "review_flag_change",
        "roll_back_flag",
        "rollout_stages",
        "rollout_status",
        "set_alert_period",
        "set_hold_conflict_enforcement",
        "set_rollout_cohort",
        "switch_restaurant_enforcement",
        "tend_flags",
        "withdraw_flag_change",
    },
    # Called by the views, which it reads.
    "analytics_reader": {"is_in_rollout", "maintenance_occurrences", "rollout_stages", "server_id"},
    "public": set[str](),
}


@pytest.mark.parametrize("role", FUNCTIONS)
def test_role_may_call_these_functions_and_no_other(connection: psycopg.Connection, role: str) -> None:
    """A function that is added is nobody's until it is granted here."""
    rows = connection.execute(
        "select proname from pg_proc where pronamespace = 'holds'::regnamespace"
        " and has_function_privilege(%s, oid, 'execute')",
        (role,),
    ).fetchall()
    assert {name for (name,) in rows} == FUNCTIONS[role]


@pytest.mark.parametrize("role", FUNCTIONS)
def test_role_has_no_right_on_any_table(connection: psycopg.Connection, role: str) -> None:
    """Neither on a table, view or sequence of holds and dagster, nor on a column of one, nor to make one."""
    rights = connection.execute(
        "select oid::regclass::text from pg_class"
        " where relnamespace in ('holds'::regnamespace, 'dagster'::regnamespace)"
        " and case when relkind = 'S' then has_sequence_privilege(%(role)s, oid, 'usage, select, update')"
        " when relkind in ('r', 'p', 'v', 'm') then"
        " has_table_privilege(%(role)s, oid, 'select, insert, update, delete, truncate, references, trigger')"
        " or has_any_column_privilege(%(role)s, oid, 'select, insert, update, references') end",
        {"role": role},
    ).fetchall()
    assert rights == []
    for schema in ("holds", "analytics", "dagster", "public"):
        assert connection.execute("select has_schema_privilege(%s, %s, 'create')", (role, schema)).fetchone() == (
            False,
        )


def test_every_function_that_a_role_may_call_has_a_fixed_search_path(connection: psycopg.Connection) -> None:
    """It runs as the owner: whoever calls it must not choose what its names mean."""
    rows = connection.execute(
        "select proname from pg_proc where pronamespace = 'holds'::regnamespace and prosecdef"
        " and not coalesce('search_path=pg_catalog, pg_temp' = any(proconfig), false)"
    ).fetchall()
    assert rows == []
    callable_by_somebody = FUNCTIONS["holds_app"] | FUNCTIONS["holds_operator"]
    definers = connection.execute(
        "select proname from pg_proc where pronamespace = 'holds'::regnamespace and prosecdef"
    ).fetchall()
    assert {name for (name,) in definers} == callable_by_somebody


def test_search_path_of_the_caller_changes_nothing(connection: psycopg.Connection) -> None:
    """A temporary table and an operator of the caller's own stand before ours, and are not looked at."""
    connection.execute("set role holds_app")
    connection.execute("create temporary table table_holds (id uuid)")
    connection.execute("set search_path = pg_temp, holds, public")
    assert connection.execute(CREATE).fetchone() == ("held",)
    assert connection.execute("select count(*) from pg_temp.table_holds").fetchone() == (0,)


def test_every_table_has_row_level_security(connection: psycopg.Connection) -> None:
    """Partitions that are made later too."""
    connection.execute("select holds.ensure_event_partitions(current_date + 60, current_date + 60)")
    rows = connection.execute(
        "select oid::regclass::text from pg_class where relkind in ('r', 'p') and not relrowsecurity"
        " and (relnamespace = 'holds'::regnamespace or oid = 'public.holdwatch_migrations'::regclass)"
    ).fetchall()
    assert rows == []


def test_reader_selects_in_analytics_and_nothing_else(connection: psycopg.Connection) -> None:
    """What the pipeline builds is readable at once; writing it is not."""
    connection.execute("create view analytics.some_view as select 1 as one")
    connection.execute("create table analytics.some_table (id integer)")
    connection.execute("set role analytics_reader")
    assert connection.execute("select one from analytics.some_view").fetchone() == (1,)
    for statement in (
        "insert into analytics.some_table values (1)",
        "drop view analytics.some_view",
        "select * from holds.table_holds",
        "select * from dagster.runs",
        "create table analytics.mine (id integer)",
    ):
        with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable)):
            connection.execute(statement)
