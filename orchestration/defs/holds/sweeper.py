"""Sweeps every minute: a double booking is an event at most a minute after it was made, whatever let it through."""

from dataclasses import asdict
from datetime import timedelta

import dagster as dg

from holds_core.events.spool import default_spool
from holds_core.sweeper import is_sweep_due, sweep_holds
from orchestration.jobs import PLATFORM, run_tags
from orchestration.resources import DatabaseResource


@dg.op(
    description="Ends holds whose time is over, records new double bookings, drains what waits for this database.",
)
def sweep(context: dg.OpExecutionContext, database: DatabaseResource) -> None:
    """Sweep once; safe beside itself and beside whatever places holds."""
    with database.connect_in_step() as connection:
        report = sweep_holds(connection, default_spool(database.url))
    context.add_output_metadata(asdict(report))
    if report.double_bookings:
        context.log.critical("%d new double bookings; see: holdwatch holds conflicts", report.double_bookings)


@dg.job(
    name="sweep_holds",
    description=(
        "Sweeps the holds once: ends those whose time is over, records double bookings that nobody has recorded yet, "
        "and brings in events that wait on this machine's disk. `holdwatch holds sweep` does the same."
    ),
    owners=PLATFORM,
    tags=run_tags("sweep_holds", at_most=timedelta(minutes=10)),
    executor_def=dg.in_process_executor,
)
def sweep_holds_job() -> None:
    """Sweep once."""
    sweep()


@dg.schedule(
    job=sweep_holds_job,
    cron_schedule="* * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    owners=PLATFORM,
    description="Sweeps the holds every minute in which there is something to sweep.",
)
def sweep_holds_every_minute(
    context: dg.ScheduleEvaluationContext, database: DatabaseResource
) -> dg.RunRequest | dg.SkipReason:
    """Ask for a run where there is something to do: a process of its own costs seconds, and looking costs nothing."""
    with database.connect() as connection:
        if is_sweep_due(connection, default_spool(database.url)):
            return dg.RunRequest()
    return dg.SkipReason("Nothing has expired, no hold is new, no event waits.")
