"""What a flag is for a restaurant, and why: pure, and never an exception.

Lowest to highest: the definition's default, an environment variable, the approved override of the environment, that of
the restaurant, the kill switch. A break-glass override stands in for the approved one of its place until it ends.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from holds_core.database.settings import Environment
from holds_core.flags.model import FlagDefinition
from holds_core.flags.values import FlagValue, Setting
from holds_core.flags.variables import Variables
from holds_core.rollout import rollout_bucket

_bucket = lru_cache(maxsize=16_384)(rollout_bucket)
"""A restaurant keeps its bucket for ever, and comes back: remembering it costs a tenth of the hash."""


class Reason(StrEnum):
    """Why a flag has the value that it has."""

    DEFAULT = "default"
    VARIABLE = "environment_variable"
    OVERRIDE = "override"
    RESTAURANT_OVERRIDE = "restaurant_override"
    BREAK_GLASS = "break_glass"
    KILL_SWITCH = "kill_switch"
    OVERRIDES_UNAVAILABLE = "overrides_unavailable"
    UNKNOWN_FLAG = "unknown_flag"
    TYPE_MISMATCH = "type_mismatch"


class Evaluation(NamedTuple):
    """The answer to one question.

    Attributes:
        flag: What was asked for.
        value: What it is for this restaurant.
        reason: Which layer says so.
        percentage: Where that layer says on for a share of the restaurants, how many in a hundred.
    """

    flag: str
    value: FlagValue | None
    reason: Reason
    percentage: int | None = None


@dataclass(frozen=True)
class Override:
    """What is in force for an environment, or for one restaurant of it, instead of the default.

    Attributes:
        flag: The flag.
        restaurant_id: None: the environment.
        setting: What it is set to; None where only the kill switch is on.
        is_break_glass: Whether one person has set it in an emergency.
        is_killed: Whether the kill switch is on here.
    """

    flag: str
    restaurant_id: UUID | None
    setting: Setting | None
    is_break_glass: bool = False
    is_killed: bool = False


class _Compiled:
    """One flag, with its answers made before they are asked for."""

    __slots__ = ("cohort", "everybody", "inside", "outside", "restaurants", "setting", "share", "value_type")

    def __init__(
        self,
        flag: str,
        setting: Setting,
        reason: Reason,
        restaurants: Mapping[UUID, Evaluation],
        cohort: Collection[UUID] | None = None,
    ) -> None:
        self.setting = setting
        self.restaurants = restaurants
        self.cohort = cohort
        self.share = setting.percentage
        self.value_type = type(setting.value)
        self.everybody = self.inside = Evaluation(flag, setting.value, reason, setting.percentage)
        # Without a restaurant nobody can say whether it is among the share.
        self.outside = Evaluation(flag, False, reason, setting.percentage)
        if self.share is not None:
            self.everybody = self.outside


class FlagState:
    """All flags of one environment at one moment. Immutable, so that threads share it without a lock."""

    def __init__(
        self,
        definitions: Mapping[str, FlagDefinition],
        environment: Environment,
        variables: Variables | None = None,
        overrides: Iterable[Override] = (),
        *,
        cohorts: Mapping[str, Collection[UUID]] | None = None,
        are_overrides_available: bool = True,
    ) -> None:
        """Put the layers together.

        Args:
            definitions: By name.
            environment: Whose defaults count.
            variables: Those of this process.
            overrides: Those of this environment that are in force now; of flags that nobody knows, none.
            cohorts: By flag, who takes part in a percentage; of a flag that is not there, everybody.
            are_overrides_available: False where nobody could be asked: there may be others than those given.
        """
        self.definitions = definitions
        self.environment = environment
        self.variables = variables or Variables()
        self.are_overrides_available = are_overrides_available
        of_environment: dict[str, Override] = {}
        of_restaurants: dict[str, dict[UUID, Override]] = {}
        for override in overrides:
            if override.restaurant_id is None:
                of_environment[override.flag] = override
            else:
                of_restaurants.setdefault(override.flag, {})[override.restaurant_id] = override
        self._cohorts = cohorts or {}
        self._flags = {
            name: self._compile(definition, of_environment.get(name), of_restaurants.get(name, {}))
            for name, definition in definitions.items()
        }

    def evaluate(self, flag: str, restaurant_id: UUID | None = None, default: FlagValue | None = None) -> Evaluation:
        """Return what a flag is, and why.

        Args:
            flag: Its name.
            restaurant_id: For whom; None where it is asked for no restaurant: then a flag that is on for a share counts
                as off.
            default: The answer for a flag that nobody knows, and for one whose values are of another type.
        """
        compiled = self._flags.get(flag)
        if compiled is None:
            return Evaluation(flag, default, Reason.UNKNOWN_FLAG)
        if default is not None and type(default) is not compiled.value_type:
            return Evaluation(flag, default, Reason.TYPE_MISMATCH)
        if restaurant_id is None:
            return compiled.everybody
        if compiled.restaurants and (own := compiled.restaurants.get(restaurant_id)) is not None:
            return own
        if compiled.share is None:
            return compiled.everybody
        takes_part = compiled.cohort is None or restaurant_id in compiled.cohort
        return compiled.inside if takes_part and _bucket(flag, restaurant_id) < compiled.share else compiled.outside

    def setting(self, flag: str) -> Setting:
        """Return what a flag is set to for the environment: the share, where it is on for some."""
        return self._flags[flag].setting

    def level(self, flag: str, restaurant_id: UUID | None = None) -> float:
        """Return the number that rules compare: of the environment, or exactly that of one restaurant."""
        if restaurant_id is None:
            return self._flags[flag].setting.level
        value = self.evaluate(flag, restaurant_id).value
        assert value is not None
        return Setting(value).level

    def restaurants_apart(self, flags: Iterable[str]) -> set[UUID]:
        """Return the restaurants that have something of their own for one of these flags."""
        return {restaurant_id for flag in flags for restaurant_id in self._flags[flag].restaurants}

    def _compile(
        self, definition: FlagDefinition, override: Override | None, apart: Mapping[UUID, Override]
    ) -> _Compiled:
        name = definition.name
        setting, reason = definition.default[self.environment], Reason.DEFAULT
        if (variable := self.variables.settings.get(name)) is not None:
            setting, reason = variable, Reason.VARIABLE
        if not self.are_overrides_available:
            reason = Reason.OVERRIDES_UNAVAILABLE
        if override is not None and override.is_killed:
            killed = dict.fromkeys(apart, Evaluation(name, False, Reason.KILL_SWITCH))
            return _Compiled(name, Setting(False), Reason.KILL_SWITCH, killed)
        if override is not None and override.setting is not None:
            setting = override.setting
            reason = Reason.BREAK_GLASS if override.is_break_glass else Reason.OVERRIDE
        restaurants = {
            restaurant_id: evaluation
            for restaurant_id, own in apart.items()
            if (evaluation := _own_evaluation(name, own)) is not None
        }
        return _Compiled(name, setting, reason, restaurants, self._cohorts.get(name))


def _own_evaluation(flag: str, own: Override) -> Evaluation | None:
    if own.is_killed:
        return Evaluation(flag, False, Reason.KILL_SWITCH)
    if own.setting is None:
        return None
    reason = Reason.BREAK_GLASS if own.is_break_glass else Reason.RESTAURANT_OVERRIDE
    return Evaluation(flag, own.setting.value, reason)
