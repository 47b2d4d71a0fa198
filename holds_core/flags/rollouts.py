"""Staged rollout: where each flag that goes up by stages is, and what its next stage still needs.

The database judges (migration 0023): the next stage can be asked for when the one in force has soaked and its
guardrails hold, and only then, whoever asks and however. They are measured by ``analytics.rollout_measures``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import tuple_row

from holds_core.database.queries import query
from holds_core.database.settings import Environment
from holds_core.errors import raise_translated

_COMMAND = re.compile(r"holdwatch rollout (?:status|start|advance|roll-back|cohort)\b(?! --flag)")


def naming_flag(text: str, flag: str) -> str:
    """Return what the database says of a rollout, with the flag named in each command that it suggests.

    Without, ``holdwatch rollout`` acts on the strict conflicts, whichever flag it was asked about.
    """
    return _COMMAND.sub(rf"\g<0> --flag {flag}", text)


class GuardrailVerdict(StrEnum):
    """What becomes of a stage by one of its guardrails."""

    HOLDS = "holds"
    GATHERS = "gathers"
    """Too little has happened, and the soak goes on."""
    WAITS = "waits"
    """No next stage: too little has happened, or something is wrong that the stage is not to blame for."""
    BROKEN = "broken"
    """The stage goes back."""


class GuardrailSpan(StrEnum):
    """Over what a guardrail is measured, where that is not now."""

    STAGE = "stage"
    HOUR = "hour"


@dataclass(frozen=True)
class JudgedGuardrail:
    """What one guardrail says of a stage.

    Attributes:
        measure: What was measured.
        span: Over what: the stage, since it came into force; its last hour; None: now.
        at_least: The value must not be below this.
        at_most: The value must not be above this.
        value: In the measure's unit; None where nothing was measured.
        sample_count: On how many requests or latencies.
        verdict: What comes of it.
        said: What else there is to say, for example which alerts fire.
    """

    measure: str
    span: GuardrailSpan | None
    at_least: float | None
    at_most: float | None
    value: float | None
    sample_count: int | None
    verdict: GuardrailVerdict
    said: str | None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> JudgedGuardrail:
        """Read what the database says."""
        numbers = {
            name: None if data.get(name) is None else float(data[name]) for name in ("at_least", "at_most", "value")
        }
        return cls(
            measure=str(data["measure"]),
            span=None if data.get("span") is None else GuardrailSpan(data["span"]),
            sample_count=None if data.get("sample_count") is None else int(data["sample_count"]),
            verdict=GuardrailVerdict(data["verdict"]),
            said=data.get("said"),
            **numbers,
        )


@dataclass(frozen=True, kw_only=True)
class RolloutStatus:
    """Where a flag is on its way up, in one environment.

    Attributes:
        environment: Where.
        flag: What.
        stages: The percentages that it goes up by.
        stage: The one in force; 0: off, 100: on for everybody.
        stage_before: What a rollback goes to; None where it is off.
        next_stage: What can be asked for next; None where it is on for everybody.
        began_at: Since when the stage has been in force without a break, UTC.
        soak_ends_at: When it will have stood for long enough, UTC.
        is_running: Whether it is on its way: set, and not for a whole soak at its last stage.
        verdict: killed, break-glass, broken, held, soaking, ready or finished.
        guardrails: Each guardrail's own.
        missing: What the next stage still needs, one sentence each; empty: it can be asked for.
        cohort_count: How many restaurants are named to take part; 0: all do.
        waiting_change: The change that waits for an approval.
        judged_at: When, UTC.
        held_by: The guardrails that hold it back; None where none does, or nobody has guarded it.
        rolled_back_to: What the flag was set to instead, just now; None where nothing was broken.
        source: All of it, as the database gave it.
    """

    environment: Environment
    flag: str
    stages: tuple[int, ...]
    stage: int
    stage_before: int | None
    next_stage: int | None
    began_at: datetime
    soak_ends_at: datetime
    is_running: bool
    verdict: str
    guardrails: tuple[JudgedGuardrail, ...]
    missing: tuple[str, ...]
    cohort_count: int
    waiting_change: int | None
    judged_at: datetime
    held_by: str | None
    rolled_back_to: str | None
    source: Mapping[str, Any]

    @property
    def key(self) -> str:
        """Which rollout this is, among those of a database."""
        return f"{self.flag} {self.environment}"

    @property
    def soak_left(self) -> timedelta:
        """How long the soak still lasts."""
        return max(self.soak_ends_at - self.judged_at, timedelta(0))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RolloutStatus:
        """Read what the database says; the trail leaves out what is not known."""
        return cls(
            environment=Environment(data["environment"]),
            flag=data["flag"],
            stages=tuple(data["stages"]),
            stage=int(data["stage"]),
            stage_before=data.get("stage_before"),
            next_stage=data.get("next_stage"),
            began_at=_time(data["began_at"]),
            soak_ends_at=_time(data["soak_ends_at"]),
            is_running=data["is_running"],
            verdict=data["verdict"],
            guardrails=tuple(JudgedGuardrail.from_json(one) for one in data["guardrails"]),
            missing=tuple(naming_flag(one, data["flag"]) for one in data["missing"]),
            cohort_count=data["cohort_count"],
            waiting_change=data.get("waiting_change"),
            judged_at=_time(data["judged_at"]),
            held_by=data.get("held_by"),
            rolled_back_to=data.get("rolled_back_to"),
            source=data,
        )


def read_rollouts(
    connection: psycopg.Connection[Any],
    *,
    flag: str | None = None,
    environment: Environment | None = None,
    evidence: Mapping[str, Any] | None = None,
) -> list[RolloutStatus]:
    """Return where flags with stages are, in the environments of which this database holds flags.

    Args:
        connection: As ``holds_operator``, or the owner.
        flag: Only this one.
        environment: Only there.
        evidence: The :attr:`RolloutStatus.source` of the environment before, from the database that holds it.
    """
    text = None if evidence is None else json.dumps(evidence)
    parameters = {"flag": flag, "environment": environment, "evidence": text}
    return [RolloutStatus.from_json(json.loads(text)) for (text,) in _rows(connection, "rollout_statuses", parameters)]


def guard_rollouts(
    connection: psycopg.Connection[Any], told: Mapping[str, str | None] | None = None
) -> list[RolloutStatus]:
    """Judge every rollout that is on its way, and take back a stage whose guardrail is broken.

    Args:
        connection: As ``holds_operator``, or the owner.
        told: What held back each when this was called last, by :attr:`RolloutStatus.key`: it is recorded as an event
            when it changes.

    Returns:
        What each was found to be; :attr:`RolloutStatus.rolled_back_to` where it was taken back.
    """
    return [
        RolloutStatus.from_json(json.loads(text))
        for (text,) in _rows(connection, "guard_rollouts", {"told": json.dumps(dict(told or {}))})
    ]


def read_cohort(connection: psycopg.Connection[Any], flag: str) -> list[UUID]:
    """Return the restaurants that take part in a flag's stages; none: all do."""
    return [restaurant_id for (restaurant_id,) in _rows(connection, "list_rollout_cohort", {"flag": flag})]


def _rows(connection: psycopg.Connection[Any], name: str, parameters: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
    try:
        with connection.cursor(row_factory=tuple_row) as cursor:
            return cursor.execute(query(name), parameters).fetchall()
    except psycopg.Error as error:
        raise_translated(error)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
