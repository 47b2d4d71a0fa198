"""Follows another database's events, where ``HOLDWATCH_SYNC_URL`` names one."""

import os
from dataclasses import asdict
from datetime import timedelta

import dagster as dg
from pydantic import Field

from holds_core.database.settings import Settings
from holds_core.events.sync import sync_events
from orchestration.jobs import PLATFORM, run_tags
from orchestration.paths import state_dir
from orchestration.resources import DatabaseResource

URL_VARIABLE = "HOLDWATCH_SYNC_URL"
TABLE_VARIABLE = "HOLDWATCH_SYNC_TABLE"
OUR_TABLE = "holds.observability_events"


class SyncConfig(dg.Config):
    """How a run goes about following the other database."""

    overlap_minutes: int = Field(
        60,
        ge=0,
        description=(
            "How far back, in minutes, a table is looked at again that has times alone and no order of arrival. "
            "What is here already is a duplicate, and is counted as one."
        ),
    )


@dg.op(
    description=f"Brings what has come into the events of the database that {URL_VARIABLE} names.",
)
def sync_source(context: dg.OpExecutionContext, config: SyncConfig, database: DatabaseResource) -> None:
    """Sync once; safe beside itself, and beside imports."""
    # From the environment, not from the run's configuration, which Dagster stores and shows.
    source = os.environ.get(URL_VARIABLE)
    if source is None:
        raise dg.Failure(
            f"{URL_VARIABLE} is not set: there is no database to follow. Set it, and start `holdwatch up` anew."
        )
    with database.connect_in_step() as connection:
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
    description=f"Follows once the events of the database that {URL_VARIABLE} names (docs/events.md).",
    owners=PLATFORM,
    tags=run_tags("sync_events", at_most=timedelta(minutes=30)),
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
    owners=PLATFORM,
    description=f"Follows the database that {URL_VARIABLE} names, every five minutes; without one it does nothing.",
)
def sync_events_every_five_minutes() -> dg.RunRequest | dg.SkipReason:
    """Ask for a run where there is something to follow."""
    return (
        dg.RunRequest()
        if URL_VARIABLE in os.environ
        else dg.SkipReason(f"There is no database to follow: {URL_VARIABLE} is not set.")
    )
