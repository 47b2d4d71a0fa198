"""What a flag is, and why: layer over layer, the same in Python and in SQL, and never an exception."""

from __future__ import annotations

import json
import re
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holds_core.database.settings import Environment
from holds_core.flags import Evaluation, Flag, FlagState, Override, Reason, Setting
from holds_core.flags.contradictions import VARIABLE_WITHOUT_EFFECT, find_contradictions
from holds_core.flags.loading import packaged_definitions
from holds_core.flags.snapshot import read_snapshot
from holds_core.flags.values import FlagType, parse_setting
from holds_core.flags.variables import Variables, read_variables
from holds_core.rollout import rollout_bucket
from tests.holds_core.flags.states import RESTAURANTS, cohorts, overrides, settings_of, variables

HERE, THERE = RESTAURANTS[:2]
LOOKAHEAD = Flag.LOOKAHEAD


def state_of(*given_overrides: Override, **environ: str) -> FlagState:
    """The flags of dev with these overrides and variables."""
    definitions = packaged_definitions()
    return FlagState(definitions, Environment.DEV, read_variables(definitions, environ), given_overrides)


def test_layers_in_their_order() -> None:
    """Each is above the one before: default, variable, override, restaurant's override, kill switch."""
    strict, variable = Flag.STRICT_CONFLICTS, "HOLDWATCH_FLAG_SELECTOR_LOOKAHEAD"
    on = Override(LOOKAHEAD, None, Setting(True))
    own = Override(LOOKAHEAD, HERE, Setting(False))

    assert state_of().evaluate(LOOKAHEAD, HERE) == (LOOKAHEAD, False, Reason.DEFAULT, None)
    assert state_of(**{variable: "on"}).evaluate(LOOKAHEAD, HERE)[1:3] == (True, Reason.VARIABLE)
    assert state_of(on, **{variable: "off"}).evaluate(LOOKAHEAD, HERE)[1:3] == (True, Reason.OVERRIDE)
    assert state_of(on, own).evaluate(LOOKAHEAD, HERE)[1:3] == (False, Reason.RESTAURANT_OVERRIDE)
    assert state_of(on, own).evaluate(LOOKAHEAD, THERE)[1:3] == (True, Reason.OVERRIDE)
    broken = state_of(Override(LOOKAHEAD, None, Setting(True), is_break_glass=True))
    assert broken.evaluate(LOOKAHEAD)[1:3] == (True, Reason.BREAK_GLASS)
    killed = state_of(Override(strict, None, Setting(True), is_killed=True), Override(strict, HERE, Setting(True)))
    for restaurant_id in (None, HERE, THERE):
        assert killed.evaluate(strict, restaurant_id)[1:3] == (False, Reason.KILL_SWITCH)


def test_share_without_a_restaurant_is_off() -> None:
    """Nobody can say whether nobody is among the share."""
    state = state_of(Override(LOOKAHEAD, None, Setting(True, 99)))

    assert state.evaluate(LOOKAHEAD) == Evaluation(LOOKAHEAD, False, Reason.OVERRIDE, 99)
    share = [one for one in (uuid4() for _ in range(2000)) if state.evaluate(LOOKAHEAD, one).value]
    assert 1900 < len(share) < 2000


def test_what_nobody_knows_is_the_default_of_whoever_asks() -> None:
    """Neither a flag of another release nor one of another type is an exception."""
    state = state_of()

    assert state.evaluate("no.such", HERE, True) == Evaluation("no.such", True, Reason.UNKNOWN_FLAG)
    assert state.evaluate(LOOKAHEAD, HERE, 3) == Evaluation(LOOKAHEAD, 3, Reason.TYPE_MISMATCH)
    assert state.evaluate(Flag.ATTEMPT_LIMIT, HERE, 3).value == 0


def test_without_overrides_the_reason_says_so() -> None:
    """The value is that of the layers that are known; what is above them, nobody could say."""
    known = read_variables(packaged_definitions(), {"HOLDWATCH_FLAG_SELECTOR_LOOKAHEAD": "on"})
    state = FlagState(packaged_definitions(), Environment.PROD, known, are_overrides_available=False)

    assert {state.evaluate(flag).reason for flag in Flag} == {Reason.OVERRIDES_UNAVAILABLE}
    assert state.evaluate(LOOKAHEAD).value is True


def test_variables_that_cannot_count_are_said() -> None:
    """A typing error sets nothing; a flag that the database decides is not the process's to set."""
    found = read_variables(
        packaged_definitions(),
        {
            "HOLDWATCH_FLAG_SELECTOR_COMBINATIONS": "maybe",
            "HOLDWATCH_FLAG_SELECTOR_ATTEMPT_LIMIT": "5000",
            "HOLDWATCH_FLAG_TELEMETRY_SPOOL": "30%",
            "HOLDWATCH_FLAG_SELECTOR_LOOKAHED": "on",
            "HOLDWATCH_FLAG_HOLDS_STRICT_CONFLICTS": "off",
            "HOLDWATCH_ENVIRONMENT": "dev",
        },
    )

    assert found.settings == {}
    assert found.without_effect == {Flag.STRICT_CONFLICTS: Setting(False)}
    assert len(found.problems) == 4
    for name in ("COMBINATIONS is not used: 'maybe'", "5000 is above", "no percentage", "LOOKAHED names no flag"):
        assert any(name in problem for problem in found.problems), name


def test_variable_that_says_otherwise_than_the_database_is_unsafe() -> None:
    """It has no effect, and whoever set it believes that it has; one that says the same is nobody's trouble."""
    variable = "HOLDWATCH_FLAG_HOLDS_STRICT_CONFLICTS"

    (found,) = find_contradictions(state_of(**{variable: "off"}))
    assert (found.rule, found.flags) == (VARIABLE_WITHOUT_EFFECT, (Flag.STRICT_CONFLICTS,))
    assert "says off, and the database alone decides: it is on there" in found.because
    assert find_contradictions(state_of(**{variable: "on"})) == ()


def rules_met(state: FlagState) -> list[tuple[str, UUID | None]]:
    """The unsafe combinations, by rule and restaurant."""
    return [(one.rule, one.restaurant_id) for one in find_contradictions(state)]


def test_share_is_unsafe_with_what_is_unsafe_for_anybody_among_it() -> None:
    """On for one in a hundred is on for somebody; off for one in a hundred is off for somebody."""
    rule = "selector-lookahead-needs-holds-strict-conflicts"
    strict = Override(Flag.STRICT_CONFLICTS, None, Setting(True, 99))

    assert rules_met(state_of(strict)) == []
    assert rules_met(state_of(strict, Override(LOOKAHEAD, None, Setting(True, 1)))) == [(rule, None)]
    assert rules_met(state_of(strict, HOLDWATCH_FLAG_SELECTOR_LOOKAHEAD="1%")) == [(rule, None)]
    assert rules_met(state_of(Override(LOOKAHEAD, None, Setting(True)))) == []


def test_restaurant_apart_is_judged_exactly() -> None:
    """It looks ahead by itself: unsafe where its bucket is not strict, and safe where it is."""
    flag = Flag.STRICT_CONFLICTS
    inside = next(one for one in iter(uuid4, None) if rollout_bucket(flag, one) < 50)
    outside = next(one for one in iter(uuid4, None) if rollout_bucket(flag, one) >= 50)
    strict = Override(flag, None, Setting(True, 50))

    found = rules_met(state_of(strict, *(Override(LOOKAHEAD, one, Setting(True)) for one in (inside, outside))))
    assert found == [("selector-lookahead-needs-holds-strict-conflicts", outside)]


@given(st.uuids(), settings_of(LOOKAHEAD), st.integers(0, 100))
def test_raising_a_percentage_removes_no_restaurant(restaurant_id: UUID, setting: Setting, higher: int) -> None:
    """Whoever has it at a share has it at every higher one."""
    lower = setting.level

    def has_it(percentage: float) -> bool:
        raised = parse_setting(f"{round(percentage)}%", FlagType.BOOLEAN)
        return state_of(Override(LOOKAHEAD, None, raised)).evaluate(LOOKAHEAD, restaurant_id).value is True

    assert has_it(min(lower, higher)) <= has_it(max(lower, higher))


def test_hundred_thousand_buckets_are_the_same_in_python_and_in_sql(connection: psycopg.Connection) -> None:
    """Asked as one set: flags times restaurants, ids of all sorts."""
    rows = connection.execute(
        "select flag, restaurant_id, holds.rollout_bucket(flag, restaurant_id)"
        " from unnest(%s::text[]) as flag cross join lateral ("
        "  select md5(flag || number)::uuid as restaurant_id from generate_series(1, %s) as number"
        " ) as restaurants",
        ([*Flag, "größer.alsAlle"], 12_500),
    ).fetchall()

    assert len(rows) == 100_000
    assert [row for row in rows if rollout_bucket(row[0], row[1]) != row[2]] == []
    share = sum(row[2] < 10 for row in rows) / len(rows)
    assert 0.095 < share < 0.105


def store(connection: psycopg.Connection, found: list[Override]) -> None:
    """Put overrides into the tables, as if they had been approved or the glass broken."""
    connection.execute("delete from holds.flag_overrides; delete from holds.flag_changes")
    connection.execute(
        "insert into holds.flag_changes (environment, flag, value, reason, base_version, is_break_glass, state,"
        " requested_by, requested_login, requested_at, expires_at)"
        " values ('dev', 'x', 'true', 'test', 0, true, 'applied', 'a', 'a', now(), now())"
    )
    for one in found:
        setting = one.setting or Setting(True)
        value = None if one.setting is None else json.dumps(setting.value)
        connection.execute(
            "insert into holds.flag_overrides (environment, flag, restaurant_id, value, percentage, break_glass_value,"
            " break_glass_percentage, break_glass_change_id, break_glass_ends_at, is_killed, changed_by)"
            " select 'dev', %(flag)s, %(restaurant_id)s,"
            " case when not %(broken)s then %(value)s::jsonb end,"
            " case when not %(broken)s then %(percentage)s::int end,"
            " case when %(broken)s then %(value)s::jsonb end, case when %(broken)s then %(percentage)s::int end,"
            " case when %(broken)s then max(id) end, case when %(broken)s then now() + interval '1 hour' end,"
            " %(killed)s, 'test' from holds.flag_changes",
            {
                "flag": one.flag,
                "restaurant_id": one.restaurant_id,
                "value": value,
                "percentage": setting.percentage,
                "broken": one.is_break_glass and value is not None,
                "killed": one.is_killed,
            },
        )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(overrides(), variables(), cohorts())
def test_python_and_sql_agree_in_any_state(
    connection: psycopg.Connection, found: list[Override], said: dict[str, Setting], named: dict[str, set[UUID]]
) -> None:
    """On every flag for every restaurant, and on every unsafe combination; variables and cohorts included."""
    with connection.transaction(force_rollback=True):
        store(connection, found)
        for flag, restaurant_ids in named.items():
            connection.execute(
                "insert into holds.flag_cohorts select %s, unnest(%s::uuid[]), 'test', now()", (flag, [*restaurant_ids])
            )
        snapshot = read_snapshot(connection)
        state = FlagState(
            snapshot.definitions, snapshot.environment, Variables(said), snapshot.overrides, cohorts=snapshot.cohorts
        )
        texts = json.dumps({flag: setting.as_json() for flag, setting in said.items()})

        stored: dict[UUID | None, dict[str, float]] = dict(
            connection.execute(
                "select restaurant_id, levels from holds.flag_levels('dev', %s, %s, null)", (RESTAURANTS, texts)
            ).fetchall()
        )
        assert stored.keys() == {None, *RESTAURANTS}
        for restaurant_id, levels in stored.items():
            assert {flag: float(level) for flag, level in levels.items()} == {
                flag: pytest.approx(state.level(flag, restaurant_id)) for flag in Flag
            }
        rows = connection.execute(
            "select rule, restaurant_id, flags, because from holds.flag_contradictions('dev', %s)", (texts,)
        ).fetchall()
        assert {tuple(map(str, row)) for row in rows} == {
            (one.rule, str(one.restaurant_id), str(list(one.flags)), one.because) for one in find_contradictions(state)
        }


@pytest.mark.parametrize(
    "text", ["on", "off", "30%", "12", "-3", "120/60", "1/0.5", "none", "maybe", "", "101%", "1/0"]
)
@pytest.mark.parametrize("flag_type", FlagType)
def test_setting_is_read_as_it_is_written(text: str, flag_type: FlagType) -> None:
    """Either it is none of the type, or its text is read back as itself."""
    try:
        setting = parse_setting(text, flag_type)
    except ValueError:
        with pytest.raises(ValueError, match=re.escape(repr(text))):
            parse_setting(text, flag_type)
        return
    assert parse_setting(str(setting), flag_type) == setting
    assert Setting.from_json(json.loads(json.dumps(setting.as_json()))) == setting
