"""Definitions say what they must; one that does not is refused with its file, its line and what to do."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from holds_core.database.settings import Environment
from holds_core.errors import FlagDefinitionError
from holds_core.flags.contradictions import find_contradictions
from holds_core.flags.evaluation import FlagState
from holds_core.flags.loading import load_definitions, packaged_definitions
from holds_core.flags.model import DecidedIn, Flag, FlagDefinition
from holds_core.flags.values import Setting

GOOD = """\
description: Something is switched.
owner: team:somebody
kind: release
type: boolean
per: restaurant
decided_in: client
default:
  dev: on
  staging: 30%
  prod: off
rationale: So that it can be.
expires: 2031-01-31
"""
OTHER = GOOD.replace("kind: release", "kind: operational")


def write(folder: Path, **texts: str) -> Path:
    """Write definitions; a name's underscores are dots."""
    for name, text in texts.items():
        (folder / f"{name.replace('_', '.')}.yml").write_text(text, "utf-8")
    return folder


def test_flags_of_the_code_are_those_of_the_files() -> None:
    """Nothing is asked for that is not defined, and nothing defined that nobody asks for."""
    assert set(packaged_definitions()) == set(Flag)


def test_no_flag_has_expired() -> None:
    """On its day a flag goes, or is looked at again and renewed; until then this fails."""
    today = datetime.now(UTC).date()
    assert [name for name, flag in packaged_definitions().items() if flag.is_expired(today)] == []


@pytest.mark.parametrize("environment", Environment)
def test_defaults_make_no_unsafe_combination(environment: Environment) -> None:
    """Where nothing is set, everything fits."""
    assert find_contradictions(FlagState(packaged_definitions(), environment)) == ()


def test_what_a_new_database_begins_with_is_what_its_functions_begin_with() -> None:
    """What is not known to be off is on: a database without any setting is strict, and so say the defaults."""
    definitions = packaged_definitions()
    decided = {name for name, flag in definitions.items() if flag.decided_in is DecidedIn.DATABASE}
    assert decided == {Flag.STRICT_CONFLICTS, Flag.RATE_LIMIT}
    assert set(definitions[Flag.STRICT_CONFLICTS].default.values()) == {Setting(True)}


def test_definition_survives_the_database() -> None:
    """What is kept as JSON is read back as it was, rules, stages and guardrails included."""
    for name, definition in packaged_definitions().items():
        assert FlagDefinition.from_json(name, json.loads(json.dumps(definition.as_json()))) == definition


def test_good_definition_is_read(tmp_path: Path) -> None:
    """Words and percentages mean what they say."""
    (definition,) = load_definitions(write(tmp_path, area_flag=GOOD)).values()

    assert definition.name == "area.flag"
    assert definition.variable == "HOLDWATCH_FLAG_AREA_FLAG"
    assert definition.default == {
        Environment.DEV: Setting(True),
        Environment.STAGING: Setting(True, 30),
        Environment.PROD: Setting(False),
    }


RULE = """
unsafe:
  - name: {name}
    when:
      area.flag: {{is: true}}
      {other}
    because: It is.
"""


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (GOOD.replace("  prod: off\n", ""), 8, "lacks prod; add a line"),
        (GOOD.replace("  prod: off\n", "  prod: maybe\n"), 10, "prod: 'maybe' is not on, off or a percentage"),
        (GOOD.replace("prod: off", "production: off"), 10, "no 'production'; it has dev, staging, prod"),
        (GOOD.replace("kind: release", "kind: odd"), 3, "kind must be one of release, operational"),
        (GOOD.replace("owner: team:somebody", "owner:"), 2, "owner must be a text"),
        (GOOD.replace("rationale: So that it can be.\n", ""), 1, "lacks rationale"),
        (GOOD.replace("2031-01-31", "soon"), 12, "must be a day such as 2030-01-31, not 'soon'"),
        (GOOD.replace("2031-01-31", "2031-02-31"), 12, "cannot be read"),
        (GOOD + "minimum: 1\n", 13, "a boolean flag has no minimum"),
        (GOOD + "owner: team:other\n", 13, "owner is said twice"),
        (GOOD + "colour: red\n", 13, "no 'colour'"),
        (GOOD + "rollout: [10, 50]\n", 13, "must be a mapping"),
        (
            GOOD + "rollout:\n  stages: {staging: [50, 10]}\n  soak_hours: 48\n  guardrails: []\n",
            14,
            "the stages of staging must rise, and end at 100",
        ),
        (
            GOOD + "rollout:\n  stages: {staging: [100]}\n  soak_hours: 337\n  guardrails: []\n",
            15,
            "1 to 336",
        ),
        (
            GOOD
            + "rollout:\n  stages: {staging: [100]}\n  soak_hours: 48\n  guardrails: [{measure: luck, at_least: 1}]\n",
            16,
            "measure must be one of double_bookings, success_ratio",
        ),
        (GOOD + RULE.format(name="Odd Name", other="area.other: {is: false}"), 15, "lower-case words with dashes"),
        (GOOD + RULE.format(name="unknown", other="area.nothing: {is: false}"), 18, "names area.nothing, which is no"),
        (GOOD + RULE.format(name="compared", other="area.other: {above: 3}"), 18, "is boolean; ask for is: true"),
        (GOOD.replace("type: boolean", "type: integer"), 8, "is not a whole number"),
        (GOOD.replace("per: restaurant", "per: environment"), 9, "takes no percentage"),
        ("description: [", 2, "no YAML"),
        ("", 1, "the file is empty"),
    ],
)
def test_definition_that_makes_no_sense_names_its_line_and_remedy(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    """One line: file, line, what is wrong."""
    with pytest.raises(FlagDefinitionError) as refused:
        load_definitions(write(tmp_path, area_flag=text, area_other=OTHER))

    said = str(refused.value)
    assert said.startswith(f"area.flag.yml:{line}: "), said
    assert words in said
    assert "\n" not in said


def test_rules_name_is_its_own(tmp_path: Path) -> None:
    """Refusals and events name a rule by it."""
    first = GOOD + RULE.format(name="same", other="area.other: {is: false}")
    second = OTHER + RULE.format(name="same", other="area.other: {is: false}")
    with pytest.raises(FlagDefinitionError, match=r"the rule same is in the file of area\.flag already"):
        load_definitions(write(tmp_path, area_flag=first, area_other=second))


def test_file_that_is_no_flags_name_is_refused(tmp_path: Path) -> None:
    """The name of the file is the name of the flag."""
    with pytest.raises(FlagDefinitionError, match=r"odd-name\.yml:1: .*rename the file"):
        load_definitions(write(tmp_path, **{"odd-name": GOOD}))
