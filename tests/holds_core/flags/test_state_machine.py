"""Whatever people do to changes of flags, in whatever order, is what a simple model in memory says."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from holds_core.errors import FlagAccessError, FlagError, FlagStateError
from holds_core.flags import Flag, Setting
from holds_core.flags.changes import FlagChanges, Wish, list_changes, tend_flags
from holds_core.flags.snapshot import read_snapshot
from holds_core.flags.trail import read_trail, verify_trail
from tests.holds_core.flags.conftest import Team

EXAMPLES = int(os.environ.get("HOLDWATCH_EXAMPLES", "20"))
"""Nightly: HOLDWATCH_EXAMPLES=2000."""


class Actor(NamedTuple):
    """A login, for whom it acts, and who that is."""

    login: str
    acting_for: str | None
    person: str


ACTORS = [
    Actor("ann", None, "ann"), Actor("ann_too", None, "ann"), Actor("desk", "ann", "ann"), Actor("bob", None, "bob"),
    Actor("desk", "bob", "bob"), Actor("cyd", None, "cyd"),
]  # fmt: skip
FLAGS = [Flag.COMBINATIONS, Flag.REPEAT_LOST_ANSWERS]

actors = st.sampled_from(ACTORS)
seldom = st.sampled_from([False, False, False, True])
wishes = st.sampled_from([None, True, False])


@dataclass
class Asked:
    """A change as the model has it."""

    id: int
    flag: Flag
    value: bool | None
    requester: str
    base_version: int
    state: str = "requested"
    revision: int = 1
    is_expired: bool = False


@dataclass
class Place:
    """What a flag is set to, and how often that was changed."""

    value: bool | None = None
    version: int = 0


class Changes(RuleBasedStateMachine):
    """People who ask, edit, approve, apply, reject and withdraw; requests that expire. For one restaurant."""

    team: Team

    def __init__(self) -> None:
        super().__init__()
        self.restaurant_id = uuid4()
        self.known: list[Asked] = []
        self.places = {flag: Place() for flag in FLAGS}
        self.position = verify_trail(self.team.owner).entries
        self.steps = 0

    def attempt(
        self, actor: Actor, refusals: set[type[FlagError]], action: str, *arguments: Any, **options: Any
    ) -> Any:
        """Do it; it has to be refused for one of these reasons, or else to be done."""
        does: FlagChanges = self.team.as_(actor.login, actor.acting_for)
        try:
            done = getattr(does, action)(*arguments, **options)
        except FlagError as error:
            if type(error) not in refusals:
                raise AssertionError(f"{action} was refused: {error}") from error
            return None
        assert not refusals, f"{action} should have been refused as {refusals}"
        self.steps += 1
        return done

    def wish(self, value: bool | None) -> Wish:
        return Wish(setting=None if value is None else Setting(value), reason="any")

    def closed(self, change: Asked, revision: int | None = None) -> set[type[FlagError]]:
        """Why nobody may act on a change any more, or has looked at another revision of it."""
        is_open = change.state in ("requested", "approved") and not change.is_expired
        return set() if is_open and revision in (None, change.revision) else {FlagStateError}

    def unless(self, is_fine: bool, error: type[FlagError]) -> set[type[FlagError]]:
        return set() if is_fine else {error}

    def request(self, actor: Actor, flag: Flag, value: bool | None, *, again: bool) -> None:
        """Anybody may ask for what is not so."""
        place = self.places[flag]
        if value == place.value and not again:
            value = not value
        refusals = self.unless(value != place.value, FlagStateError)
        done = self.attempt(actor, refusals, "request", flag, self.wish(value), restaurant_id=self.restaurant_id)
        if done is not None:
            self.known.append(Asked(done.id, flag, value, actor.person, place.version))

    # One rule: of several, Hypothesis leaves some out of each program, and these only make sense together.
    @rule(
        action=st.sampled_from(
            ["request", "request", *3 * ["approve"], "apply", "apply", "edit", "reject", "withdraw", "expire"]
        ),
        actor=actors, flag=st.sampled_from(FLAGS), value=wishes, pick=st.integers(0, 3),
        anybody=seldom, behind=seldom, other=seldom, over=seldom,
    )  # fmt: skip
    def step(
        self, action: str, actor: Actor, flag: Flag, value: bool | None, pick: int, anybody: bool, behind: bool,
        other: bool, over: bool,
    ) -> None:  # fmt: skip
        """Somebody does something about a change: mostly somebody who may, about one that is open."""
        candidates = [one for one in self.known if not self.closed(one)]
        if over or not candidates:
            candidates = self.known
        if action == "request" or not candidates:
            self.request(actor, flag, value, again=other)
            return
        change = candidates[pick % len(candidates)]
        is_own = action in ("edit", "withdraw")
        if not anybody and (actor.person == change.requester) is not is_own:
            actor = next(one for one in ACTORS if (one.person == change.requester) is is_own)
        revision = change.revision - behind
        match action:
            case "approve":
                self.approve(actor, change, revision, apply=not other)
            case "edit":
                self.edit(actor, change, revision, value)
            case "expire":
                self.expire(change, is_tended=not other)
            case _:
                getattr(self, action)(actor, change)

    def edit(self, actor: Actor, change: Asked, revision: int, value: bool | None) -> None:
        """Who asked may ask for something else; an approval is void."""
        place = self.places[change.flag]
        refusals = self.closed(change, revision) | self.unless(actor.person == change.requester, FlagAccessError)
        refusals |= self.unless(value != place.value, FlagStateError)
        if self.attempt(actor, refusals, "edit", change.id, revision, self.wish(value)) is not None:
            change.value, change.base_version, change.state = value, place.version, "requested"
            change.revision += 1

    def approve(self, actor: Actor, change: Asked, revision: int, *, apply: bool) -> None:
        """Somebody else may, once, what they looked at, of the flag as it was."""
        refusals = self.closed(change, revision) | self.unless(actor.person != change.requester, FlagAccessError)
        refusals |= self.unless(change.state == "requested", FlagStateError)
        refusals |= self.unless(change.base_version == self.places[change.flag].version, FlagStateError)
        if self.attempt(actor, refusals, "approve", change.id, revision, apply=apply) is not None:
            change.state = "approved"
            if apply:
                self.steps += 1
                self.put(change)

    def apply(self, actor: Actor, change: Asked) -> None:
        """Anybody may, what was approved, of the flag as it was."""
        refusals = self.closed(change) | self.unless(change.state == "approved", FlagStateError)
        refusals |= self.unless(change.base_version == self.places[change.flag].version, FlagStateError)
        if self.attempt(actor, refusals, "apply", change.id, change.revision) is not None:
            self.put(change)

    def put(self, change: Asked) -> None:
        change.state = "applied"
        place = self.places[change.flag]
        place.value, place.version = change.value, place.version + 1

    def reject(self, actor: Actor, change: Asked) -> None:
        """Anybody else may."""
        refusals = self.closed(change) | self.unless(actor.person != change.requester, FlagAccessError)
        if self.attempt(actor, refusals, "reject", change.id, "no") is not None:
            change.state = "rejected"

    def withdraw(self, actor: Actor, change: Asked) -> None:
        """Who asked may."""
        refusals = self.closed(change) | self.unless(actor.person == change.requester, FlagAccessError)
        if self.attempt(actor, refusals, "withdraw", change.id, "no") is not None:
            change.state = "withdrawn"

    def expire(self, change: Asked, *, is_tended: bool) -> None:
        """Its time is over; whether or not somebody tends to that, nobody may act on it."""
        if self.closed(change):
            return
        self.team.owner.execute(
            "update holds.flag_changes set expires_at = clock_timestamp() where id = %s", (change.id,)
        )
        change.is_expired = True
        if is_tended:
            tend_flags(self.team.owner)
            for one in self.known:
                if one.is_expired and one.state in ("requested", "approved"):
                    one.state = "expired"
                    self.steps += 1

    @invariant()
    def what_is_in_force_was_approved(self) -> None:
        """Nothing else, for this restaurant, at any moment."""
        overrides = read_snapshot(self.team.owner).overrides
        found = {one.flag: one.setting for one in overrides if one.restaurant_id == self.restaurant_id}
        said = {flag: Setting(place.value) for flag, place in self.places.items() if place.value is not None}
        assert found == said

    def teardown(self) -> None:
        """The chain is whole and has an entry for each step; each version is one change, by two people."""
        assert verify_trail(self.team.owner).problems == ()
        ids = {one.id for one in self.known}
        assert sum(entry.change_id in ids for entry in read_trail(self.team.owner, after=self.position)) == self.steps
        stored = {one.id: one for one in list_changes(self.team.owner, only_open=False, limit=10_000)}
        assert {one.id: (stored[one.id].state, stored[one.id].revision) for one in self.known} == {
            one.id: (one.state, one.revision) for one in self.known
        }
        for flag, place in self.places.items():
            made = [stored[one.id] for one in self.known if one.flag == flag and one.state == "applied"]
            assert sorted(one.applied_version or 0 for one in made) == list(range(1, place.version + 1))
            assert all(one.approved_by not in (None, one.requested_by) for one in made)


def test_changes_are_as_a_simple_model_has_them(team: Team) -> None:
    """Some programs of up to thirty steps; nightly two thousand and more."""
    run_state_machine_as_test(
        type("ChangesOfATeam", (Changes,), {"team": team}),
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_machine_finds_a_broken_rule(team: Team) -> None:
    """The control: where what is out of date can be approved, the model is contradicted."""
    rule = "holds.require_base_version(holds.flag_changes)"
    row = team.owner.execute("select pg_get_functiondef(%s::regprocedure)", (rule,)).fetchone()
    assert row is not None
    team.owner.execute(
        "create or replace function holds.require_base_version(p_change holds.flag_changes) returns void"
        " language sql as ''"
    )
    try:
        with pytest.raises(AssertionError):
            run_state_machine_as_test(
                type("ChangesOfATeam", (Changes,), {"team": team}),
                settings=settings(
                    max_examples=60, stateful_step_count=30, deadline=None, database=None, print_blob=False,
                    suppress_health_check=list(HealthCheck), phases=[Phase.generate],
                ),
            )  # fmt: skip
    finally:
        team.owner.execute(row[0])
