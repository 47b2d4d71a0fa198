"""Unsafe combinations: rules over what flags are in force, for an environment and for the restaurants apart from it.

A rule is met where there may be a restaurant that meets all of its conditions. For the restaurants of an environment
in general that is judged flag by flag: one that is on for half of them is on for somebody and off for somebody, and
which half that is differs from flag to flag. A restaurant that has something of its own is judged exactly. The database
judges by the same rules (``holds.flag_contradictions``).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from holds_core.flags.evaluation import FlagState

VARIABLE_WITHOUT_EFFECT = "variable-without-effect"
"""The rule that an environment variable breaks which says otherwise than the database, that alone decides."""


@dataclass(frozen=True)
class Contradiction:
    """A rule that is met.

    Attributes:
        rule: Its name.
        flags: What it is about.
        because: What goes wrong.
        restaurant_id: The restaurant that is apart; None: the environment.
    """

    rule: str
    flags: tuple[str, ...]
    because: str
    restaurant_id: UUID | None = None

    def event_id(self, environment: str, occurred_at: datetime) -> UUID:
        """Return the id of the event that says so: the same whoever says it, so that it is stored once."""
        microseconds = round(occurred_at.timestamp() * 1_000_000)
        text = "|".join((self.rule, environment, str(self.restaurant_id or ""), str(microseconds)))
        return UUID(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest())

    def __str__(self) -> str:
        """Return it for people."""
        whom = "" if self.restaurant_id is None else f" for restaurant {self.restaurant_id}"
        return f"{self.rule} ({', '.join(self.flags)}{whom}): {self.because}"


def find_contradictions(state: FlagState) -> tuple[Contradiction, ...]:
    """Return the rules that are met, in the order of their names."""
    found = []
    for definition in state.definitions.values():
        for rule in definition.rules:
            if state.environment not in rule.environments or not rule.when.keys() <= state.definitions.keys():
                continue
            flags = tuple(sorted(rule.when))
            for restaurant_id in (None, *state.restaurants_apart(flags)):
                if all(condition.is_met(state.level(flag, restaurant_id)) for flag, condition in rule.when.items()):
                    found.append(Contradiction(rule.name, flags, rule.because, restaurant_id))
    for flag, setting in state.variables.without_effect.items():
        if setting != state.setting(flag):
            variable = state.definitions[flag].variable
            because = f"{variable} says {setting}, and the database alone decides: it is {state.setting(flag)} there."
            found.append(Contradiction(VARIABLE_WITHOUT_EFFECT, (flag,), because))
    return tuple(sorted(found, key=lambda one: (one.rule, str(one.restaurant_id or ""))))
