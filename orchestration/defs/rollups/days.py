"""Each UTC day of the rollups, compared with its events and rebuilt from them where they differ.

A night's run looks at the day that has just ended. A backfill from the UI looks at as many as one likes, in one run.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from expectations.suites.views import VIEWS_SCHEMA
from holds_core.database.settings import RETENTION_DAYS
from orchestration.asset_facts import Updates, docs, tags
from orchestration.jobs import ANALYTICS, run_tags
from orchestration.resources import DatabaseResource, PipelineLock
from orchestration.rollups import ROLLUPS, Reconciliation, reconcile_day, refresh_rollups

ROLLUP_DAYS = dg.AssetKey(["analytics", "rollup_days"])

days = dg.DailyPartitionsDefinition(
    start_date=f"{datetime.now(UTC).date() - timedelta(days=RETENTION_DAYS):%Y-%m-%d}",
    timezone="UTC",
    # Today too, as far as it has come.
    end_offset=1,
)


@dg.asset(
    key=ROLLUP_DAYS,
    partitions_def=days,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=[dg.AssetKey(["analytics", rollup]) for rollup in ROLLUPS],
    check_specs=[
        dg.AssetCheckSpec(
            "rollups_equal_events",
            asset=ROLLUP_DAYS,
            description="What the rollups hold of these days is what their events give. Where not, it is rebuilt; the "
            "check fails all the same, since views may have been wrong until then.",
        )
    ],
    group_name="rollups",
    owners=ANALYTICS,
    kinds={"postgres", "python"},
    description=(
        "The rollups of each UTC day, compared with its events row by row, and rebuilt where they differ. "
        "`analytics.rollup_reconciliations` keeps what was found. Materialize as many days as you like: "
        "they are one run."
    ),
    tags=tags(Updates.NIGHTLY, is_public=False),
    metadata={
        "docs": docs("rollups.md"),
        "kept in": dg.MetadataValue.asset(dg.AssetKey([VIEWS_SCHEMA, "rollup_reconciliations"])),
    },
)
def rollup_days(
    context: dg.AssetExecutionContext, database: DatabaseResource, pipeline_lock: PipelineLock
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """Reconcile the days of the run's partitions."""
    chosen = [date.fromisoformat(key) for key in context.partition_keys]
    wrong: list[Reconciliation] = []
    events = 0
    with database.connect_in_step() as connection:
        for number, day in enumerate(chosen, 1):
            found = reconcile_day(connection, day)
            events += found[0].events
            context.log.info("%s (%d of %d): %d events", day, number, len(chosen), found[0].events)
            wrong.extend(one for one in found if not one.is_equal)
        for day in sorted({one.day for one in wrong}):
            _rebuild(context, database, day)
            if any(not one.is_equal for one in reconcile_day(connection, day)):
                raise dg.Failure(
                    f"The rollups of {day} differ from its events even after a rebuild.", allow_retries=False
                )
    yield dg.MaterializeResult(
        asset_key=ROLLUP_DAYS,
        metadata={
            "days": len(chosen),
            "events": events,
            "first_day": min(chosen).isoformat(),
            "last_day": max(chosen).isoformat(),
            "days_rebuilt": ", ".join(sorted({f"{one.day}" for one in wrong})) or "none",
        },
        check_results=[
            dg.AssetCheckResult(
                check_name="rollups_equal_events",
                passed=not wrong,
                severity=dg.AssetCheckSeverity.ERROR,
                description=f"{'; '.join(_in_words(one) for one in wrong[:10])}. Rebuilt, and equal now."
                if wrong
                else None,
            )
        ],
    )


def _rebuild(context: dg.AssetExecutionContext, database: DatabaseResource, day: date) -> None:
    context.log.error("The rollups of %s differ from its events, and are rebuilt.", day)
    bounds = f'{{"rebuild_from": "{day}", "rebuild_before": "{day + timedelta(days=1)}"}}'
    result = refresh_rollups(database.url, "--vars", bounds)
    if not result.is_successful:
        raise dg.Failure(f"The rollups of {day} could not be rebuilt; dbt's log: {result.log}")


def _in_words(found: Reconciliation) -> str:
    return (
        f"{found.day} {found.rollup}: {found.differing} rows differ; {found.events} events, of which "
        f"{found.rolled_up_events} are counted"
    )


reconcile_days_job = dg.define_asset_job(
    "reconcile_days",
    selection=dg.AssetSelection.assets(ROLLUP_DAYS),
    description=(
        "Compares the rollups of UTC days with their events, and rebuilds what differs. Choose the days when you "
        "launch it; a backfill of all 90 is one run."
    ),
    owners=ANALYTICS,
    tags=run_tags("reconcile_days", at_most=timedelta(hours=2)),
    executor_def=dg.in_process_executor,
)

reconcile_days_every_night = dg.build_schedule_from_partitioned_job(
    reconcile_days_job,
    name="reconcile_days_every_night",
    hour_of_day=1,
    minute_of_hour=20,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    owners=ANALYTICS,
    description="Compares the rollups of the UTC day that has ended with its events, at 01:20 UTC.",
)
