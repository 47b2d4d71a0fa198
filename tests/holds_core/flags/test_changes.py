"""Two people change a flag: what is refused, to whom, and why; what is in force is what was approved."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from holds_core.database.connections import connect
from holds_core.database.settings import Environment
from holds_core.errors import (
    FlagAccessError,
    FlagError,
    FlagRequestError,
    FlagStateError,
    FlagUnsafeError,
    HoldAccessError,
    HoldsError,
)
from holds_core.flags import Flag, Setting
from holds_core.flags.actors import list_actors, set_actor
from holds_core.flags.changes import FlagChange, FlagChanges, Wish, list_changes, tend_flags
from holds_core.flags.snapshot import read_snapshot
from holds_core.flags.trail import read_trail, verify_trail
from tests.holds_core.flags.conftest import Team

COMBINATIONS, LOOKAHEAD, STRICT = Flag.COMBINATIONS, Flag.LOOKAHEAD, Flag.STRICT_CONFLICTS
OFF = Wish(setting=Setting(False), reason="the terrace is closed")


def in_force(team: Team, environment: Environment | None = None) -> dict[str, str]:
    """What is set instead of the defaults, for the environment."""
    overrides = read_snapshot(team.owner, environment).overrides
    return {one.flag: str(one.setting) for one in overrides if one.restaurant_id is None}


def actions(team: Team) -> list[str]:
    """What the trail says was done, definitions and actors aside."""
    return [entry.action for entry in read_trail(team.owner) if entry.change_id is not None]


def test_change_takes_two_people(team: Team) -> None:
    """Asked for, nothing has changed; approved, it is in force, and the trail says who did what."""
    asked = team.as_("ann").request(COMBINATIONS, OFF)
    assert (asked.state, asked.base_version, in_force(team)) == ("requested", 0, {})

    done = team.as_("bob").approve(asked.id, asked.revision, "I saw the rain")

    assert (done.state, done.applied_version, done.remark) == ("applied", 1, "I saw the rain")
    assert in_force(team) == {COMBINATIONS: "off"}
    assert actions(team) == ["requested", "approved", "applied"]
    assert [(entry.person, entry.login) for entry in read_trail(team.owner) if entry.change_id] == [
        (team.logins["ann"],) * 2, (team.logins["bob"],) * 2, (team.logins["bob"],) * 2,
    ]  # fmt: skip
    assert verify_trail(team.owner).problems == ()


def test_change_is_events_for_whoever_watches(team: Team) -> None:
    """Each step is one, with the words that views read."""
    asked = team.as_("ann").request(COMBINATIONS, OFF)
    team.as_("bob").approve(asked.id, asked.revision)

    contexts = team.owner.execute(
        "select context from holds.observability_events where event_type = 'capacity.flags.changed'"
        " order by (context -> 'auditPosition')::int"
    ).fetchall()
    assert [context["action"] for (context,) in contexts] == ["requested", "approved", "applied"]
    applied = contexts[-1][0]
    expected = {
        "flag": COMBINATIONS, "from": "default", "to": "off", "environment": "dev", "reason": OFF.reason,
        "requestedBy": team.logins["ann"], "approvedBy": team.logins["bob"],
    }  # fmt: skip
    assert {name: applied[name] for name in expected} == expected


def grant_and_become(team: Team, actor: str, other: str) -> FlagChanges:
    """Let one login take on the role of another, as somebody careless might."""
    names = sql.Identifier(team.logins[other]), sql.Identifier(team.logins[actor])
    team.owner.execute(sql.SQL("grant {} to {}").format(*names))
    try:
        connection = team.connect(actor)
        connection.execute(sql.SQL("set role {}").format(names[0]))
        assert connection.execute("select current_user").fetchone() == (team.logins[other],)
    finally:
        team.owner.execute(sql.SQL("revoke {} from {}").format(*names))
    return FlagChanges(connection)


def late_alias(team: Team) -> FlagChanges:
    """A login that is known to be ann's only after it has looked like somebody else."""
    set_actor(team.owner, team.logins["cyd"], person=team.logins["ann"])
    return team.as_("cyd")


def no_more(team: Team, change: FlagChange) -> object:
    """Somebody who has left."""
    set_actor(team.owner, team.logins["bob"], is_active=False)
    return team.as_("bob").approve(change.id, 1)


def approve_after_edit(team: Team, change: FlagChange) -> object:
    """bob looks, ann edits, bob approves what he saw."""
    team.as_("ann").edit(change.id, 1, Wish(setting=Setting(True), reason="something else"))
    return team.as_("bob").approve(change.id, 1)


def apply_after_edit(team: Team, change: FlagChange) -> object:
    """bob approves, ann edits what he approved, and applies it."""
    team.as_("bob").approve(change.id, 1, apply=False)
    edited = team.as_("ann").edit(change.id, 1, Wish(setting=Setting(True), reason="something else"))
    assert (edited.state, edited.approved_by, edited.revision) == ("requested", None, 2)
    return team.as_("ann").apply(change.id, 2)


def approve_twice(team: Team, change: FlagChange) -> object:
    """Once is enough."""
    team.as_("bob").approve(change.id, 1, apply=False)
    return team.as_("cyd").approve(change.id, 1)


def replay(team: Team, change: FlagChange) -> object:
    """The same call once more, after the flag was set back."""
    team.as_("bob").approve(change.id, 1)
    team.apply(COMBINATIONS, Setting(True, 50))
    return team.as_("bob").approve(change.id, 1)


def stale(team: Team, change: FlagChange) -> object:
    """Somebody else's change came first."""
    team.apply(COMBINATIONS, Setting(True, 50))
    return team.as_("bob").approve(change.id, 1)


def expired(team: Team, change: FlagChange) -> object:
    """Nobody answered in time, by the database's clock."""
    team.owner.execute("update holds.flag_changes set expires_at = clock_timestamp() where id = %s", (change.id,))
    return team.as_("bob").approve(change.id, 1)


def repeatable_read(team: Team, change: FlagChange) -> object:
    """A snapshot of the past would let two approvals pass each other."""
    connection = team.connect("bob")
    connection.execute("set default_transaction_isolation = 'repeatable read'")
    return FlagChanges(connection).approve(change.id, 1)


def shadowed(team: Team, change: FlagChange) -> object:
    """Tables of one's own that stand before ours."""
    connection = team.connect("ann")
    connection.execute("create temporary table flag_actors as select session_user::text as login, 'bob' as person,"
                       " false as is_service, true as is_active")  # fmt: skip
    connection.execute("set search_path = pg_temp, holds, public")
    return FlagChanges(connection).approve(change.id, 1)


BYPASSES: dict[str, tuple[Callable[[Team, FlagChange], object], type[Exception], str]] = {
    "self": (lambda team, one: team.as_("ann").approve(one.id, 1), FlagAccessError, "somebody else has to approve it"),
    "alias": (lambda team, one: team.as_("ann_too").approve(one.id, 1), FlagAccessError, "somebody else"),
    "late alias": (lambda team, one: late_alias(team).approve(one.id, 1), FlagAccessError, "somebody else"),
    "set role": (
        lambda team, one: grant_and_become(team, "ann", "bob").approve(one.id, 1), FlagAccessError, "somebody else",
    ),
    "service for oneself": (
        lambda team, one: team.as_("desk", acting_for="ann").approve(one.id, 1), FlagAccessError, "somebody else",
    ),
    "service for nobody": (
        lambda team, one: team.as_("desk").approve(one.id, 1), FlagAccessError, "must say for whom it acts",
    ),
    "service for a stranger": (
        lambda team, one: team.as_("desk", acting_for="mallory").approve(one.id, 1), FlagAccessError, "mallory is nob",
    ),
    "in another's name": (
        lambda team, one: team.as_("ann", acting_for="bob").approve(one.id, 1), FlagAccessError, "only a service",
    ),
    "stranger": (lambda team, one: team.as_("stranger").approve(one.id, 1), FlagAccessError, "is nobody's"),
    "without the role": (lambda team, one: team.as_("clerk").approve(one.id, 1), HoldAccessError, "Grant it the role"),
    "no more": (
        no_more, FlagAccessError, "is nobody's",
    ),
    "edited since": (approve_after_edit, FlagStateError, "at revision 2, not 1"),
    "edited after approval": (apply_after_edit, FlagStateError, "is not approved yet"),
    "unapproved": (lambda team, one: team.as_("ann").apply(one.id, 1), FlagStateError, "is not approved yet"),
    "twice": (approve_twice, FlagStateError, "approved already, by"),
    "replayed": (replay, FlagStateError, "is applied already"),
    "stale": (stale, FlagStateError, "has changed since it was asked for (version 0, now 1)"),
    "rejected": (
        lambda team, one: (team.as_("bob").reject(one.id, "no"), team.as_("cyd").approve(one.id, 1)),
        FlagStateError, "is rejected already",
    ),
    "withdrawn": (
        lambda team, one: (team.as_("ann_too").withdraw(one.id, "no"), team.as_("bob").approve(one.id, 1)),
        FlagStateError, "is withdrawn already",
    ),
    "expired": (expired, FlagStateError, "has expired"),
    "another's edit": (lambda team, one: team.as_("bob").edit(one.id, 1, OFF), FlagAccessError, "nobody else edits it"),
    "another's withdrawal": (
        lambda team, one: team.as_("bob").withdraw(one.id, "no"), FlagAccessError, "somebody else rejects it",
    ),
    "own rejection": (lambda team, one: team.as_("ann").reject(one.id, "no"), FlagAccessError, "your own; withdraw it"),
    "repeatable read": (repeatable_read, HoldsError, "READ COMMITTED"),
    "shadowed tables": (shadowed, FlagAccessError, "somebody else"),
    "unseen": (
        lambda team, one: team.connect("bob").execute("select holds.approve_flag_change(%s, null)", (one.id,)),
        psycopg.errors.InvalidParameterValue, "say which revision",
    ),
    "nothing there": (lambda team, one: team.as_("bob").approve(one.id + 99, 1), FlagRequestError, "There is no"),
}  # fmt: skip


@pytest.mark.parametrize("way", BYPASSES)
def test_no_way_around_the_second_person(team: Team, way: str) -> None:
    """Each is refused with what is wrong, nothing of what was asked for is in force, and the trail holds."""
    attempt, refusal, words = BYPASSES[way]
    asked = team.as_("ann").request(COMBINATIONS, OFF)

    with pytest.raises(refusal) as refused:
        attempt(team, asked)

    assert words in str(refused.value), refused.value
    assert in_force(team).get(COMBINATIONS) in (None, "50%")
    assert verify_trail(team.owner).problems == ()


def test_clock_that_is_set_back_brings_nothing_back_to_life(team: Team) -> None:
    """The trail has seen a later time than the clock shows now: what had expired then has expired."""
    asked = team.as_("ann").request(COMBINATIONS, OFF)
    team.owner.execute("alter table holds.flag_audit disable trigger flag_audit_only_grows")
    team.owner.execute(
        "update holds.flag_audit set at = %s where position = (select max(position) from holds.flag_audit)",
        (asked.expires_at + timedelta(seconds=1),),
    )

    with pytest.raises(FlagStateError, match="has expired"):
        team.as_("bob").approve(asked.id, 1)


def test_only_the_owner_says_whose_a_login_is(team: Team) -> None:
    """Nobody makes themselves somebody else."""
    owner = sql.Identifier(team.owner.info.user)
    for name in ("ann", "stranger", "clerk"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            team.connect(name).execute("select holds.set_flag_actor(session_user, 'bob')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            team.connect(name).execute(sql.SQL("set session authorization {}").format(owner))
    assert team.logins["stranger"] not in {actor.login for actor in list_actors(team.connect("ann"))}


def test_no_function_takes_a_time_from_its_caller(connection: psycopg.Connection) -> None:
    """What has expired is the database's clock's to say."""
    rows = connection.execute(
        "select proname from pg_proc where pronamespace = 'holds'::regnamespace and proname ~ 'flag|glass|rollout'"
        " and has_function_privilege('holds_operator', oid, 'execute')"
        " and 'timestamptz'::regtype = any(proargtypes::oid[])"
    ).fetchall()
    assert rows == []


def test_service_acts_for_people_and_both_are_on_the_trail(team: Team) -> None:
    """The desk's login, and for whom; the other person may use it too."""
    asked = team.as_("desk", acting_for="ann").request(COMBINATIONS, OFF)
    team.as_("desk", acting_for="bob").approve(asked.id, 1)

    entries = [entry for entry in read_trail(team.owner) if entry.change_id is not None]
    assert [entry.person for entry in entries] == [team.logins[one] for one in ("ann", "bob", "bob")]
    assert {entry.login for entry in entries} == {team.logins["desk"]}


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Make calls at the same moment; return what each gave, or the error that it ended with."""
    barrier = threading.Barrier(len(calls))
    results: list[Any] = [None] * len(calls)

    def make(number: int, call: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            results[number] = call()
        except FlagError as error:
            results[number] = error

    threads = [threading.Thread(target=make, args=numbered) for numbered in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_racing_approvals_apply_once(team: Team) -> None:
    """Two approve the same change at the same moment, again and again: one is told that it is done."""
    approvers = team.as_("bob"), team.as_("cyd")
    for number in range(10):
        wish = Wish(setting=Setting(True, number + 1), reason="race")
        asked = team.as_("ann").request(LOOKAHEAD, wish)
        results = at_once(*(lambda one=one, asked=asked: one.approve(asked.id, 1) for one in approvers))

        assert sorted(type(result).__name__ for result in results) == ["FlagChange", "FlagStateError"]
    assert actions(team).count("applied") == 10


def test_racing_changes_make_one_version_each(team: Team) -> None:
    """Two changes of the same version are approved at the same moment: the second is out of date."""
    asked = [
        team.as_(name).request(COMBINATIONS, Wish(setting=Setting(True, share), reason="race"))
        for name, share in (("ann", 10), ("bob", 20))
    ]
    results = at_once(
        lambda: team.as_("cyd").approve(asked[0].id, 1),
        lambda: FlagChanges(team.connect("ann")).approve(asked[1].id, 1),
    )

    (done,) = [result for result in results if isinstance(result, FlagChange)]
    (late,) = [result for result in results if isinstance(result, FlagStateError)]
    assert "out of date" in str(late)
    assert in_force(team) == {COMBINATIONS: f"{done.percentage}%"}


def test_stale_request_is_taken_up_again(team: Team) -> None:
    """Whoever asked edits it: it is about the flag as it is now, and needs approval anew."""
    asked = team.as_("ann").request(COMBINATIONS, OFF)
    team.apply(COMBINATIONS, Setting(True, 70))

    edited = team.as_("ann").edit(asked.id, 1, OFF)
    assert (edited.base_version, edited.revision) == (1, 2)
    assert team.as_("bob").approve(asked.id, 2).applied_version == 2


def test_approved_change_can_be_applied_later(team: Team) -> None:
    """By anybody; who asked for it too."""
    asked = team.as_("ann").request(COMBINATIONS, OFF)
    approved = team.as_("bob").approve(asked.id, 1, apply=False)
    assert (approved.state, in_force(team)) == ("approved", {})

    assert team.as_("ann").apply(asked.id, 1).state == "applied"
    assert in_force(team) == {COMBINATIONS: "off"}


@pytest.mark.parametrize(
    ("flag", "setting", "changes", "words"),
    [
        ("no.such", Setting(True), {}, "There is no flag no.such; there are holds.rateLimit"),
        (COMBINATIONS, Setting(3), {}, "is on or off, not 3"),
        (COMBINATIONS, Setting(True, 101), {}, "A percentage is 0 to 100"),
        (COMBINATIONS, Setting(False, 30), {}, "Off is for everybody"),
        (COMBINATIONS, Setting(True, 30), {"restaurant_id": uuid4()}, "One restaurant has no percentage"),
        (COMBINATIONS, Setting(True), {"reason": "  "}, "needs a reason"),
        (COMBINATIONS, Setting(True), {"expires_in": timedelta(days=31)}, "It must expire, within 30 days"),
        (COMBINATIONS, Setting(True), {"expires_in": timedelta(0)}, "It must expire, within 30 days"),
        (Flag.SPOOL, Setting(True, 30), {}, "takes no percentage"),
        (Flag.SPOOL, Setting(False), {"restaurant_id": uuid4()}, "one for the whole environment"),
        (Flag.ATTEMPT_LIMIT, Setting(1001), {}, "is 0 to 1000, not 1001"),
        (Flag.ATTEMPT_LIMIT, Setting(True), {}, "is a whole number, not true"),
        (Flag.ATTEMPT_LIMIT, Setting(5, 30), {}, "takes no percentage"),
        (Flag.RATE_LIMIT, Setting("many"), {}, "is HOLDS/SECONDS"),
        (Flag.RATE_LIMIT, Setting("1/86401"), {}, "is HOLDS/SECONDS"),
        (Flag.RATE_LIMIT, Setting("none"), {"restaurant_id": uuid4()}, "to take it away ask for default"),
        (STRICT, Setting(False), {"environment": Environment.PROD}, "this one serves dev, not prod"),
    ],
)
def test_impossible_request_says_what_is_possible(
    team: Team, flag: str, setting: Setting, changes: dict[str, Any], words: str
) -> None:
    """Before anybody is asked to approve it."""
    place = {key: changes[key] for key in ("environment", "restaurant_id") if key in changes}
    wish = Wish(setting=setting, **{"reason": "test"} | {key: changes[key] for key in changes.keys() - place.keys()})
    with pytest.raises(FlagRequestError) as refused:
        team.as_("ann").request(flag, wish, **place)
    assert words in str(refused.value)


def test_nothing_to_change_is_said(team: Team) -> None:
    """Neither what is so already, nor taking away what is not set."""
    with pytest.raises(FlagStateError, match="not set to anything there"):
        team.as_("ann").request(COMBINATIONS, Wish(setting=None, reason="tidy"))
    team.apply(COMBINATIONS, Setting(True, 40))
    with pytest.raises(FlagStateError, match="set to 40% there already"):
        team.as_("ann").request(COMBINATIONS, Wish(setting=Setting(True, 40), reason="again"))

    team.apply(COMBINATIONS, None)
    assert in_force(team) == {}
    assert verify_trail(team.owner).problems == ()


def test_environment_of_its_own_and_restaurants_apart(team: Team) -> None:
    """What is set for prod, or for one restaurant, is set for nobody else."""
    restaurant_id = uuid4()
    team.apply(COMBINATIONS, Setting(False), environment=Environment.PROD)
    team.apply(COMBINATIONS, Setting(False), restaurant_id=restaurant_id)

    assert (in_force(team), in_force(team, Environment.PROD)) == ({}, {COMBINATIONS: "off"})
    (own,) = read_snapshot(team.owner).overrides
    assert (own.restaurant_id, own.setting) == (restaurant_id, Setting(False))
    assert team.owner.execute(
        "select environment, restaurant_id from holds.observability_events where context ->> 'action' = 'applied'"
        " order by 1"
    ).fetchall() == [("dev", restaurant_id), ("prod", None)]


def test_unsafe_combination_is_refused_unless_it_says_why(team: Team) -> None:
    """When it is asked for; and what it says is on the trail, and its event is recorded."""
    team.apply(STRICT, Setting(True, 50))
    ahead = Wish(setting=Setting(True), reason="faster")
    with pytest.raises(FlagUnsafeError, match="selector-lookahead-needs-holds-strict-conflicts"):
        team.as_("ann").request(LOOKAHEAD, ahead)

    done = team.apply(LOOKAHEAD, Setting(True), unsafe_because="a trial without evidence")
    assert done.state == "applied"
    (last,) = [entry for entry in read_trail(team.owner) if entry.action == "applied" and entry.flag == LOOKAHEAD]
    assert last.details["unsafeBecause"] == "a trial without evidence"
    (event,) = team.owner.execute(
        "select severity, context from holds.observability_events where event_type = 'capacity.flags.contradiction'"
    ).fetchall()
    assert (event[0], event[1]["rule"]) == ("warning", "selector-lookahead-needs-holds-strict-conflicts")
    assert event[1]["flags"] == [STRICT, LOOKAHEAD]


def test_combination_of_one_restaurant_is_no_matter_of_another(team: Team) -> None:
    """What stands accepted for one refuses nothing for the next, and is judged anew for itself."""
    one, another = uuid4(), uuid4()
    few = Wish(setting=Setting(3), reason="load")
    team.apply(Flag.ATTEMPT_LIMIT, Setting(3), restaurant_id=one, unsafe_because="a trial")
    asked = team.as_("ann").request(Flag.ATTEMPT_LIMIT, Wish(setting=Setting(9), reason="load"), restaurant_id=another)
    assert asked.state == "requested"
    with pytest.raises(FlagUnsafeError):
        team.as_("ann").request(Flag.ATTEMPT_LIMIT, few, restaurant_id=another)


def test_combination_that_became_unsafe_is_refused_when_it_is_applied(team: Team) -> None:
    """Safe when it was asked for; another flag has changed since."""
    asked = team.as_("ann").request(LOOKAHEAD, Wish(setting=Setting(True, 10), reason="faster"))
    team.apply(STRICT, Setting(True, 99))

    with pytest.raises(FlagUnsafeError):
        team.as_("bob").approve(asked.id, 1)
    assert LOOKAHEAD not in in_force(team)


def test_variables_of_the_asking_process_count(team: Team) -> None:
    """Its variable looks ahead, so strict conflicts for a share are unsafe there."""
    with pytest.raises(FlagUnsafeError):
        team.as_("ann", variables={LOOKAHEAD: Setting(True, 1)}).request(
            STRICT, Wish(setting=Setting(True, 50), reason="stage")
        )


def test_breaking_the_glass_is_one_person_for_a_time(team: Team) -> None:
    """In force at once, above what is approved; its end brings that back; somebody else reviews it."""
    team.apply(COMBINATIONS, Setting(True, 70))
    broken = team.as_("ann").break_glass(
        COMBINATIONS, Wish(setting=Setting(False), reason="planner eats the CPU", expires_in=timedelta(hours=2))
    )
    assert (broken.state, in_force(team)) == ("applied", {COMBINATIONS: "off"})
    (override,) = read_snapshot(team.owner).overrides
    assert override.is_break_glass
    assert [change.id for change in list_changes(team.connect("bob"))] == [broken.id]

    with pytest.raises(FlagAccessError, match="somebody else has to review it"):
        team.as_("ann_too").review(broken.id, "fine")
    team.as_("bob").review(broken.id, "was right")
    with pytest.raises(FlagStateError, match="reviewed already"):
        team.as_("cyd").review(broken.id, "me too")

    team.owner.execute("update holds.flag_changes set expires_at = clock_timestamp() where id = %s", (broken.id,))
    team.owner.execute("update holds.flag_overrides set break_glass_ends_at = clock_timestamp()")
    assert in_force(team) == {COMBINATIONS: "70%"}  # its time is over, whether or not anybody tends to it
    assert tend_flags(team.owner) == (1, 0)
    assert tend_flags(team.owner) == (0, 0)
    assert actions(team)[3:] == ["break-glass", "reviewed", "break-glass ended"]
    assert list_changes(team.connect("bob")) == []
    assert verify_trail(team.owner).problems == ()


def test_broken_glass_needs_a_reason_and_an_end(team: Team) -> None:
    """Alone is for emergencies: why, until when at most in three days, and what it is set to."""
    for wish, words in (
        (Wish(setting=Setting(False), reason=" "), "needs a reason"),
        (Wish(setting=Setting(False), reason="x", expires_in=timedelta(days=4)), "within 3 days"),
        (Wish(setting=None, reason="x", expires_in=timedelta(hours=1)), "takes nothing away"),
    ):
        with pytest.raises(FlagRequestError, match=words):
            team.as_("ann").break_glass(COMBINATIONS, wish)
    with pytest.raises(FlagAccessError):
        team.as_("stranger").break_glass(COMBINATIONS, Wish(setting=Setting(False), reason="x"))


def test_who_breaks_the_glass_and_is_not_reviewed_does_not_go_on_alone(team: Team) -> None:
    """For three days, as long as one may last; then somebody looks at it first."""
    for_an_hour = Wish(setting=Setting(False), reason="x", expires_in=timedelta(hours=1))
    first = team.as_("ann").break_glass(COMBINATIONS, for_an_hour)
    more = Wish(setting=Setting(7), reason="x", expires_in=timedelta(hours=1))
    team.as_("ann").break_glass(Flag.ATTEMPT_LIMIT, more)
    team.owner.execute(
        "update holds.flag_changes set requested_at = requested_at - interval '3 days' where id = %s", (first.id,)
    )

    again = Wish(setting=Setting(8), reason="x", expires_in=timedelta(hours=1))
    with pytest.raises(FlagStateError, match=f"nobody has reviewed that: change {first.id}"):
        team.as_("ann_too").break_glass(Flag.ATTEMPT_LIMIT, again)
    team.as_("bob").break_glass(Flag.ATTEMPT_LIMIT, again)
    team.as_("bob").review(first.id, "was right")
    assert team.as_("ann").break_glass(Flag.ATTEMPT_LIMIT, more).state == "applied"


def test_broken_glass_can_be_ended_early_and_made_to_stay(team: Team) -> None:
    """By anybody; or its setting is asked for and approved, and the emergency is over."""
    for_an_hour = Wish(setting=Setting(False), reason="x", expires_in=timedelta(hours=1))
    first = team.as_("ann").break_glass(COMBINATIONS, for_an_hour)
    assert team.as_("cyd").withdraw(first.id, "over").state == "ended"
    assert in_force(team) == {}

    second = team.as_("ann").break_glass(COMBINATIONS, for_an_hour)
    team.apply(COMBINATIONS, Setting(False))
    assert team.as_("bob").show(second.id).state == "ended"
    assert not any(override.is_break_glass for override in read_snapshot(team.owner).overrides)
    assert verify_trail(team.owner).problems == ()


def test_unsafe_combination_does_not_stop_an_emergency(team: Team) -> None:
    """It is made, and said as an event at once."""
    team.apply(STRICT, Setting(True, 50))
    team.as_("ann").break_glass(
        LOOKAHEAD, Wish(setting=Setting(True), reason="tries kill the database", expires_in=timedelta(hours=1))
    )
    assert team.owner.execute(
        "select count(*) from holds.observability_events where event_type = 'capacity.flags.contradiction'"
    ).fetchone() == (1,)


def test_requests_expire_by_themselves(team: Team) -> None:
    """Whoever comes by tends to it; nobody has to."""
    asked = team.as_("ann").request(COMBINATIONS, OFF)
    team.owner.execute("update holds.flag_changes set expires_at = clock_timestamp() where id = %s", (asked.id,))

    assert list_changes(team.connect("bob")) == []
    assert tend_flags(team.connect("clerk"))[0] == 1
    assert team.as_("bob").show(asked.id).state == "expired"
    assert actions(team) == ["requested", "expired"]


def test_open_transaction_does_not_stand_in_the_way_for_long(team: Team, database_url: str) -> None:
    """Somebody approves and goes for lunch before committing: the server ends it, and others go on."""
    asked = team.as_("ann").request(COMBINATIONS, OFF)
    with connect(database_url) as idle:
        idle.execute(sql.SQL("set session authorization {}").format(sql.Identifier(team.logins["bob"])))
        idle.execute("begin")
        idle.execute("select holds.approve_flag_change(%s, 1)", (asked.id,))

        assert team.as_("cyd").approve(asked.id, 1).state == "applied"
        with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
            idle.execute("commit")
