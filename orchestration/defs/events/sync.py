"""Follows another database's events, where ``HOLDWATCH_SYNC_URL`` names one."""

import os
from dataclasses import asdict
from datetime import timedelta

import dagster as dg

from holds_core.database.settings import Settings
from holds_core.events.sync import sync_events
from orchestration.paths import state_dir
from orchestration.resources import DatabaseResource

URL_VARIABLE = "HOLDWATCH_SYNC_URL"
TABLE_VARIABLE = "HOLDWATCH_SYNC_TABLE"
OUR_TABLE = "holds.observability_events"


class SyncConfig(dg.Config):
    """How a run goes about it.

    Attributes:
        overlap_minutes: How far back a table that has only times is looked at again.
    """

    overlap_minutes: int = 60


@dg.op(description=f"Brings what has come into the events of the database that {URL_VARIABLE} names.")
def sync_source(context: dg.OpExecutionContext, config: SyncConfig, database: DatabaseResource) -> None:
    """Sync once; safe beside itself, and beside imports."""
    # From the environment, not from the run's configuration, which Dagster stores and shows.
    source = os.environ.get(URL_VARIABLE)
    if source is None:
        raise dg.Failure(f"{URL_VARIABLE} is not set: there is no database to follow.")
    with database.connect() as connection:
        report = sync_events(
            connection,
            source,
            rejects_directory=state_dir() / "sync",
            environment=Settings.from_environ().environment.value,
            table=os.environ.get(TABLE_VARIABLE, OUR_TABLE),
            overlap=timedelta(minutes=config.overlap_minutes),
        )
    context.add_output_metadata({**asdict(report), "rejects_path": str(report.rejects_path or "")})
    if report.rejected:
        context.log.warning("%d rows are no events; see %s", report.rejected, report.rejects_path)


@dg.job(
    name="sync_events",
    description="Follows another database's events once, where one is named.",
    executor_def=dg.in_process_executor,
)
def sync_events_job() -> None:
    """Sync once."""
    sync_source()


@dg.schedule(
    job=sync_events_job,
    cron_schedule="2-59/5 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description=f"Follows the database that {URL_VARIABLE} names, every five minutes; without one it does nothing.",
)
def follow_source() -> dg.RunRequest | dg.SkipReason:
    """Ask for a run where there is something to follow."""
    return dg.RunRequest() if URL_VARIABLE in os.environ else dg.SkipReason(f"{URL_VARIABLE} is not set.")
