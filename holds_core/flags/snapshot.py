"""The flags of an environment as a database has them: definitions and overrides in one answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import tuple_row

from holds_core.database.queries import query
from holds_core.database.settings import Environment
from holds_core.flags.evaluation import Override
from holds_core.flags.model import FlagDefinition
from holds_core.flags.values import Setting


@dataclass(frozen=True)
class Snapshot:
    """What a database says of the flags of an environment, at one moment.

    Attributes:
        environment: Whose flags these are.
        definitions: By name; empty where none were ever synced.
        overrides: What is in force.
        cohorts: By flag, who takes part in a percentage; of a flag that is not here, everybody.
        changed_at: When anything of it was changed last; None where nothing ever was.
        ends_in_seconds: How long until a break-glass override ends; None where there is none.
    """

    environment: Environment
    definitions: Mapping[str, FlagDefinition]
    overrides: tuple[Override, ...]
    cohorts: Mapping[str, frozenset[UUID]]
    changed_at: datetime | None
    ends_in_seconds: float | None


def read_snapshot(connection: psycopg.Connection[Any], environment: Environment | None = None) -> Snapshot:
    """Ask a database for the flags of an environment; its own unless one is named.

    Raises:
        psycopg.Error: It cannot be asked, or has no flags.
    """
    with connection.cursor(row_factory=tuple_row) as cursor:
        row = cursor.execute(query("flag_snapshot"), {"environment": environment}).fetchone()
    assert row is not None
    return snapshot_from(json.loads(row[0]))


def snapshot_from(data: Mapping[str, Any]) -> Snapshot:
    """Read a snapshot that came as JSON."""
    changed_at = data["changed_at"]
    return Snapshot(
        environment=Environment(data["environment"] or Environment.DEV),
        definitions={
            name: definition
            for name, stored in sorted(data["definitions"].items())
            if (definition := _definition_from(name, stored)) is not None
        },
        overrides=tuple(_override_from(override) for override in data["overrides"]),
        cohorts={flag: frozenset(map(UUID, named)) for flag, named in data.get("cohorts", {}).items()},
        changed_at=None if changed_at is None else datetime.fromisoformat(changed_at).astimezone(UTC),
        ends_in_seconds=data["ends_in_seconds"],
    )


def _definition_from(name: str, stored: Mapping[str, Any]) -> FlagDefinition | None:
    """Read a definition; None where another release wrote it in words that this one does not know."""
    try:
        return FlagDefinition.from_json(name, stored)
    except (KeyError, TypeError, ValueError):
        return None


def _override_from(data: Mapping[str, Any]) -> Override:
    return Override(
        flag=data["flag"],
        restaurant_id=None if data["restaurant_id"] is None else UUID(data["restaurant_id"]),
        setting=None if data["value"] is None else Setting.from_json(data),
        is_break_glass=data["is_break_glass"],
        is_killed=data["is_killed"],
    )
