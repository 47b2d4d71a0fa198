"""The definitions of flags: one YAML file each, whose name is the flag's.

A definition that makes no sense is refused with its file, its line and what to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, NamedTuple

from holds_core.database.settings import Environment
from holds_core.errors import FlagDefinitionError
from holds_core.flags.model import (
    Condition,
    DecidedIn,
    FlagDefinition,
    Guardrail,
    Kind,
    Measure,
    Rollout,
    Rule,
    Scope,
)
from holds_core.flags.values import FlagType, Setting, parse_setting

if TYPE_CHECKING:
    from holds_core.flags.documents import Part

SUFFIX = ".yml"
LONGEST_SOAK_HOURS = 24 * 14
"""So far back ``analytics.rollout_measures`` looks: a longer soak would be judged by its end alone."""

_NAME = re.compile(r"[a-z][A-Za-z0-9]*(\.[a-z][A-Za-z0-9]*)+")
_RULE_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_REQUIRED = (
    "description", "owner", "kind", "type", "per", "decided_in", "default", "rationale", "expires",
)  # fmt: skip
_OPTIONAL = ("minimum", "maximum", "unit", "rollout", "prerequisites", "unsafe")


@cache
def packaged_definitions() -> Mapping[str, FlagDefinition]:
    """Return the definitions of this release, by name."""
    return load_definitions(files("holds_core") / "flags" / "definitions")


def load_definitions(directory: Traversable) -> Mapping[str, FlagDefinition]:
    """Return the definitions of a folder, by name, in the order of their names.

    Raises:
        FlagDefinitionError: One of them makes no sense by itself, or beside the others; the message names the file,
            the line and what to do.
    """
    from holds_core.flags.documents import read_document  # noqa: PLC0415  PyYAML, for who loads definitions only

    definitions: dict[str, FlagDefinition] = {}
    places: list[_Place] = []
    for file in sorted(directory.iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(SUFFIX):
            continue
        shown = "/".join(("definitions", file.name)) if directory.name == "definitions" else file.name
        name = file.name.removesuffix(SUFFIX)
        if not _NAME.fullmatch(name):
            raise FlagDefinitionError(f"{shown}:1: a flag's name is like area.whatItSwitches; rename the file")
        definitions[name] = _definition(name, read_document(file.read_text("utf-8"), shown, "a flag"), places)
    _check_rules(places, definitions)
    return definitions


class _Place(NamedTuple):
    """Where a rule stands."""

    flag: str
    rule: Rule
    name: Part
    conditions: Mapping[str, Part]


def _definition(name: str, document: Part, places: list[_Place]) -> FlagDefinition:
    parts = document.fields(_REQUIRED, _OPTIONAL)
    flag_type = parts["type"].choice(FlagType)
    for bound in ("minimum", "maximum", "unit"):
        if bound in parts and flag_type is not FlagType.INTEGER:
            parts[bound].fail(f"a {flag_type} flag has no {bound}; delete the line")
    found = [*_prerequisites(name, parts), *_unsafe(name, parts)]
    places += found
    definition = FlagDefinition(
        name=name,
        description=parts["description"].text(),
        owner=parts["owner"].text(),
        kind=parts["kind"].choice(Kind),
        type=flag_type,
        per=parts["per"].choice(Scope),
        decided_in=parts["decided_in"].choice(DecidedIn),
        default=_defaults(parts["default"], flag_type),
        rationale=parts["rationale"].text(),
        expires=_date(parts["expires"]),
        minimum=_bound(parts, "minimum"),
        maximum=_bound(parts, "maximum"),
        unit=parts["unit"].text() if "unit" in parts else None,
        rollout=_rollout(parts["rollout"], flag_type) if "rollout" in parts else None,
        rules=tuple(place.rule for place in found),
    )
    for environment, setting in definition.default.items():
        if (problem := definition.problem_of(setting)) is not None:
            parts["default"].entries()[environment].fail(f"{name} cannot be {setting}: {problem}")
    return definition


def _defaults(part: Part, flag_type: FlagType) -> dict[Environment, Setting]:
    return {
        Environment(name): _setting(entry, flag_type) for name, entry in part.fields([*Environment]).items()
    }  # fmt: skip


def _setting(part: Part, flag_type: FlagType) -> Setting:
    try:
        return parse_setting(part.value(), flag_type)
    except ValueError as error:
        part.fail(f"{part.name}: {error}")


def _date(part: Part) -> date:
    value = part.value()
    if not isinstance(value, date) or isinstance(value, datetime):
        part.fail(f"{part.name} must be a day such as 2030-01-31, not {value!r}")
    return value


def _bound(parts: Mapping[str, Part], name: str) -> int | None:
    return parts[name].whole_number(-999_999_999, 999_999_999) if name in parts else None


def _rollout(part: Part, flag_type: FlagType) -> Rollout:
    if flag_type is not FlagType.BOOLEAN:
        part.fail(f"only a boolean flag is rolled out by percentages, and this one is {flag_type}")
    parts = part.fields(("stages", "soak_hours", "guardrails"))
    stages: dict[Environment, tuple[int, ...]] = {}
    for name, entry in parts["stages"].fields((), [*Environment]).items():
        percentages = tuple(item.whole_number(1, 100) for item in entry.items())
        if not percentages or list(percentages) != sorted(set(percentages)) or percentages[-1] != 100:
            entry.fail(f"the stages of {name} must rise, and end at 100")
        stages[Environment(name)] = percentages
    return Rollout(
        stages,
        parts["soak_hours"].whole_number(1, LONGEST_SOAK_HOURS),
        tuple(_guardrail(item) for item in parts["guardrails"].items()),
    )


def _guardrail(part: Part) -> Guardrail:
    parts = part.fields(("measure",), ("at_least", "at_most"))
    bounds = {name: parts[name].number() for name in ("at_least", "at_most") if name in parts}
    if not bounds:
        part.fail("a guardrail needs a bound; add at_least or at_most")
    return Guardrail(parts["measure"].choice(Measure), bounds.get("at_least"), bounds.get("at_most"))


def _prerequisites(name: str, parts: Mapping[str, Part]) -> Iterator[_Place]:
    """Return a rule for each flag that has to be on where this one is."""
    if "prerequisites" not in parts:
        return
    for item in parts["prerequisites"].items():
        fields = item.fields(("flag", "because"))
        needed = fields["flag"].text()
        rule = Rule(
            f"{_slug(name)}-needs-{_slug(needed)}",
            {name: Condition(equals=True), needed: Condition(equals=False)},
            fields["because"].text(),
        )
        yield _Place(name, rule, fields["flag"], {name: fields["flag"], needed: fields["flag"]})


def _unsafe(name: str, parts: Mapping[str, Part]) -> Iterator[_Place]:
    if "unsafe" not in parts:
        return
    for item in parts["unsafe"].items():
        fields = item.fields(("name", "when", "because"), ("environments",))
        if not _RULE_NAME.fullmatch(fields["name"].text()):
            fields["name"].fail("a rule's name is lower-case words with dashes between them")
        conditions = fields["when"].entries()
        if name not in conditions:
            fields["when"].fail(f"the rule says nothing of {name}; it belongs into the file of a flag that it names")
        environments = (
            tuple(entry.choice(Environment) for entry in fields["environments"].items())
            if "environments" in fields
            else tuple(Environment)
        )
        when = {flag: _condition(part) for flag, part in conditions.items()}
        rule = Rule(fields["name"].text(), when, fields["because"].text(), environments)
        yield _Place(name, rule, fields["name"], conditions)


def _condition(part: Part) -> Condition:
    parts = part.fields((), ("is", "above", "below"))
    if not parts:
        part.fail(f"nothing is asked of {part.name}; add is, above or below")
    value = parts["is"].value() if "is" in parts else None
    if value is not None and not isinstance(value, bool | int | float):
        parts["is"].fail("is must be true, false or a number")
    return Condition(
        value,
        parts["above"].number() if "above" in parts else None,
        parts["below"].number() if "below" in parts else None,
    )


def _check_rules(places: Iterable[_Place], definitions: Mapping[str, FlagDefinition]) -> None:
    """Look at what the rules of a flag say of the others, and that each rule's name is its own."""
    names: dict[str, str] = {}
    for place in places:
        rule = place.rule
        if rule.name in names:
            place.name.fail(f"the rule {rule.name} is in the file of {names[rule.name]} already; give it another name")
        names[rule.name] = place.flag
        for flag, condition in rule.when.items():
            part = place.conditions[flag]
            if flag not in definitions:
                part.fail(f"the rule {rule.name} names {flag}, which is no flag; there are {', '.join(definitions)}")
            is_boolean = definitions[flag].type is FlagType.BOOLEAN
            if is_boolean and condition not in (Condition(equals=True), Condition(equals=False)):
                part.fail(f"the rule {rule.name} compares {flag}, which is boolean; ask for is: true or is: false")
            if not is_boolean and isinstance(condition.equals, bool):
                part.fail(f"the rule {rule.name} asks whether {flag} is on, which is a number; compare it")


def _slug(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|\.", "-", name).lower()
