"""No way up around the soak and the guardrails: each attempt is refused, says why, and leaves everything as it was."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from psycopg import sql

from holds_core import set_hold_conflict_enforcement
from holds_core.database.connections import connect
from holds_core.database.settings import Environment
from holds_core.errors import FlagRequestError, FlagStageError
from holds_core.flags import Flag, Setting
from holds_core.flags.changes import Wish
from holds_core.flags.trail import verify_trail
from tests.orchestration.rollout.conftest import STRICT, Ramp

ALL = Wish(setting=Setting(True), reason="in a hurry", expires_in=timedelta(hours=1))


def early(ramp: Ramp) -> object:
    """An hour after the stage came into force, with evidence of one's own making."""
    ramp.team.owner.execute("update holds.flag_overrides set changed_at = clock_timestamp() - interval '1 hour'")
    made_up = dict(ramp.status().source) | {"missing": [], "verdict": "ready"}
    return ramp.ask(50, evidence={"rollout": made_up, "from": made_up})


def edited(ramp: Ramp) -> object:
    """Less is asked for, which needs no evidence, and then made more."""
    asked = ramp.ask(5)
    return ramp.team.as_("ann").edit(asked.id, 1, ALL)


def turned_away(ramp: Ramp) -> object:
    """Asked for when it was right; approved when it no longer is."""
    asked = ramp.ask(50)
    ramp.turn_away(ramp.first, 30)
    return ramp.approve(asked)


def applied_late(ramp: Ramp) -> object:
    """Approved when it was right; applied when it no longer is."""
    asked = ramp.approve(ramp.ask(50), apply=False)
    ramp.double_book(ramp.first)
    return ramp.team.as_("ann").apply(asked.id, 1)


def killed(ramp: Ramp) -> object:
    """While the kill switch was on, nothing soaked."""
    bob = ramp.team.connect("bob")
    set_hold_conflict_enforcement(bob, enabled=False, reason="guests at the door")
    with pytest.raises(FlagStageError, match="the kill switch is on"):
        ramp.ask(50)
    set_hold_conflict_enforcement(bob, enabled=True, reason="over", on_overlap="grandfather")
    return ramp.ask(50)


def kept_glass(ramp: Ramp) -> object:
    """Alone for an hour; to stay it needs what every stage needs."""
    ramp.team.as_("ann").break_glass(STRICT, ALL)
    return ramp.team.as_("bob").request(STRICT, ALL)


def without_views(ramp: Ramp) -> object:
    """Nothing is measured."""
    owner = ramp.team.owner
    owner.execute("alter view analytics.rollout_measures rename to mislaid")
    try:
        return ramp.ask(50)
    finally:
        owner.execute("alter view analytics.mislaid rename to rollout_measures")


def with_a_view_of_ones_own(ramp: Ramp) -> object:
    """Somebody has got hold of a relation among those that say what is true."""
    owner = ramp.team.owner
    ann = sql.Identifier(ramp.team.logins["ann"])
    owner.execute("create table analytics.hers (id integer)")
    owner.execute(sql.SQL("alter table analytics.hers owner to {}").format(ann))
    try:
        return ramp.ask(50)
    finally:
        owner.execute("drop table analytics.hers")


def blocked(ramp: Ramp) -> object:
    """What is measured is not what is true, the pipeline says."""
    ramp.team.owner.execute(
        "insert into holds.observability_events (occurred_at, environment, source, event_type, severity, context)"
        " values (clock_timestamp(), 'staging', 'test', 'pipeline.run.failed', 'error',"
        """ '{"job": "pipeline", "isBlocked": true, "outcome": "blocked", "reason": "duplicates"}')"""
    )
    return ramp.ask(50)


Way = tuple[Callable[[Ramp], object], type[Exception], str]

HARMLESS: dict[str, Way] = {
    "a stage left out": (lambda ramp: ramp.ask(100), FlagStageError, "the stage after 10 % is 50 %"),
    "between stages": (lambda ramp: ramp.ask(20), FlagStageError, "the stage after 10 % is 50 %"),
    "the default": (
        lambda ramp: ramp.team.as_("ann").request(STRICT, Wish(setting=None, reason="tidy")),
        FlagStageError, "the stage after 10 % is 50 %",
    ),
    "one restaurant after another": (
        lambda ramp: ramp.team.as_("ann").request(STRICT, ALL, restaurant_id=ramp.second),
        FlagStageError, "a restaurant joins by the cohort",
    ),
    "through a service": (
        lambda ramp: ramp.team.as_("desk", acting_for="ann").request(STRICT, ALL), FlagStageError, "the stage after",
    ),
    "without views": (without_views, FlagStageError, "no evidence: the views are not built"),
    "with a view of one's own": (with_a_view_of_ones_own, FlagStageError, "relations of others than"),
    "a cohort that grows": (
        lambda ramp: ramp.team.as_("ann").change_cohort(STRICT, "more", add=[uuid4()]),
        FlagStageError, "percentage of holds.strictConflicts is in force",
    ),
    "a cohort of no stages": (
        lambda ramp: ramp.team.as_("ann").change_cohort(Flag.COMBINATIONS, "more", add=[uuid4()]),
        FlagRequestError, "does not go up by stages",
    ),
}  # fmt: skip
"""They change nothing even on the way, so that one soak does for all."""

BYPASSES: dict[str, Way] = {
    "early": (early, FlagStageError, "cannot go from 10 % to 50 % yet: the soak of 10 % lasts until"),
    "edited": (edited, FlagStageError, "the stage after 10 % is 50 %"),
    "broken since": (turned_away, FlagStageError, "success_ratio of the last hour is"),
    "broken before it is applied": (applied_late, FlagStageError, "double_bookings is 1 (at most 0)"),
    "over the kill switch": (killed, FlagStageError, "the soak of 10 % lasts until"),
    "broken glass that stays": (kept_glass, FlagStageError, "a break-glass change is in force"),
    "a pipeline that is blocked": (blocked, FlagStageError, "the pipeline is blocked: duplicates"),
}


def refuse(ramp: Ramp, way: Way) -> None:
    """Make an attempt; it is refused, and 10 % stay in force."""
    attempt, refusal, words = way
    with pytest.raises(refusal) as refused:
        attempt(ramp)
    assert words in str(refused.value), refused.value
    in_force = ramp.team.owner.execute(
        "select percentage from holds.flag_overrides where restaurant_id is null and flag = 'holds.strictConflicts'"
    ).fetchall()
    assert in_force == [(10,)]


@pytest.fixture
def soaked(ramp: Ramp) -> Ramp:
    """At 10 %, after a soak in which everything was well."""
    ramp.set_directly(10)
    ramp.soak(parties=21, times=10)
    return ramp


@pytest.mark.parametrize("way", BYPASSES)
def test_no_way_around_the_soak(soaked: Ramp, way: str) -> None:
    """Refused with what is missing."""
    refuse(soaked, BYPASSES[way])
    assert verify_trail(soaked.team.owner).problems == ()


def test_no_way_around_the_stages(soaked: Ramp) -> None:
    """Refused with what is right instead, however good the evidence is; and the next stage is still open."""
    for way in HARMLESS.values():
        refuse(soaked, way)
    assert verify_trail(soaked.team.owner).problems == ()
    assert soaked.approve(soaked.ask(50)).percentage == 50


@pytest.mark.parametrize("whom", [None, UUID(int=7)], ids=["all", "one"])
def test_no_way_up_where_nothing_is_held_yet(ramp: Ramp, whom: UUID | None) -> None:
    """Of an environment that the database knows nothing of there is no evidence; it begins with what it is."""
    prod = Environment.PROD
    with pytest.raises(FlagStageError, match="this database holds nothing of that environment yet"):
        ramp.team.as_("ann").request(Flag.LOOKAHEAD, ALL, environment=prod, restaurant_id=whom)
    ramp.team.apply(Flag.LOOKAHEAD, Setting(False), environment=prod)
    with pytest.raises(FlagStageError):
        ramp.team.as_("ann").request(Flag.LOOKAHEAD, ALL, environment=prod, restaurant_id=whom)


def test_less_needs_no_evidence_and_one_person_goes_back(ramp: Ramp, database_url: str) -> None:
    """Down is two people's whenever they want; by a stage it is one person's, while the ramp is on its way."""
    ramp.set_directly(50)
    with connect(database_url, autocommit=False) as stuck:
        stuck.execute(
            "select holds.create_table_hold(%s, array[%s], now(), now() + interval '1 hour', 'k')", (uuid4(), uuid4())
        )
        # A hold that does not end keeps nobody from going back.
        back = ramp.team.as_("ann").roll_back(STRICT, "guests at the door")
    assert (back.percentage, back.is_rollback, back.approved_by, back.state) == (10, True, None, "applied")
    assert ramp.approve(ramp.ask(5)).percentage == 5
    assert ramp.team.as_("bob").roll_back(STRICT, "still").setting == Setting(False)
    with pytest.raises(FlagStageError, match="there is none to go back from"):
        ramp.team.as_("bob").roll_back(STRICT, "once more")

    ramp.team.as_("ann").break_glass(STRICT, ALL)
    with pytest.raises(FlagStageError, match="there is none to go back from"):
        ramp.team.as_("bob").roll_back(STRICT, "what ann has done")
    assert verify_trail(ramp.team.owner).problems == ()


def test_cohort_that_was_changed_behind_the_trail_is_found(ramp: Ramp) -> None:
    """Its hash is in the trail's last word about it."""
    ramp.team.as_("ann").change_cohort(STRICT, "they agreed", add=[ramp.first, ramp.second])
    ramp.team.as_("bob").change_cohort(STRICT, "moved house", remove=[ramp.second])
    assert verify_trail(ramp.team.owner).problems == ()
    ramp.team.owner.execute("insert into holds.flag_cohorts values (%s, gen_random_uuid(), 'x', now())", (STRICT,))
    assert verify_trail(ramp.team.owner).problems == ("the cohort of holds.strictConflicts is not as the trail has it",)
