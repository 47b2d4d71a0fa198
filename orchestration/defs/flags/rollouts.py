"""Guards staged rollouts: every minute each is judged, and a stage whose guardrail is broken goes back by itself."""

from __future__ import annotations

import json

import dagster as dg

from holds_core.flags import rollouts
from orchestration.jobs import PLATFORM
from orchestration.resources import DatabaseResource


@dg.sensor(
    # In its own tick, as push_to_datadog: a run's process costs seconds, and judging milliseconds.
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    owners=PLATFORM,
    description="Judges staged rollouts every minute, and takes a stage back whose guardrail is broken.",
)
def guard_rollouts(context: dg.SensorEvaluationContext, database: DatabaseResource) -> dg.SensorResult:
    """Judge them once. The cursor is what has been said already: only what changes becomes an event."""
    with database.connect() as connection:
        found = rollouts.guard_rollouts(connection, json.loads(context.cursor or "{}"))
    said = []
    for status in found:
        if status.rolled_back_to is None:
            said.append(f"{status.flag} in {status.environment} at {status.stage} %: {status.verdict}")
        else:
            said.append(f"{status.flag} in {status.environment} was rolled back to {status.rolled_back_to}")
            context.log.error("%s; see: holdwatch rollout status --flag %s", said[-1], status.flag)
    return dg.SensorResult(
        skip_reason="; ".join(said) or "No rollout is on its way.",
        cursor=json.dumps({status.key: status.held_by for status in found if status.rolled_back_to is None}),
    )
