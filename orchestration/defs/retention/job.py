"""Says what is too old, then lets go of it. With ``dry_run`` it only says."""

from datetime import UTC, datetime, time, timedelta

import dagster as dg
from pydantic import Field

from holds_core.database.migrations import ensure_event_partitions
from holds_core.database.queries import query
from holds_core.database.settings import RETENTION_DAYS
from holds_core.events.retention import ExpiredPartition, drop_partitions, plan_retention
from orchestration.dagster_history import prune_history
from orchestration.jobs import PLATFORM, run_tags
from orchestration.resources import DatabaseResource
from orchestration.rollups import rolled_up_to


class RetentionConfig(dg.Config):
    """How a run goes about letting go of what is too old."""

    dry_run: bool = Field(False, description="Only say in the log what would be let go of, and change nothing.")
    history_days: int = Field(
        14,
        ge=0,
        description=(
            "How many days Dagster's own runs and their events are kept; 0 lets go of all that have ended. How long "
            f"events and holds are kept does not depend on it: {RETENTION_DAYS} days."
        ),
    )


@dg.op(
    description="Lists the partitions that are older than the history, and whether their events are rolled up.",
)
def plan(context: dg.OpExecutionContext, database: DatabaseResource) -> list[ExpiredPartition]:
    """Change nothing, and say what is to go."""
    with database.connect_in_step() as connection:
        partitions = plan_retention(connection, rolled_up_to=rolled_up_to(connection))
    for partition in partitions:
        kept = f"stays: {partition.kept_because}" if partition.kept_because else "is to be dropped"
        context.log.info("%s (%.1f MB) %s", partition.name, partition.size_bytes / 1e6, kept)
    context.add_output_metadata({"partitions": len(partitions), "first_day_kept": f"{_first_day():%Y-%m-%d}"})
    return partitions


@dg.op(
    description="Drops those partitions, forgets ended holds of the same age, lets events out of quarantine.",
)
def let_go(
    context: dg.OpExecutionContext,
    config: RetentionConfig,
    database: DatabaseResource,
    partitions: list[ExpiredPartition],
) -> None:
    """Do what the plan says, unless it is a dry run."""
    if config.dry_run:
        context.log.info("A dry run: nothing is changed.")
        return
    forgotten = 0
    with database.connect_in_step() as connection:
        ensure_event_partitions(connection)
        readmitted = connection.execute(query("readmit_quarantined_events")).fetchone()
        dropped = drop_partitions(
            connection, partitions, lambda partition: context.log.info("Dropped %s.", partition.name)
        )
        while batch := connection.execute(query("forget_ended_holds"), {"before": _first_day()}).fetchone():
            forgotten += batch[0]
            if not batch[0]:
                break
    pruned = prune_history(context.instance, older_than=datetime.now(UTC) - timedelta(days=config.history_days))
    context.add_output_metadata(
        {
            "partitions_dropped": len(dropped),
            "holds_forgotten": forgotten,
            "events_readmitted": readmitted[0] if readmitted else 0,
            "runs_pruned": pruned,
        }
    )


def _first_day() -> datetime:
    return datetime.combine(datetime.now(UTC).date() - timedelta(days=RETENTION_DAYS), time(), UTC)


@dg.job(
    name="retention",
    description=(
        "Lets go of events after 90 days, of ended holds with them, and of Dagster's own history after 14. "
        "With dry_run it only says what it would let go of."
    ),
    owners=PLATFORM,
    tags=run_tags("retention", at_most=timedelta(hours=2)),
    executor_def=dg.in_process_executor,
)
def retention_job() -> None:
    """Plan, then do."""
    let_go(plan())


retention_every_day = dg.ScheduleDefinition(
    name="retention_every_day",
    job=retention_job,
    cron_schedule="40 3 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    owners=PLATFORM,
    description="Lets go of events and holds that are older than 90 days, and of Dagster's runs after 14 days.",
)
