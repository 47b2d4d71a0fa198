"""What a flag is: its definition, and the rules over several flags that it brings with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any, Self

from holds_core.database.settings import Environment
from holds_core.flags.values import FlagType, Setting

_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Flag(StrEnum):
    """The flags that the code of this release asks for; each has a definition of that name."""

    STRICT_CONFLICTS = "holds.strictConflicts"
    RATE_LIMIT = "holds.rateLimit"
    COMBINATIONS = "selector.combinations"
    LOOKAHEAD = "selector.lookahead"
    ATTEMPT_LIMIT = "selector.attemptLimit"
    REPEAT_LOST_ANSWERS = "selector.repeatLostAnswers"
    SPOOL = "telemetry.spool"


class Kind(StrEnum):
    """Why a flag exists, which says what becomes of it."""

    RELEASE = "release"
    OPERATIONAL = "operational"


class Scope(StrEnum):
    """For whom a flag can differ within one environment."""

    RESTAURANT = "restaurant"
    ENVIRONMENT = "environment"


class DecidedIn(StrEnum):
    """Who looks at the flag: the functions in the database alone, or the program that embeds the core."""

    DATABASE = "database"
    CLIENT = "client"


@dataclass(frozen=True)
class Condition:
    """What a rule asks of one flag's level.

    Attributes:
        equals: True: on for anybody. False: off for anybody. A number: exactly so much.
        above: More than this.
        below: Less than this.
    """

    equals: bool | float | None = None
    above: float | None = None
    below: float | None = None

    def is_met(self, level: float) -> bool:
        """Tell whether it holds for a level, for a restaurant among those that the level stands for."""
        if isinstance(self.equals, bool):
            return level > 0 if self.equals else level < 100
        return (
            (self.equals is None or level == self.equals)
            and (self.above is None or level > self.above)
            and (self.below is None or level < self.below)
        )

    def as_json(self) -> dict[str, Any]:
        """Return what the database keeps."""
        parts = {"is": self.equals, "above": self.above, "below": self.below}
        return {name: value for name, value in parts.items() if value is not None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what the database keeps."""
        return cls(data.get("is"), data.get("above"), data.get("below"))

    def __str__(self) -> str:
        """Return it for people."""
        if isinstance(self.equals, bool):
            return "on" if self.equals else "off"
        parts = [] if self.equals is None else [f"{self.equals:g}"]
        parts += [] if self.above is None else [f"above {self.above:g}"]
        parts += [] if self.below is None else [f"below {self.below:g}"]
        return " and ".join(parts)


@dataclass(frozen=True)
class Rule:
    """A combination that is unsafe for a restaurant that meets all of its conditions.

    Attributes:
        name: What it is called in refusals, reports and events.
        when: Flag → condition.
        because: What goes wrong then.
        environments: Where it counts.
    """

    name: str
    when: Mapping[str, Condition]
    because: str
    environments: tuple[Environment, ...] = tuple(Environment)

    def as_json(self) -> dict[str, Any]:
        """Return what the database keeps."""
        return {
            "name": self.name,
            "when": {flag: condition.as_json() for flag, condition in self.when.items()},
            "because": self.because,
            "environments": list(self.environments),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what the database keeps."""
        return cls(
            data["name"],
            {flag: Condition.from_json(condition) for flag, condition in data["when"].items()},
            data["because"],
            tuple(Environment(name) for name in data["environments"]),
        )

    def __str__(self) -> str:
        """Return the combination for people."""
        return " with ".join(f"{flag} {condition}" for flag, condition in self.when.items())


class Measure(StrEnum):
    """What guardrails look at, as ``analytics.rollout_measures`` has it: of the restaurants in the stage alone."""

    DOUBLE_BOOKINGS = "double_bookings"
    SUCCESS_RATIO = "success_ratio"
    LATENCY_P95_MS = "latency_p95_ms"
    EXHAUSTED_RATIO = "exhausted_ratio"
    REQUEST_COUNT = "request_count"


@dataclass(frozen=True)
class Guardrail:
    """What must have held over a stage's soak before the next one may be asked for.

    Attributes:
        measure: What is looked at.
        at_least: The value must not be below this.
        at_most: The value must not be above this.
    """

    measure: Measure
    at_least: float | None = None
    at_most: float | None = None


@dataclass(frozen=True)
class Rollout:
    """How a flag is turned on for more and more restaurants.

    Attributes:
        stages: For each environment that has stages, the percentages, rising.
        soak_hours: How long each stage must have stood before the next.
        guardrails: What must have held meanwhile.
    """

    stages: Mapping[Environment, tuple[int, ...]]
    soak_hours: int
    guardrails: tuple[Guardrail, ...]

    def as_json(self) -> dict[str, Any]:
        """Return what the database keeps."""
        return {
            "stages": {environment: list(stages) for environment, stages in self.stages.items()},
            "soak_hours": self.soak_hours,
            "guardrails": [vars(guardrail) for guardrail in self.guardrails],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what the database keeps."""
        return cls(
            {Environment(name): tuple(stages) for name, stages in data["stages"].items()},
            data["soak_hours"],
            tuple(
                Guardrail(Measure(guardrail["measure"]), guardrail["at_least"], guardrail["at_most"])
                for guardrail in data["guardrails"]
            ),
        )


@dataclass(frozen=True, kw_only=True)
class FlagDefinition:
    """One flag, as its file in ``definitions/`` says.

    Attributes:
        name: The file's name.
        description: What it switches, in one sentence.
        owner: Whom to ask.
        kind: Why it exists.
        type: What its values are.
        per: For whom it can differ.
        decided_in: Who looks at it.
        default: What is in force where nothing else says anything; for every environment.
        minimum: The smallest integer that makes sense.
        maximum: The largest.
        unit: What the number counts.
        rationale: Why it is as it is, and when it is to be changed.
        expires: The day by which it has gone, or has been looked at again and renewed.
        rollout: How it is turned on; None where it is not by stages.
        rules: Unsafe combinations, those that its prerequisites make included.
    """

    name: str
    description: str
    owner: str
    kind: Kind
    type: FlagType
    per: Scope
    decided_in: DecidedIn
    default: Mapping[Environment, Setting]
    rationale: str
    expires: date
    minimum: int | None = None
    maximum: int | None = None
    unit: str | None = None
    rollout: Rollout | None = None
    rules: tuple[Rule, ...] = field(default=())

    @property
    def variable(self) -> str:
        """The environment variable that sets it for one process."""
        return "HOLDWATCH_FLAG_" + _CAPITAL.sub("_", self.name).replace(".", "_").upper()

    def is_expired(self, today: date) -> bool:
        """Tell whether its day has come."""
        return today >= self.expires

    def problem_of(self, setting: Setting) -> str | None:
        """Say why the flag cannot be set so; None where it can."""
        value = setting.value
        if isinstance(value, int) and not isinstance(value, bool):
            if self.minimum is not None and value < self.minimum:
                return f"{value} is below the least, {self.minimum}"
            if self.maximum is not None and value > self.maximum:
                return f"{value} is above the most, {self.maximum}"
        if setting.percentage is not None and self.per is Scope.ENVIRONMENT:
            return "it is one for the whole environment and takes no percentage"
        return None

    def as_json(self) -> dict[str, Any]:
        """Return what the database keeps; :meth:`from_json` reads it."""
        return {
            "description": self.description,
            "owner": self.owner,
            "kind": self.kind,
            "type": self.type,
            "per": self.per,
            "decided_in": self.decided_in,
            "default": {environment: setting.as_json() for environment, setting in self.default.items()},
            "rationale": self.rationale,
            "expires": self.expires.isoformat(),
            "minimum": self.minimum,
            "maximum": self.maximum,
            "unit": self.unit,
            "rollout": None if self.rollout is None else self.rollout.as_json(),
            "rules": [rule.as_json() for rule in self.rules],
        }

    @classmethod
    def from_json(cls, name: str, data: Mapping[str, Any]) -> Self:
        """Read what the database keeps."""
        return cls(
            name=name,
            description=data["description"],
            owner=data["owner"],
            kind=Kind(data["kind"]),
            type=FlagType(data["type"]),
            per=Scope(data["per"]),
            decided_in=DecidedIn(data["decided_in"]),
            default={Environment(one): Setting.from_json(setting) for one, setting in data["default"].items()},
            rationale=data["rationale"],
            expires=date.fromisoformat(data["expires"]),
            minimum=data["minimum"],
            maximum=data["maximum"],
            unit=data["unit"],
            rollout=None if data["rollout"] is None else Rollout.from_json(data["rollout"]),
            rules=tuple(Rule.from_json(rule) for rule in data["rules"]),
        )
