"""Dagster's own history: runs and their events, which it keeps for ever unless somebody deletes them."""

from __future__ import annotations

from datetime import datetime

import dagster as dg

_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_BATCH = 100


def prune_history(instance: dg.DagsterInstance, *, older_than: datetime) -> int:
    """Delete the runs that ended and were created before a moment, with their events; return how many.

    What assets were last made of stays until they are made again: Dagster keeps that apart from the runs.
    """
    pruned = 0
    while records := instance.get_run_records(
        dg.RunsFilter(statuses=_ENDED, created_before=older_than), limit=_BATCH, ascending=True
    ):
        for record in records:
            instance.delete_run(record.dagster_run.run_id)
        pruned += len(records)
    return pruned
