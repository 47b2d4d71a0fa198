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
from holds_core.flags.changes import list_changes
from holds_core.flags.contradictions import find_contradictions
from holds_core.flags.evaluation import FlagState, Override, Reason
from holds_core.flags.model import FlagDefinition
from holds_core.flags.trail import read_trail
from holds_core.flags.values import FlagValue, Setting
from holds_core.flags.variables import Variables

BREAK_GLASS = "break-glass"
"""How the mark begins of what one person has set alone; then comes whether somebody has reviewed it."""
_SETS = ("applied", "set directly", "found", "moved", "break-glass ended")
"""What the trail calls that which sets what is in force beneath a break-glass change."""
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
        approved: What is in force again when the break-glass change ends; None: what is there with nothing set.
        reviewed_by: Who has reviewed the break-glass change; None: nobody yet.
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
    approved: Setting | None = None
    reviewed_by: str | None = None

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

    @property
    def mark(self) -> str:
        """What has to be said of a break-glass change, until it is over."""
        return review_mark(self.change_id, self.reviewed_by)

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
        comes_back: What is in force again when a break-glass change ends; None where none is in force.
        ends_at: When that is, UTC.
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
    comes_back: str | None = None
    ends_at: datetime | None = None


def review_mark(change_id: int | None, reviewed_by: str | None) -> str:
    """Say of a break-glass change whether somebody else has looked at it."""
    if reviewed_by is None:
        return f"{BREAK_GLASS}, not reviewed: flags review {change_id}"
    return f"{BREAK_GLASS}, reviewed by {reviewed_by}"


def read_overrides(connection: psycopg.Connection[Any], environment: Environment | None = None) -> list[StoredOverride]:
    """Return what is set in a database, of one environment or of all."""
    try:
        with connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(query("list_flag_overrides"), {"environment": environment}).fetchall()
    except psycopg.Error as error:
        raise_translated(error)
    found = [StoredOverride(**row) for row in rows]
    if not any(one.is_break_glass for one in found):
        return found
    reviewed = {change.id: change.reviewed_by for change in list_changes(connection) if change.is_break_glass}
    approved = {
        (entry.environment, entry.flag, entry.restaurant_id): entry.to_setting
        for entry in read_trail(connection)
        if entry.action in _SETS
    }
    return [
        replace(
            one,
            approved=approved.get((one.environment, one.flag, one.restaurant_id)),
            reviewed_by=reviewed.get(one.change_id or 0),
        )
        if one.is_break_glass
        else one
        for one in found
    ]


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
        default = variables.settings.get(name, definition.default[source.environment])
        rows.append(general if None not in stored else _with_override(general, stored[None], f"default {default}"))
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
            rows.append(_with_override(own, override, "what the environment has"))
    return rows


def _stage(definition: FlagDefinition, environment: Environment, setting: Setting) -> str | None:
    """Say which stage of its rollout a flag is at; None where it has none there, or is on for everybody."""
    stages = () if definition.rollout is None else definition.rollout.stages.get(environment, ())
    if not stages or setting.level >= stages[-1]:
        return None
    reached = sum(stage <= setting.level for stage in stages)
    return f"stage {reached} of {len(stages)} ({' → '.join(f'{stage} %' for stage in stages)})"


def _with_override(row: Row, stored: StoredOverride, nothing_set: str) -> Row:
    unsafe = row.unsafe
    if stored.is_break_glass:
        unsafe = (*unsafe, stored.mark)
    elif stored.change_id is None and stored.setting is not None:
        unsafe = (*unsafe, SET_DIRECTLY)
    comes_back = note = None
    if stored.ends_at is not None:
        comes_back = nothing_set if stored.approved is None else f"approved {stored.approved}"
        note = f"ends {stored.ends_at:%Y-%m-%d %H:%M} UTC, then {comes_back}"
    return replace(
        row,
        override=None if stored.setting is None else str(stored.setting),
        since=stored.changed_at,
        by=stored.by,
        change_id=stored.change_id,
        why=stored.reason,
        unsafe=unsafe,
        note="; ".join(part for part in (row.note, note) if part) or None,
        comes_back=comes_back,
        ends_at=stored.ends_at,
    )
