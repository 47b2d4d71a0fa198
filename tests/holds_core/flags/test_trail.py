"""The trail is only appended to; whoever changes it all the same is found, at the first link that is broken."""

from __future__ import annotations

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holds_core.errors import FlagError
from holds_core.flags import Flag, Setting
from holds_core.flags.changes import Wish, list_changes, tend_flags
from holds_core.flags.loading import packaged_definitions
from holds_core.flags.syncing import sync_definitions
from holds_core.flags.trail import read_trail, verify_trail
from tests.holds_core.flags.conftest import Team
from tests.holds_core.flags.states import settings_of


@pytest.fixture
def trail(team: Team) -> Team:
    """Seven definitions, six actors and two changes: 19 entries."""
    team.apply(Flag.COMBINATIONS, Setting(False))
    team.apply(Flag.ATTEMPT_LIMIT, Setting(9))
    verdict = verify_trail(team.owner)
    assert (verdict.entries, verdict.problems) == (19, ())
    return team


@pytest.mark.parametrize(
    "statement",
    [
        "update holds.flag_audit set reason = 'another'",
        "update holds.flag_audit set position = null, hash = null, previous_hash = null",
        "delete from holds.flag_audit where position = 17",
        "truncate holds.flag_audit",
    ],
)
@pytest.mark.parametrize("role", ["holds_app", "holds_operator", "analytics_reader", None])
def test_trail_cannot_be_changed(trail: Team, role: str | None, statement: str) -> None:
    """Not by an application, nor by a person, nor by the owner unless they take the guard away first."""
    if role is not None:
        trail.owner.execute(f"set role {role}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        trail.owner.execute(statement)


TAMPERINGS = {
    "another reason": (
        "update holds.flag_audit set reason = 'another' where position = 15",
        "Entry 15 (approved selector.combinations",
        "does not say what it said when it was sealed",
    ),
    "another person": (
        "update holds.flag_audit set person = 'mallory' where position = 14",
        "Entry 14 (requested selector.combinations",
        "does not say",
    ),
    "another time": (
        "update holds.flag_audit set at = at - interval '1 day' where position = 16",
        "Entry 16 (applied selector.combinations",
        "does not say",
    ),
    "one taken out": ("delete from holds.flag_audit where position = 15", "Entry 15 is missing before entry 16", ""),
    "two taken out": (
        "delete from holds.flag_audit where position in (15, 16)",
        "Entries 15 to 16 are missing before entry 17",
        "",
    ),
    "resealed": (
        "update holds.flag_audit as a set reason = 'another' where position = 15;"
        " update holds.flag_audit as a set hash = sha256(previous_hash || convert_to(holds.flag_audit_text(a), 'UTF8'))"
        " where position = 15",
        "Entry 16 (applied selector.combinations",
        "does not follow on the entry before",
    ),
    "one put in": (
        "update holds.flag_audit set position = 20 where position = 19;"
        "update holds.flag_audit set position = 19 where position = 18;"
        " insert into holds.flag_audit (position, previous_hash, hash, at, action, login)"
        " values (18, 'x', 'x', now(), 'approved', 'mallory')",
        "Entry 18 (approved an actor",
        "does not follow",
    ),
    "the end cut off": (
        "delete from holds.flag_audit where position > 17",
        "names entry 18 of the trail, which is not there",
        "",
    ),
    "the end written anew": (
        "update holds.flag_audit set reason = 'another' where position = 19;"
        " update holds.flag_audit as a set hash = sha256(previous_hash || convert_to(holds.flag_audit_text(a), 'UTF8'))"
        " where position = 19",
        "names entry 19 of the trail, which has another hash",
        "",
    ),
    "an override changed behind it": (
        "update holds.flag_overrides set value = 'true' where flag = 'selector.combinations'",
        "selector.combinations in dev is set to on, and the trail's last word is off",
        "",
    ),
    "an override taken away": (
        "delete from holds.flag_overrides where flag = 'selector.attemptLimit'",
        "selector.attemptLimit in dev is set to default, and the trail's last word is 9",
        "",
    ),
    "a share lowered in the settings": (
        "update holds.settings set strict_percentage = 40",
        "holds.strictConflicts is 40 % in the settings, and the flag is set to on",
        "",
    ),
    "switched off in the settings": (
        "update holds.settings set is_strict_conflicts_enabled = false",
        "the kill switch is on in the settings, and not on as the flag has it",
        "",
    ),
    "a limit in the settings": (
        "update holds.settings set rate_limit_holds = 5, rate_limit_seconds = 60",
        "the rate limit is 5/60 in the settings, and the flag is set to none",
        "",
    ),
    "a restaurant set apart in the settings": (
        "insert into holds.restaurant_settings (restaurant_id, is_strict)"
        " values ('00000000-0000-0000-0000-000000000001', false)",
        "restaurant 00000000-0000-0000-0000-000000000001 is set otherwise in the settings than its flags say",
        "",
    ),
}


@pytest.mark.parametrize("way", TAMPERINGS)
def test_tampering_is_found_and_named(trail: Team, way: str) -> None:
    """The owner can do anything; the first thing that verify says is where."""
    statements, where, what = TAMPERINGS[way]
    trail.owner.execute("alter table holds.flag_audit disable trigger user")
    trail.owner.execute(statements)
    trail.owner.execute("alter table holds.flag_audit enable trigger user")

    first = verify_trail(trail.owner).problems[0]
    assert where.lower() in first.lower()
    assert what in first


def test_head_that_was_kept_elsewhere_has_to_be_in_the_chain(trail: Team) -> None:
    """Whoever writes all of it anew, and the events too, cannot write what is not in this database."""
    head = verify_trail(trail.owner).head
    assert head is not None
    trail.apply(Flag.COMBINATIONS, None)

    assert verify_trail(trail.owner, head).problems == ()
    (problem,) = verify_trail(trail.owner, (head[0], "0" * 64)).problems
    assert problem == f"the head that was kept elsewhere, entry {head[0]}, is not in the chain"


def test_change_of_a_definition_is_on_the_trail(trail: Team) -> None:
    """What is in force where nothing is set changes with it; a flag that is gone keeps its past."""
    definitions = dict(packaged_definitions())
    del definitions[Flag.COMBINATIONS]
    assert sync_definitions(trail.owner, definitions) == 1
    assert sync_definitions(trail.owner, definitions) == 0
    with pytest.raises(FlagError, match="There is no flag"):
        trail.as_("ann").request(Flag.COMBINATIONS, Wish(setting=Setting(True), reason="gone"))
    assert sync_definitions(trail.owner) == 1

    entries = read_trail(trail.owner, after=19)
    assert [(entry.action, entry.flag) for entry in entries] == [
        ("retired", Flag.COMBINATIONS), ("defined", Flag.COMBINATIONS),
    ]  # fmt: skip
    assert verify_trail(trail.owner).problems == ()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["request", "approve", "apply", "edit", "reject", "withdraw", "break", "review", "tend", "kill"]
        ),
        st.sampled_from(["ann", "ann_too", "bob"]),
        st.sampled_from([Flag.COMBINATIONS, Flag.LOOKAHEAD, Flag.STRICT_CONFLICTS]).flatmap(
            lambda flag: st.tuples(st.just(flag), st.one_of(st.none(), settings_of(flag)))
        ),
        st.integers(0, 5),
    ),
    min_size=3,
    max_size=15,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_any_sequence_leaves_the_chain_whole_and_one_change_for_each_version(
    team: Team, steps: list[tuple[str, str, tuple[Flag, Setting | None], int]]
) -> None:
    """Whatever people try, in whatever order: refused or done, the trail says what is in force, and how it came."""
    for action, name, (flag, setting), pick in steps:
        changes = team.as_(name)
        known = list_changes(team.owner, only_open=False, limit=6)
        change = known[pick % len(known)] if known else None
        wish = Wish(setting=setting, reason="any", unsafe_because="any" if pick % 2 else None)
        try:
            if action == "request":
                changes.request(flag, wish)
            elif action == "break":
                changes.break_glass(flag, wish if wish.expires_in.days < 3 else Wish(
                    setting=setting, reason="any", expires_in=wish.expires_in / 7))  # fmt: skip
            elif action == "tend":
                tend_flags(team.owner)
            elif action == "kill":
                team.connect(name).execute("select holds.set_hold_conflict_enforcement(%s, 'any')", (bool(pick % 2),))
            elif change is not None and action in ("approve", "apply"):
                getattr(changes, action)(change.id, change.revision)
            elif change is not None and action == "edit":
                changes.edit(change.id, change.revision, wish)
            elif change is not None:
                getattr(changes, action)(change.id, "any")
        except FlagError:
            pass  # refused, as it may be

    assert verify_trail(team.owner).problems == ()
    rows = team.owner.execute(
        "select changes.flag, array_agg(changes.applied_version order by changes.applied_version),"
        " max(overrides.version), bool_and(changes.is_break_glass or changes.approved_by <> changes.requested_by)"
        " from holds.flag_changes as changes inner join holds.flag_overrides as overrides using (environment, flag)"
        " where changes.applied_version is not null group by changes.flag"
    ).fetchall()
    for _, versions, newest, is_by_two in rows:
        assert len(set(versions)) == len(versions)
        assert versions[-1] <= newest
        assert is_by_two
