"""What every flag is in every environment, and why: the audit of defaults and overrides.

An environment whose overrides nobody holds, or whose database cannot be asked, has rows all the same: the defaults, and
what is missing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from holds_core.database.queries import query
from holds_core.database.settings import Environment
from holds_core.errors import raise_translated
from holds_core.flags.contradictions import find_contradictions
from holds_core.flags.evaluation import FlagState, Override, Reason
from holds_core.flags.model import FlagDefinition
from holds_core.flags.values import FlagValue, Setting
from holds_core.flags.variables import Variables

BREAK_GLASS = "break-glass"
SET_DIRECTLY = "set directly, without approval"
EXPIRED = "the flag has expired"


@dataclass(frozen=True, kw_only=True)
class StoredOverride:
    """What is set for a place, and who has set it.

    Attributes:
        environment: Where.
        flag: What.
        restaurant_id: For whom alone; None: for the environment.
        version: How often it has changed.
        value: What it is set to; None where only the kill switch is on.
        percentage: On for so many in a hundred.
        is_break_glass: Whether one person has, in an emergency.
        is_killed: Whether the kill switch is on.
        ends_at: When the break-glass change ends, UTC.
        changed_at: Since when, UTC.
        changed_by: Who did it last.
        change_id: By which change; None: directly, or by the switch.
        requested_by: Who asked for that.
        approved_by: Who approved it.
        reason: Why.
    """

    environment: str
    flag: str
    restaurant_id: UUID | None
    version: int
    value: FlagValue | None
    percentage: int | None
    is_break_glass: bool
    is_killed: bool
    ends_at: datetime | None
    changed_at: datetime
    changed_by: str
    change_id: int | None
    requested_by: str | None
    approved_by: str | None
    reason: str | None

    @property
    def setting(self) -> Setting | None:
        """What it is set to."""
        return None if self.value is None else Setting(self.value, self.percentage)

    @property
    def by(self) -> str:
        """Who, as a report says it."""
        if self.is_killed:
            return f"{self.changed_by}, kill switch"
        if self.is_break_glass:
            return f"{self.requested_by} alone"
        if self.change_id is None:
            return f"{self.changed_by}, directly"
        if self.approved_by is None:
            return f"{self.requested_by}, rolled back"
        return f"{self.requested_by}, approved by {self.approved_by}"

    def as_override(self) -> Override:
        """Return what evaluation needs of it."""
        return Override(self.flag, self.restaurant_id, self.setting, self.is_break_glass, self.is_killed)


@dataclass(frozen=True)
class Source:
    """What is known of one environment.

    Attributes:
        environment: Which.
        definitions: By name.
        overrides: Those of the environment.
        variables: What environment variables say; none where this process is not of that environment.
        missing: Why there may be other overrides than these; None where there are not.
        cohorts: By flag, who takes part in a percentage; of a flag that is not there, everybody.
    """

    environment: Environment
    definitions: Mapping[str, FlagDefinition]
    overrides: Sequence[StoredOverride] = ()
    variables: Variables | None = None
    missing: str | None = None
    cohorts: Mapping[str, Collection[UUID]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One flag in one environment, or for one restaurant of it.

    Attributes:
        environment: Where.
        flag: What.
        restaurant_id: For whom alone; None: for the environment.
        default: What its definition says.
        variable: What the environment variable of this process says; None: nothing, or the process is of another one.
        override: What is set; None: nothing.
        effective: What is in force.
        reason: Which layer says so.
        since: Since when it is set so, UTC.
        by: Who has set it.
        change_id: The change that did.
        why: The reason that was given.
        unsafe: The rules that it breaks, or why else it should not stay.
        note: Which stage of its rollout it is at, where it is not on for everybody; when it ends by itself.
        missing: Why there may be other overrides than those that are known; None where there are not.
    """

    environment: Environment
    flag: str
    restaurant_id: UUID | None
    default: str
    variable: str | None
    override: str | None
    effective: str
    reason: Reason
    since: datetime | None
    by: str | None
    change_id: int | None
    why: str | None
    unsafe: tuple[str, ...]
    note: str | None
    missing: str | None


def read_overrides(connection: psycopg.Connection[Any], environment: Environment | None = None) -> list[StoredOverride]:
    """Return what is set in a database, of one environment or of all."""
    try:
        with connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(query("list_flag_overrides"), {"environment": environment}).fetchall()
    except psycopg.Error as error:
        raise_translated(error)
    return [StoredOverride(**row) for row in rows]


def build_matrix(sources: Sequence[Source], today: date) -> list[Row]:
    """Return a row for every flag in every environment, those of single restaurants after it."""
    return [row for source in sources for row in _rows_of(source, today)]


def _rows_of(source: Source, today: date) -> list[Row]:
    variables = source.variables or Variables()
    state = FlagState(
        source.definitions,
        source.environment,
        variables,
        [override.as_override() for override in source.overrides],
        are_overrides_available=source.missing is None,
        cohorts=source.cohorts,
    )
    marks: dict[tuple[str, UUID | None], list[str]] = {}
    for contradiction in find_contradictions(state):
        for flag in contradiction.flags:
            marks.setdefault((flag, contradiction.restaurant_id), []).append(contradiction.rule)
    rows = []
    for name, definition in source.definitions.items():
        said = variables.settings.get(name) or variables.without_effect.get(name)
        general = Row(
            environment=source.environment,
            flag=name,
            restaurant_id=None,
            default=str(definition.default[source.environment]),
            variable=None if said is None else str(said),
            override=None,
            effective=str(state.setting(name)),
            reason=state.evaluate(name).reason,
            since=None,
            by=None,
            change_id=None,
            why=None,
            unsafe=(*marks.get((name, None), ()), *([EXPIRED] if definition.is_expired(today) else [])),
            note=_stage(definition, source.environment, state.setting(name)),
            missing=source.missing,
        )
        stored = {override.restaurant_id: override for override in source.overrides if override.flag == name}
        rows.append(general if None not in stored else _with_override(general, stored[None]))
        for restaurant_id, override in stored.items():
            if restaurant_id is None:
                continue
            evaluation = state.evaluate(name, restaurant_id)
            assert evaluation.value is not None
            own = replace(
                general,
                restaurant_id=restaurant_id,
                effective=str(Setting(evaluation.value)),
                note=None,
                reason=evaluation.reason,
                unsafe=tuple(marks.get((name, restaurant_id), ())),
            )
            rows.append(_with_override(own, override))
    return rows


def _stage(definition: FlagDefinition, environment: Environment, setting: Setting) -> str | None:
    """Say which stage of its rollout a flag is at; None where it has none there, or is on for everybody."""
    stages = () if definition.rollout is None else definition.rollout.stages.get(environment, ())
    if not stages or setting.level >= stages[-1]:
        return None
    reached = sum(stage <= setting.level for stage in stages)
    return f"stage {reached} of {len(stages)} ({' → '.join(f'{stage} %' for stage in stages)})"


def _with_override(row: Row, stored: StoredOverride) -> Row:
    unsafe = row.unsafe
    if stored.is_break_glass:
        unsafe = (*unsafe, BREAK_GLASS)
    elif stored.change_id is None and stored.setting is not None:
        unsafe = (*unsafe, SET_DIRECTLY)
    note = None if stored.ends_at is None else f"ends {stored.ends_at:%Y-%m-%d %H:%M} UTC"
    return replace(
        row,
        override=None if stored.setting is None else str(stored.setting),
        since=stored.changed_at,
        by=stored.by,
        change_id=stored.change_id,
        why=stored.reason,
        unsafe=unsafe,
        note="; ".join(part for part in (row.note, note) if part) or None,
    )
