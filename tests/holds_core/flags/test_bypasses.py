"""Every way around the functions, as every kind of login: refused, and nothing of the flags has changed.

Ways around the second person by the functions themselves are in test_changes.py, the owner's tamperings in
test_trail.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

import psycopg
import pytest
from psycopg import sql

from holds_core.errors import FlagAccessError, FlagError, FlagStateError, FlagUnsafeError
from holds_core.flags import Flag, Setting
from holds_core.flags.changes import FlagChange, FlagChanges, Wish
from holds_core.flags.trail import read_trail, verify_trail
from tests.holds_core.flags.conftest import LOGINS, Team
from tests.holds_core.flags.test_changes import COMBINATIONS, OFF, at_once, in_force

TABLES = {
    "flag_definitions": "flag", "flag_actors": "login", "flag_changes": "reason", "flag_overrides": "flag",
    "flag_audit": "reason", "settings": "environment",
}  # fmt: skip
"""Each with a column of its own."""
NOT_YOURS = (
    r"permission denied for (table|schema|function|database)|must be owner of (table|relation|function|trigger|schema)"
)
APPROVE = "holds.approve_flag_change(bigint, integer, text, boolean, text, jsonb)"

TO_TABLES = {
    "read": "select * from holds.{table}",
    "copy out": "copy holds.{table} to stdout",
    "insert": "insert into holds.{table} default values",
    "update": "update holds.{table} set {column} = {column}",
    "delete": "delete from holds.{table}",
    "truncate": "truncate holds.{table}",
    "lock": "do $$ begin lock table holds.{table}; end $$",
    "triggers off": "alter table holds.{table} disable trigger all",
    "row security off": "alter table holds.{table} disable row level security",
    "a trigger": "create trigger mine before update on holds.{table} for each row"
    " execute function suppress_redundant_updates_trigger()",
    "a rule": "create rule mine as on insert to holds.{table} do instead nothing",
    "a policy": "create policy mine on holds.{table}",
    "make it one's own": "alter table holds.{table} owner to session_user",
    "drop": "drop table holds.{table}",
}
TO_FUNCTIONS = {
    "replace": f"create or replace function {APPROVE} returns holds.flag_changes language sql as 'select null'",
    "make it another's": f"alter function {APPROVE} security invoker",
    "another path": f"alter function {APPROVE} set search_path = public",
    "drop a function": f"drop function {APPROVE}",
    "the clock": "create or replace function holds.flag_now() returns timestamptz language sql as 'select now()'",
    "put into force": "select holds.put_flag_change(null::holds.flag_changes, 'x', '{}')",
    "write on the trail": "select holds.note_flag('dev', 'x', null, 'approved', 'x', null, null, 'x')",
    "seal": "select holds.seal_flag_audit()",
    "settings": "select holds.materialise_flag('holds.strictConflicts', null, 'x', 'refuse')",
    "somebody else's login": "select holds.set_flag_actor(session_user, 'somebody else')",
    "another definition": "select holds.sync_flag_definitions('{}')",
    "another environment": "select holds.change_environment('prod')",
    "a share": "select holds.set_hold_conflict_rollout(0)",
    "a schema": "create schema mine",
    "a table before ours": "create table public.flag_actors (login text)",
    "the catalogue": "update pg_proc set prosecdef = false",
}
TO_ROLES = {
    "become the owner": ("set role {owner}", "permission denied to set role"),
    "become bob": ("set role {bob}", "permission denied to set role"),
    "log in as bob": ("set session authorization {bob}", "permission denied to set session authorization"),
    "be granted bob": ("grant {bob} to {me}", "permission denied to grant role|must have admin option"),
    "be granted the role": ("grant holds_operator to {me}", "permission denied to grant role|must have admin option"),
    "more rights": ("alter role {me} superuser", "permission denied to alter role|must be superuser"),
    "a login": ("create role mine login in role holds_operator", "permission denied to create role"),
    "bob's password": ("alter role {bob} password 'x'", "permission denied|must have CREATEROLE"),
    "triggers off for the session": ("set session_replication_role = replica", "permission denied to set parameter"),
    "what names mean": ("set plpgsql.variable_conflict = 'use_column'", "permission denied to set parameter"),
}


def everything(team: Team) -> tuple[object, ...]:
    """All that is known of flags, and what the functions are and who may call them, to be compared."""
    tables = [team.owner.execute(f"select * from holds.{table} order by 1, 2").fetchall() for table in TABLES]
    functions = team.owner.execute(
        "select oid, prosrc, proconfig, proacl::text from pg_proc where pronamespace = 'holds'::regnamespace order by 1"
    ).fetchall()
    return (*tables, functions, verify_trail(team.owner))


def refusal(connection: psycopg.Connection, statement: str | sql.Composed) -> str | None:
    """What the database says where a statement is not allowed; None where it is carried out."""
    try:
        connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", LOGINS)
def test_no_login_gets_around_the_functions(team: Team, name: str) -> None:
    """Tables, functions, roles and settings: each attempt is refused with what it was about, and changes nothing."""
    team.apply(COMBINATIONS, Setting(False))
    team.as_("ann").request(Flag.LOOKAHEAD, Wish(setting=Setting(True), reason="waits"))
    owner = team.owner.execute("select tableowner from pg_tables where tablename = 'flag_audit'").fetchone()
    assert owner is not None
    names = {
        "owner": sql.Identifier(owner[0]), "bob": sql.Identifier(team.logins["cyd" if name == "bob" else "bob"]),
        "me": sql.Identifier(team.logins[name]),
    }  # fmt: skip
    attempts: list[tuple[str | sql.Composed, str]] = [
        *(
            (text.format(table=table, column=column), NOT_YOURS)
            for table, column in TABLES.items()
            for text in TO_TABLES.values()
        ),
        *((text, NOT_YOURS) for text in TO_FUNCTIONS.values()),
        *((sql.SQL(text).format(**names), words) for text, words in TO_ROLES.values()),
    ]
    before, connection = everything(team), team.connect(name)

    answers = [(statement, words, refusal(connection, statement)) for statement, words in attempts]

    assert [statement for statement, _, refused in answers if refused is None] == []
    assert [answer for answer in answers if not re.search(answer[1], answer[2] or "")] == []
    with suppress(psycopg.errors.InsufficientPrivilege):  # whoever may call it is only warned that nothing was granted
        connection.execute(f"grant execute on function {APPROVE} to public")

    assert everything(team) == before


PLANTED = """
create function {schema}.never(text, text) returns boolean language sql as 'select false';
create operator {schema}.= (leftarg = text, rightarg = text, function = {schema}.never);
create function {schema}.flag_person(text) returns text language sql as $$select 'somebody else'$$;
create function {schema}.is_requester(holds.flag_changes, text) returns boolean language sql as 'select false';
create function {schema}.flag_now() returns timestamptz language sql as $$select timestamptz '2000-01-01'$$;
create function {schema}.clock_timestamp() returns timestamptz language sql as $$select timestamptz '2000-01-01'$$;
create function {schema}.now() returns timestamptz language sql as $$select timestamptz '2000-01-01'$$;
create table {schema}.flag_actors as
select session_user::text as login, 'x' as person, false as is_service, true as is_active;
create table {schema}.flag_audit (at timestamptz, position bigint, hash bytea);
"""
SETTINGS = """
set timezone = 'Pacific/Kiritimati'; set datestyle = 'iso, dmy'; set intervalstyle = 'sql_standard';
set bytea_output = 'escape'; set extra_float_digits = -15; set row_security = off; set transform_null_equals = on;
set quote_all_identifiers = on; set array_nulls = off; set lc_numeric = 'C'
"""


def test_what_a_session_plants_and_sets_is_not_looked_at(team: Team) -> None:
    """A schema of one's own before ours, temporary tables, odd settings: neither who one is nor what time it is."""
    schema = sql.Identifier(f"of_{team.logins['ann']}")
    approvers = ("ann", "bob")
    grants = sql.SQL(", ").join(sql.Identifier(team.logins[name]) for name in approvers)
    team.owner.execute(sql.SQL("create schema {0}; grant all on schema {0} to {1}").format(schema, grants))
    try:
        own = team.as_("ann").request(COMBINATIONS, OFF)
        late = team.as_("ann").request(Flag.LOOKAHEAD, Wish(setting=Setting(True), reason="late"))
        team.owner.execute("update holds.flag_changes set expires_at = clock_timestamp() where id = %s", (late.id,))
        team.owner.execute(sql.SQL(PLANTED).format(schema=schema))
        team.owner.execute(sql.SQL("grant all on all tables in schema {} to {}").format(schema, grants))
        for name in approvers:
            connection = team.connect(name)
            connection.execute(SETTINGS)
            connection.execute("create temporary table flag_changes (id bigint, requested_by text)")
            connection.execute("create function pg_temp.clock_timestamp() returns timestamptz language sql as"
                               " $$select timestamptz '2000-01-01'$$")  # fmt: skip
            connection.execute(sql.SQL("set search_path = {}, pg_temp, holds, pg_catalog").format(schema))
            assert connection.execute("select now() < '2001-01-01'").fetchone() == (True,)

        with pytest.raises(FlagAccessError, match="somebody else has to approve it"):
            team.as_("ann").approve(own.id, 1)
        with pytest.raises(FlagStateError, match="has expired"):
            team.as_("bob").approve(late.id, 1)
        assert team.as_("bob").approve(own.id, 1).state == "applied"
    finally:
        team.owner.execute(sql.SQL("drop schema {} cascade").format(schema))
    assert in_force(team) == {COMBINATIONS: "off"}
    # What is hashed reads the same, whatever is set in the session that wrote it, and in the one that looks.
    assert verify_trail(team.owner).problems == verify_trail(team.connect("bob")).problems == ()


def asked_through_the_desk(team: Team) -> object:
    """A service asks for ann; ann approves by herself."""
    asked = team.as_("desk", acting_for="ann").request(COMBINATIONS, OFF)
    return team.as_("ann").approve(asked.id, 1)


def for_a_login(team: Team) -> object:
    """A service names a login instead of the person whose it is."""
    asked = team.as_("ann").request(COMBINATIONS, OFF)
    return team.as_("desk", acting_for="ann_too").approve(asked.id, 1)


def renamed(team: Team) -> object:
    """The owner calls ann somebody else meanwhile; the login is the one that asked."""
    asked = team.as_("ann").request(COMBINATIONS, OFF)
    team.owner.execute("select holds.set_flag_actor(%s, 'zoe')", (team.logins["ann"],))
    return team.as_("ann").approve(asked.id, 1)


def reviewed_through_the_desk(team: Team) -> object:
    """ann breaks the glass, and has a service review it for her."""
    broken = team.as_("ann").break_glass(COMBINATIONS, Wish(setting=Setting(False), reason="x", expires_in=AN_HOUR))
    return team.as_("desk", acting_for="ann").review(broken.id, "fine")


def broken_again_through_the_desk(team: Team) -> object:
    """ann broke the glass three days ago and nobody looked: a service does not break it for her."""
    wish = Wish(setting=Setting(False), reason="x", expires_in=AN_HOUR)
    team.as_("ann").break_glass(COMBINATIONS, wish)
    team.owner.execute("update holds.flag_changes set requested_at = requested_at - interval '3 days'")
    return team.as_("desk", acting_for="ann").break_glass(Flag.SPOOL, wish)


def edited_through_the_desk(team: Team) -> object:
    """bob has a service edit what ann asked for, to approve it himself then."""
    asked = team.as_("ann").request(COMBINATIONS, OFF)
    return team.as_("desk", acting_for="bob").edit(asked.id, 1, OFF)


def glass_approved(team: Team) -> object:
    """A break-glass change is made to stay by approving it."""
    broken = team.as_("ann").break_glass(COMBINATIONS, Wish(setting=Setting(False), reason="x", expires_in=AN_HOUR))
    return team.as_("bob").approve(broken.id, 1)


AN_HOUR = timedelta(hours=1)
THROUGH_OTHERS: dict[str, tuple[Callable[[Team], object], type[FlagError], str]] = {
    "asked through a service": (asked_through_the_desk, FlagAccessError, "somebody else has to approve it"),
    "for a login": (for_a_login, FlagAccessError, "must say for whom it acts, and ann_too"),
    "renamed": (renamed, FlagAccessError, "somebody else has to approve it"),
    "reviewed through a service": (reviewed_through_the_desk, FlagAccessError, "somebody else has to review it"),
    "broken again through a service": (broken_again_through_the_desk, FlagStateError, "nobody has reviewed that"),
    "edited through a service": (edited_through_the_desk, FlagAccessError, "nobody else edits it"),
    "approved break-glass": (glass_approved, FlagStateError, "a break-glass one, and applied already"),
}  # fmt: skip


@pytest.mark.parametrize("way", THROUGH_OTHERS)
def test_nobody_counts_twice_through_others(team: Team, way: str) -> None:
    """Services, aliases and names are seen through, for approvals, edits and reviews alike."""
    attempt, refusal, words = THROUGH_OTHERS[way]
    with pytest.raises(refusal) as refused:
        attempt(team)
    assert words in str(refused.value)
    assert "approved" not in {entry.action for entry in read_trail(team.owner)}
    assert verify_trail(team.owner).problems == ()


RACES: dict[str, Callable[[Team, FlagChange], Callable[[], Any]]] = {
    "edit": lambda team, one: lambda: team.as_("ann").edit(one.id, 1, Wish(setting=Setting(True, 7), reason="else")),
    "withdrawal": lambda team, one: lambda: team.as_("ann").withdraw(one.id, "no"),
    "rejection": lambda team, one: lambda: team.as_("cyd").reject(one.id, "no"),
    "expiry": lambda team, one: lambda: team.owner.execute("select holds.tend_flags()"),
}


@pytest.mark.parametrize("other", RACES)
def test_approval_that_races_with_the_end_of_its_request_is_all_or_nothing(team: Team, other: str) -> None:
    """Over two connections at the same moment, again and again: in force is what was approved, or nothing is."""
    for number in range(1, 9):
        asked = team.as_("ann").request(COMBINATIONS, Wish(setting=Setting(True, 10 + number), reason="race"))
        if other == "expiry":
            team.owner.execute(
                "update holds.flag_changes set expires_at = clock_timestamp() + interval '3 ms' where id = %s",
                (asked.id,),
            )
        version = verify_trail(team.owner).entries
        rival = RACES[other](team, asked)
        bob = team.as_("bob")
        results = at_once(partial(bob.approve, asked.id, 1), rival)

        now = team.as_("bob").show(asked.id)
        is_applied = isinstance(results[0], FlagChange)
        assert is_applied or isinstance(results[0], FlagStateError)
        assert other == "expiry" or is_applied is isinstance(results[1], FlagStateError)
        assert (now.state == "applied") is is_applied
        assert (in_force(team).get(COMBINATIONS) == f"{10 + number}%") is is_applied
        assert "7%" not in in_force(team).values()
        done = [entry.action for entry in read_trail(team.owner, after=version)]
        assert ("applied" in done) is is_applied
        with suppress(FlagStateError):
            team.as_("ann").withdraw(asked.id, "over")
    assert verify_trail(team.owner).problems == ()


@pytest.mark.parametrize("name", ["ann", "ann_too", "desk", "stranger"])
def test_kill_switch_is_on_the_trail_whoever_throws_it(team: Team, name: str) -> None:
    """Without a reason, by a login that is nobody's, of all or of one restaurant: login, and person where known."""
    connection = team.connect(name)
    connection.execute("select holds.set_hold_conflict_enforcement(false)")
    connection.execute("select holds.switch_restaurant_enforcement(gen_random_uuid(), false)")

    killed = [entry for entry in read_trail(team.owner) if entry.action == "killed"]
    person = {"ann": team.logins["ann"], "ann_too": team.logins["ann"], "desk": team.logins["desk"]}.get(name)
    assert [(entry.login, entry.person) for entry in killed] == [(team.logins[name], person)] * 2
    assert [entry.restaurant_id is None for entry in killed] == [True, False]
    assert verify_trail(team.owner).problems == ()

    with connection.transaction(force_rollback=True):
        connection.execute("select holds.set_hold_conflict_enforcement(true)")
    assert team.owner.execute("select is_strict_conflicts_enabled from holds.settings").fetchone() == (False,)


def test_owner_who_cuts_off_the_end_with_its_event_is_found_by_the_head_alone(team: Team) -> None:
    """Trail, events and overrides agree on what never happened: only what was kept elsewhere knows better."""
    team.apply(COMBINATIONS, Setting(False))
    whole = verify_trail(team.owner)
    team.apply(COMBINATIONS, Setting(True, 20))
    head = verify_trail(team.owner).head
    assert head is not None
    team.owner.execute("alter table holds.flag_audit disable trigger user")
    team.owner.execute("delete from holds.flag_audit where position > %s", (whole.entries,))
    team.owner.execute("alter table holds.flag_audit enable trigger user")
    team.owner.execute("delete from holds.observability_events where (context ->> 'auditPosition')::int > %s",
                       (whole.entries,))  # fmt: skip
    team.owner.execute("update holds.flag_overrides set value = 'false', percentage = null")

    assert verify_trail(team.owner).problems == ()
    (problem,) = verify_trail(team.owner, head).problems
    assert problem == f"the head that was kept elsewhere, entry {head[0]}, is not in the chain"


def test_approval_of_an_alias_that_is_found_out_is_not_applied(team: Team) -> None:
    """Whose a login is became known after it approved, and before anybody applied: no other person has approved."""
    asked = team.as_("ann").request(COMBINATIONS, OFF)
    team.as_("bob").approve(asked.id, 1, apply=False)
    team.owner.execute("select holds.set_flag_actor(%s, %s)", (team.logins["bob"], team.logins["ann"]))
    with pytest.raises(FlagAccessError, match="somebody else has to approve it"):
        team.as_("cyd").apply(asked.id, 1)


def test_variables_of_whoever_asks_do_not_hide_an_unsafe_combination(team: Team) -> None:
    """They are one process's: what is unsafe without them is unsafe for all the others."""
    look_ahead: dict[str, Setting] = {Flag.LOOKAHEAD: Setting(True)}
    few = Wish(setting=Setting(3), reason="load")
    with pytest.raises(FlagUnsafeError):
        team.as_("ann").request(Flag.ATTEMPT_LIMIT, few)
    with pytest.raises(FlagUnsafeError):
        FlagChanges(team.connect("ann"), variables=look_ahead).request(Flag.ATTEMPT_LIMIT, few)
