"""Flags that environment variables set for one process: ``HOLDWATCH_FLAG_SELECTOR_LOOKAHEAD=30%``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from holds_core.flags.model import DecidedIn, FlagDefinition
from holds_core.flags.values import Setting, parse_setting

PREFIX = "HOLDWATCH_FLAG_"


@dataclass(frozen=True)
class Variables:
    """What the variables of a process say.

    Attributes:
        settings: Flag → what its variable says, where that counts.
        without_effect: The same of flags that are decided in the database alone.
        problems: Variables that say nothing, one sentence each.
    """

    settings: Mapping[str, Setting] = field(default_factory=dict)
    without_effect: Mapping[str, Setting] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def read_variables(definitions: Mapping[str, FlagDefinition], environ: Mapping[str, str] = os.environ) -> Variables:
    """Read the variables of this process; never raises: what cannot be read is a problem, and sets nothing."""
    flags = {definition.variable: definition for definition in definitions.values()}
    settings: dict[str, Setting] = {}
    without_effect: dict[str, Setting] = {}
    problems = []
    for variable in sorted(name for name in environ if name.startswith(PREFIX)):
        definition = flags.get(variable)
        if definition is None:
            problems.append(f"{variable} names no flag; there are {', '.join(sorted(flags))}.")
            continue
        try:
            setting = parse_setting(environ[variable], definition.type)
        except ValueError as error:
            problems.append(f"{variable} is not used: {error}.")
            continue
        if (problem := definition.problem_of(setting)) is not None:
            problems.append(f"{variable} is not used: {problem}.")
        elif definition.decided_in is DecidedIn.DATABASE:
            without_effect[definition.name] = setting
        else:
            settings[definition.name] = setting
    return Variables(settings, without_effect, tuple(problems))
