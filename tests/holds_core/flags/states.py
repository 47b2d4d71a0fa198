"""Flags in any state, as Hypothesis makes them up."""

from __future__ import annotations

from uuid import UUID

from hypothesis import strategies as st

from holds_core.flags.evaluation import Override
from holds_core.flags.loading import packaged_definitions
from holds_core.flags.model import DecidedIn, Flag, Scope
from holds_core.flags.values import FlagType, Setting

RESTAURANTS = [UUID(int=number) for number in range(1, 5)]

_SETTINGS: dict[FlagType, st.SearchStrategy[Setting]] = {
    FlagType.BOOLEAN: st.one_of(
        st.booleans().map(Setting), st.integers(1, 99).map(lambda percentage: Setting(True, percentage))
    ),
    FlagType.INTEGER: st.integers(0, 12).map(Setting),
    FlagType.RATE: st.sampled_from(["none", "120/60", "1/0.5", "7/3600"]).map(Setting),
}


def settings_of(flag: Flag, *, for_restaurant: bool = False) -> st.SearchStrategy[Setting]:
    """What a flag can be set to."""
    definition = packaged_definitions()[flag]
    made = _SETTINGS[definition.type]
    if for_restaurant or definition.per is Scope.ENVIRONMENT:
        return made.filter(lambda setting: setting.percentage is None and setting != Setting("none"))
    return made


@st.composite
def overrides(draw: st.DrawFn) -> list[Override]:
    """Any overrides: of the environment, of restaurants, approved or by breaking the glass, with the kill switch."""
    found = []
    for flag in Flag:
        definition = packaged_definitions()[flag]
        places: list[UUID | None] = [None]
        if definition.per is Scope.RESTAURANT:
            places += RESTAURANTS[:2]
        for place in places:
            if draw(st.booleans()):
                setting = draw(st.one_of(st.none(), settings_of(flag, for_restaurant=place is not None)))
                is_killed = flag is Flag.STRICT_CONFLICTS and draw(st.integers(0, 3)) == 0
                if setting is not None or is_killed:
                    found.append(Override(flag, place, setting, draw(st.booleans()), is_killed))
    return found


@st.composite
def cohorts(draw: st.DrawFn) -> dict[str, set[UUID]]:
    """Who takes part in the stages of flags that have some; of the others, and of one that is not there, everybody."""
    return {
        flag: draw(st.sets(st.sampled_from(RESTAURANTS), min_size=1))
        for flag in Flag
        if packaged_definitions()[flag].rollout is not None and draw(st.booleans())
    }


@st.composite
def variables(draw: st.DrawFn) -> dict[str, Setting]:
    """What environment variables might say, of flags that heed them."""
    return {
        flag: draw(settings_of(flag))
        for flag in Flag
        if packaged_definitions()[flag].decided_in is DecidedIn.CLIENT and draw(st.integers(0, 3)) == 0
    }
