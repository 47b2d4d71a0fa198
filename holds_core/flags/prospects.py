"""What a change of a flag would do if it were approved now: from what, to what, and what stands in its way."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from holds_core.database.queries import query
from holds_core.database.settings import Environment
from holds_core.errors import raise_translated
from holds_core.flags.changes import FlagChange
from holds_core.flags.contradictions import Contradiction
from holds_core.flags.evaluation import FlagState, Override, Reason
from holds_core.flags.matrix import StoredOverride, read_overrides
from holds_core.flags.rollouts import read_cohort
from holds_core.flags.snapshot import Snapshot, read_snapshot
from holds_core.flags.trail import Entry, read_trail
from holds_core.flags.values import Setting
from holds_core.flags.variables import Variables

_ASKED = ("requested", "edited")
_MAKES_A_VERSION = (
    "applied", "break-glass", "break-glass ended", "set directly", "killed", "kill switch taken back", "moved",
)  # fmt: skip
"""What the trail calls that after which a flag has another version than before (migrations 0019 and 0020)."""


@dataclass(frozen=True, kw_only=True)
class Prospect:
    """What an open change would do if it were approved now.

    Attributes:
        before: What is in force in its place.
        reason: Which layer says so.
        after: What would be.
        default: What would be there with nothing set.
        is_out_of_date: Whether the flag has changed since it was asked for, so that it cannot be approved.
        unsafe: The rules that it would break.
        has_cohort: Whether the restaurants are named that take part where the flag is on for a percentage.
    """

    before: Setting
    reason: Reason
    after: Setting
    default: Setting
    is_out_of_date: bool
    unsafe: tuple[Contradiction, ...]
    has_cohort: bool

    @property
    def is_killed(self) -> bool:
        """Whether the kill switch is on there, whatever is set."""
        return self.reason is Reason.KILL_SWITCH


def is_open(change: FlagChange) -> bool:
    """Tell whether a change may still be approved, or applied."""
    return change.state in ("requested", "approved") and not change.is_break_glass


def read_prospects(
    connection: psycopg.Connection[Any], changes: Iterable[FlagChange], variables: Mapping[str, Setting] | None = None
) -> dict[int, Prospect]:
    """Return what each of the changes that are open would do, by its number.

    Args:
        connection: As ``holds_operator``, or the owner.
        changes: Of this database.
        variables: Flags that environment variables of this process set.
    """
    wanted = [change for change in changes if is_open(change)]
    if not wanted:
        return {}
    snapshots = {place: read_snapshot(connection, place) for place in {change.environment for change in wanted}}
    overrides = {
        (one.environment, one.flag, one.restaurant_id): one
        for place in snapshots
        for one in read_overrides(connection, place)
    }
    entries = read_trail(connection)
    return {
        change.id: _prospect(connection, change, snapshots[change.environment], overrides, entries, variables or {})
        for change in wanted
        if change.flag in snapshots[change.environment].definitions
    }


def setting_in_force(
    connection: psycopg.Connection[Any], environment: Environment, flag: str, restaurant_id: UUID | None
) -> Setting:
    """Return what is in force in a place, as its database has it."""
    snapshot = read_snapshot(connection, environment)
    return _in_force(_state(snapshot, snapshot.overrides, {}), flag, restaurant_id)[0]


def _prospect(
    connection: psycopg.Connection[Any],
    change: FlagChange,
    snapshot: Snapshot,
    overrides: Mapping[tuple[str, str, UUID | None], StoredOverride],
    entries: list[Entry],
    variables: Mapping[str, Setting],
) -> Prospect:
    own = next((one for one in snapshot.overrides if _place(one) == (change.flag, change.restaurant_id)), None)
    others = [one for one in snapshot.overrides if one is not own]
    unset = Override(change.flag, change.restaurant_id, None, is_killed=own is not None and own.is_killed)
    before, reason = _in_force(_state(snapshot, snapshot.overrides, variables), change.flag, change.restaurant_id)
    asked = [*others, replace(unset, setting=change.setting)]
    return Prospect(
        before=before,
        reason=reason,
        after=_in_force(_state(snapshot, asked, variables), change.flag, change.restaurant_id)[0],
        default=_in_force(_state(snapshot, others, variables), change.flag, change.restaurant_id)[0],
        is_out_of_date=_is_out_of_date(change, overrides, entries),
        unsafe=_unsafe(connection, change, variables),
        has_cohort=bool(read_cohort(connection, change.flag)),
    )


def _place(override: Override) -> tuple[str, UUID | None]:
    return override.flag, override.restaurant_id


def _state(snapshot: Snapshot, overrides: Iterable[Override], variables: Mapping[str, Setting]) -> FlagState:
    settings = Variables(variables)
    return FlagState(snapshot.definitions, snapshot.environment, settings, overrides, cohorts=snapshot.cohorts)


def _in_force(state: FlagState, flag: str, restaurant_id: UUID | None) -> tuple[Setting, Reason]:
    evaluation = state.evaluate(flag, restaurant_id)
    if restaurant_id is None:
        return state.setting(flag), evaluation.reason
    assert evaluation.value is not None
    return Setting(evaluation.value), evaluation.reason


def _is_out_of_date(
    change: FlagChange,
    overrides: Mapping[tuple[str, str, UUID | None], StoredOverride],
    entries: list[Entry],
) -> bool:
    stored = overrides.get((change.environment, change.flag, change.restaurant_id))
    if stored is not None:
        return stored.version != change.base_version
    # Where nothing is set any more, the version is not told: the trail says whether something was since.
    asked_at = [
        number for number, entry in enumerate(entries) if entry.change_id == change.id and entry.action in _ASKED
    ]
    later = entries[asked_at[-1] :] if asked_at else []
    return any(
        entry.action in _MAKES_A_VERSION
        and (entry.environment, entry.flag, entry.restaurant_id)
        == (change.environment, change.flag, change.restaurant_id)
        for entry in later
    )


def _unsafe(
    connection: psycopg.Connection[Any], change: FlagChange, variables: Mapping[str, Setting]
) -> tuple[Contradiction, ...]:
    """Ask the database, which judges an approval by the same: with the variables of this process, and without."""
    asked = {
        "flag": change.flag,
        "restaurant_id": None if change.restaurant_id is None else str(change.restaurant_id),
        "value": change.value,
        "percentage": change.percentage,
    }
    found: dict[tuple[str, UUID | None], Contradiction] = {}
    for judged in ({}, variables) if variables else ({},):
        parameters = {
            "environment": change.environment,
            "variables": json.dumps({flag: setting.as_json() for flag, setting in judged.items()}),
            "change": json.dumps(asked),
        }
        try:
            with connection.cursor(row_factory=dict_row) as cursor:
                rows = cursor.execute(query("flag_contradictions"), parameters).fetchall()
        except psycopg.Error as error:
            raise_translated(error)
        for row in rows:
            if change.flag in row["flags"] and change.restaurant_id in (None, row["restaurant_id"]):
                one = Contradiction(row["rule"], tuple(row["flags"]), row["because"], row["restaurant_id"])
                found[one.rule, one.restaurant_id] = one
    return tuple(found.values())
