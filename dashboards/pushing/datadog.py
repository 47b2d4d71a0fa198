"""Brings monitors, objectives, dashboards and downtimes into Datadog: created or updated, never twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dashboards.checks.loading import load
from dashboards.errors import PushError
from dashboards.pushing.datadog_api import DatadogApi
from dashboards.pushing.datadog_objects import Boards, Downtimes, Kind, Monitors, Objectives
from dashboards.pushing.downtimes import KnownMaintenance, downtime
from dashboards.pushing.plan import Action, Change, Plan, differences

Json = dict[str, Any]


def plan_datadog(
    api: DatadogApi, directory: Path, maintenance: KnownMaintenance | None, *, prune: bool = False
) -> Plan:
    """Work out what is to be done, and let Datadog read the monitors that would be written; nothing is changed.

    Args:
        api: Where to.
        directory: The folder that has ``datadog/``.
        maintenance: What downtimes are made of; None leaves them alone.
        prune: Whether what is ours and no longer generated goes.

    Raises:
        PushError: The files are missing, Datadog cannot be asked, or would not take a monitor.
    """
    kinds: list[tuple[Kind, list[Json]]] = [
        (Monitors(api), _bodies(directory, "monitors")),
        (Objectives(api), _bodies(directory, "slos")),
        (Boards(api), _bodies(directory, "dashboards")),
    ]
    notes = []
    if maintenance is None:
        notes.append("Downtimes are left alone.")
    else:
        now = datetime.now(UTC)
        bodies = [downtime(one, now) for one in maintenance.periods]
        kinds.append((Downtimes(api, maintenance.environments), bodies))
    changes = [change for kind, bodies in kinds for change in _changes(kind, bodies, prune=prune)]
    return Plan(api.url, changes, notes)


def _bodies(directory: Path, folder: str) -> list[Json]:
    bodies, unreadable = load(directory, f"datadog/{folder}")
    if unreadable:
        raise PushError(str(unreadable[0]))
    if not bodies:
        raise PushError(f"There is nothing in {directory / 'datadog' / folder}: run holdwatch dashboards build.")
    return list(bodies.values())


def _changes(kind: Kind, bodies: Sequence[Json], *, prune: bool) -> Iterator[Change]:
    there: dict[str, list[tuple[Json, Json]]] = defaultdict(list)
    for one, comparable in kind.listed():
        key = kind.key(one)
        if key is not None:
            there[key].append((one, comparable))
    for body in bodies:
        key = kind.key(body)
        if key is None:
            raise PushError(f"A {kind.name} has no mark to find it again by: run holdwatch dashboards build.")
        # The oldest is the one that people know; a copy of it has the same mark.
        found = sorted(there.pop(key, []), key=lambda pair: _age(pair[0]))
        yield _written(kind, key, body, found[0] if found else None)
        for copy, _ in found[1:]:
            yield _unwanted(kind, key, copy, "a copy of one that is kept", prune=prune)
    for key, unknown in sorted(there.items()):
        for one, _ in unknown:
            yield _unwanted(kind, key, one, "no longer generated", prune=prune)


def _written(kind: Kind, key: str, body: Json, found: tuple[Json, Json] | None) -> Change:
    if found is None:
        kind.validate(body)
        return Change(kind.name, key, Action.CREATE, apply=lambda: kind.create(body))
    there, comparable = found
    changed = list(differences(kind.comparable(body), comparable))
    if not changed:
        return Change(kind.name, key, Action.UNCHANGED)
    kind.validate(body)
    return Change(kind.name, key, Action.UPDATE, changed, apply=lambda: kind.update(there, body))


def _unwanted(kind: Kind, key: str, there: Json, reason: str, *, prune: bool) -> Change:
    said = f"{reason} (id {there['id']})"
    if prune:
        return Change(kind.name, key, Action.DELETE, reason=said, apply=lambda: kind.delete(there))
    return Change(kind.name, key, Action.LEFT, reason=said)


def _age(there: Json) -> tuple[int, str]:
    identifier = str(there["id"])
    return len(identifier), identifier
