"""The whole way up, in simulated time on real holds: held back by a regression, rolled back by itself, and on again."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from dagster import DagsterInstance, SensorResult, build_sensor_context

from holds_core import HoldConflictError
from holds_core.database.settings import Environment
from holds_core.enforcement import detect_double_bookings
from holds_core.errors import FlagStageError
from holds_core.flags import Setting
from holds_core.flags.changes import Wish
from holds_core.flags.evaluation import FlagState
from holds_core.flags.rollouts import GuardrailSpan, GuardrailVerdict
from holds_core.flags.snapshot import read_snapshot
from holds_core.flags.trail import read_trail, verify_trail
from orchestration.defs.flags.rollouts import guard_rollouts
from orchestration.resources import DatabaseResource
from tests.orchestration.rollout.conftest import STRICT, Ramp, end_all_holds


@pytest.fixture
def tick(database_url: str) -> Callable[[str | None], SensorResult]:
    """The sensor's, with the cursor of the tick before."""

    def once(cursor: str | None) -> SensorResult:
        resources = {"database": DatabaseResource(url=database_url)}
        with (
            DagsterInstance.ephemeral() as instance,
            build_sensor_context(instance=instance, resources=resources, cursor=cursor) as context,
        ):
            result = guard_rollouts(context)
        assert isinstance(result, SensorResult)
        return result

    return once


def test_ramp_goes_up_by_stages(ramp: Ramp, tick: Callable[[str | None], SensorResult]) -> None:
    """0, 10, 50, 100 %, two days each; who takes part is strict, stage by stage, and nobody else is looked at."""
    team = ramp.team
    named = (ramp.first, ramp.second, ramp.third)
    assert team.as_("ann").change_cohort(STRICT, "they agreed", add=named) == 3
    ramp.approve(ramp.ask(0))
    assert ramp.strict() == [False] * 4
    ramp.soak()

    assert (ramp.status().verdict, ramp.status().missing, ramp.status().next_stage) == ("ready", (), 10)
    done = ramp.approve(ramp.ask(10))
    assert done.evidence["rollout"]["stage"] == 0
    assert ramp.strict() == [True, False, False, False]
    snapshot = read_snapshot(team.owner)
    state = FlagState(snapshot.definitions, snapshot.environment, None, snapshot.overrides, cohorts=snapshot.cohorts)
    assert [state.evaluate(STRICT, one).value for one in ramp.restaurants] == ramp.strict()
    with pytest.raises(HoldConflictError):
        ramp.overlap(ramp.first)
    # Of those who take no part yet, what is double-booked is no news: it does not hold up the others.
    assert ramp.overlap(ramp.outside)
    assert detect_double_bookings(team.owner) == 1
    assert (ramp.status().verdict, ramp.status().stage, ramp.status().cohort_count) == ("soaking", 10, 3)
    with pytest.raises(FlagStageError, match="the soak of 10 % lasts until"):
        ramp.ask(50)

    ramp.soak()
    judged = {(one.measure, one.span): one for one in ramp.status().guardrails}
    assert judged["request_count", GuardrailSpan.STAGE].value == 204
    assert judged["double_bookings", GuardrailSpan.STAGE].value == 0
    assert {one.verdict for one in judged.values()} == {GuardrailVerdict.HOLDS}
    ramp.approve(ramp.ask(50))
    assert ramp.strict() == [True, True, False, False]
    assert "at 50 %: soaking" in str(tick(None).skip_reason)

    ramp.soak()
    end_all_holds(team.owner)
    ramp.approve(ramp.ask(100))
    assert ramp.strict() == [True] * 4
    ramp.soak()
    assert (ramp.status().verdict, ramp.status().is_running) == ("finished", False)
    assert "No rollout is on its way." in str(tick(None).skip_reason)
    stages = [context["stage"] for _, _, context in ramp.events("capacity.rollout.advanced")]
    assert stages == ["10%", "50%", "on"]
    assert verify_trail(team.owner).problems == ()


def test_regressions_take_a_stage_back(ramp: Ramp, tick: Callable[[str | None], SensorResult]) -> None:
    """By itself, once, on the trail, and the soak begins anew: two parties at one table; then guests turned away."""
    team = ramp.team
    ramp.set_directly(50)
    ramp.soak(hours=20)
    ramp.double_book(ramp.second)
    assert ramp.status().verdict == "broken"
    rolled_back = tick(None)
    assert "was rolled back to 10%" in str(rolled_back.skip_reason)
    assert ramp.strict() == [True, False, False, True]
    assert "at 10 %: soaking" in str(tick(rolled_back.cursor).skip_reason)
    (entry,) = [one for one in read_trail(team.owner) if one.action == "rolled back"]
    assert (entry.person, str(entry.from_setting), str(entry.to_setting)) == ("rollout guard", "50%", "10%")
    assert "double_bookings is 1 (at most 0)" in (entry.reason or "")
    (blocked,) = ramp.events("capacity.rollout.blocked")
    assert (blocked[0], blocked[1], blocked[2]["stage"], blocked[2]["to"]) == ("warning", "staging", "50%", "10%")

    end_all_holds(team.owner)
    ramp.soak()
    ramp.approve(ramp.ask(50))
    ramp.soak(times=3)
    ramp.turn_away(ramp.first, 19)
    assert ramp.status().verdict == "ready"  # too few to be a share of anything
    # An hour that is bad counts, however good the two days before it were.
    ramp.turn_away(ramp.first, 3)
    assert [(one.measure, one.span) for one in ramp.status().guardrails if one.verdict != "holds"] == [
        ("success_ratio", "hour")
    ]
    with pytest.raises(FlagStageError, match="success_ratio of the last hour is 0"):
        ramp.ask(100)
    assert "was rolled back to 10%" in str(tick(None).skip_reason)
    with pytest.raises(FlagStageError, match="the soak of 10 % lasts until"):
        ramp.ask(50)
    assert ramp.events("capacity.rollout.blocked")[-1][2]["to"] == "10%"
    assert verify_trail(team.owner).problems == ()


def test_what_holds_a_ramp_is_said_once(ramp: Ramp, tick: Callable[[str | None], SensorResult]) -> None:
    """An alert fires and the pipeline stands still: no rollback, no advance, one event for as long as it is so."""
    ramp.set_directly(10)
    ramp.soak(parties=21, times=10)
    assert ramp.status().verdict == "ready"
    ramp.team.owner.execute(
        "update holds.observability_events set occurred_at = now() - interval '2 hours'"
        " where event_type like 'pipeline.%%'"
    )

    held = tick(None)
    again = tick(held.cursor)
    assert "held" in str(held.skip_reason)
    assert held.cursor == again.cursor
    assert ramp.status().stage == 10
    (event,) = ramp.events("capacity.rollout.blocked")
    assert event[0] == "warning"
    assert event[2]["reason"] == "held back by firing_alerts, pipeline_freshness"
    with pytest.raises(
        FlagStageError, match=r"firing_alerts is 1 \(at most 0\): telemetry_stale; pipeline_freshness is"
    ):
        ramp.ask(50)

    ramp.freshen()
    assert "at 10 %: ready" in str(tick(again.cursor).skip_reason)
    ramp.team.owner.execute("delete from holds.observability_events where event_type like 'pipeline.%%'")
    tick(tick(None).cursor)
    assert len(ramp.events("capacity.rollout.blocked")) == 2


def test_prod_goes_up_when_staging_is_through(ramp: Ramp) -> None:
    """Which prod's database cannot know: it takes what staging's has said, finished and fresh, and keeps it as that."""
    owner = ramp.team.owner
    ramp.soak(parties=21, times=10)
    finished = ramp.status()
    assert (finished.verdict, finished.stage) == ("finished", 100)

    owner.execute("update holds.settings set environment = 'prod'")
    ramp.set_directly(0)
    ramp.soak(parties=21, times=10)

    def ask(evidence: Mapping[str, object]) -> object:
        wish = Wish(setting=Setting(True, 10), reason="staging is through", evidence=evidence)
        return ramp.team.as_("ann").request(STRICT, wish)

    said = dict(finished.source)
    for evidence, words in (
        ({}, "what staging says is not known here"),
        ({"from": said | {"environment": "dev"}}, "the evidence is not of holds.strictConflicts in staging"),
        ({"from": said | {"verdict": "soaking", "stage": 50}}, "staging is soaking at 50 %"),
        ({"from": said | {"judged_at": "2020-01-01T00:00:00Z"}}, "older than 7 days"),
    ):
        with pytest.raises(FlagStageError, match=words):
            ask(evidence)
    assert ramp.status(Environment.PROD).missing == (
        "what staging says is not known here: "
        "holdwatch rollout advance --flag holds.strictConflicts --evidence-from staging=URL",
    )
    ask({"from": said})
