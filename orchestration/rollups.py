"""The rollups from outside of dbt: how far they have come, what waits for them, and whether they equal the events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import psycopg

from holds_core.events.types import EventType
from orchestration.dbt import DbtResult, run_dbt

ROLLUPS = ("fct_error_counts", "fct_event_counts", "fct_latency_sketches")

REFRESH_AT_EVENTS = 20_000
"""Waiting events above which a refresh does not wait for its time: the live views have to read them all."""

_OF_THE_PIPELINE = [str(EventType.PIPELINE_SUCCEEDED), str(EventType.PIPELINE_FAILED)]

# Rows as the rollup has them, and as its unrolled view gives them: in the same columns.
_STORED_AND_GIVEN = {
    "fct_event_counts": ("select * from analytics.fct_event_counts", "select * from analytics.unrolled_event_counts"),
    "fct_error_counts": ("select * from analytics.fct_error_counts", "select * from analytics.unrolled_error_counts"),
    "fct_latency_sketches": (
        """
        select
            restaurant_key, grain, environment, phase, bucket_at, cells.sketch_index,
            cells.sample_count::bigint as sample_count
        from analytics.fct_latency_sketches
        cross join lateral unnest(sketch_indexes, sketch_counts) as cells (sketch_index, sample_count)
        """,
        "select * from analytics.unrolled_latency_cells",
    ),
}
_COMPARED = """
with

stored as (
    select * from ({stored}) as stored_rows
    where
        bucket_at >= %(begins)s and bucket_at < %(ends)s
        and bucket_at >= case grain
            when 'minute' then date_trunc('minute', now(), 'UTC') - interval '48 hours' else '-infinity' end
),

given as ({given}),

-- As multisets: no row too many, and none too few.
too_many as (select * from stored except all select * from given),

missing as (select * from given except all select * from stored)

select
    (select count(*) from stored),
    (select count(*) from too_many) + (select count(*) from missing)
"""


@dataclass(frozen=True)
class Reconciliation:
    """What came of comparing a rollup of a day with the events of that day.

    Attributes:
        day: The UTC day.
        rollup: The rollup's model.
        rows: Rows that the rollup has of that day; of sketches, their cells.
        differing: Rows that are missing, too many, or say something else.
        events: Events of the day that are counted without any of the rollups' SQL.
        rolled_up_events: Events of the day by the rollup of the counts.
    """

    day: date
    rollup: str
    rows: int
    differing: int
    events: int
    rolled_up_events: int

    @property
    def is_equal(self) -> bool:
        """Whether rollup and events say the same."""
        return self.differing == 0 and self.events == self.rolled_up_events


def refresh_rollups(url: str, *arguments: str, rollups: Sequence[str] = ROLLUPS) -> DbtResult:
    """Merge what has come in into the rollups, one after the other; see :func:`orchestration.dbt.run_dbt`.

    One that fails leaves the others refreshed, and itself as it was. By one thread: the second core is for others, and
    three at once are hardly done sooner. A rollup does not ask dbt what else there is, so it need not look; and it need
    not log each statement, which takes as long as all else that dbt does for a rollup.
    """
    options = ("--threads", "1", "--no-populate-cache", "--log-level-file", "info")
    return run_dbt(url, "run", "--select", *rollups, *options, *arguments)


def move_on_if_quiet(connection: psycopg.Connection) -> int | None:
    """Move the rollups' positions on where nothing waits that is worth a refresh, which takes ten seconds of a core.

    What the pipeline has recorded of its own runs is not worth it: its next pass takes that in. Positions move on to
    just before it, or as far as a refresh would have moved them.

    Args:
        connection: Autocommit, of a user who owns the schema ``analytics``.

    Returns:
        The position up to which every event is in all rollups; None where a refresh is wanted, or one is at work.
    """
    with connection.transaction():
        for rollup in ROLLUPS:
            locked = connection.execute(
                "select pg_try_advisory_xact_lock(hashtextextended('holdwatch.refresh.' || %s, 0))", (rollup,)
            ).fetchone()
            if locked != (True,):
                return None
        position = rolled_up_to(connection)
        waiting = connection.execute(
            """
            select exists (
                select from holds.observability_events
                where ingest_pos > %s and ingest_pos <= 9223372036854775807 and event_type <> all(%s)
            )
            """,
            (position, _OF_THE_PIPELINE),
        ).fetchone()
        if position is None or waiting != (False,):
            return None
        # Bound and events of one snapshot: what it does not show of transactions below its xmin will never be there.
        connection.execute(
            """
            with settled as (
                select
                    rollup,
                    greatest(
                        position,
                        least(
                            (pg_snapshot_xmin(pg_current_snapshot())::text)::bigint - 1,
                            (
                                select min(ingest_pos) - 1 from holds.observability_events
                                where ingest_pos > position and ingest_pos <= 9223372036854775807
                            )
                        )
                    ) as position
                from analytics.rollup_positions
                where rollup = any(%s)
            )

            update analytics.rollup_positions as rollups
            set position = settled.position, read_after = settled.position, refreshed_at = now()
            from settled
            where rollups.rollup = settled.rollup
            """,
            (list(ROLLUPS),),
        )
        return rolled_up_to(connection)


def rolled_up_to(connection: psycopg.Connection) -> int | None:
    """Return the position up to which every event is in all rollups; None where they have not all been built."""
    if connection.execute("select to_regclass('analytics.rollup_positions')").fetchone() == (None,):
        return None
    row = connection.execute(
        """
        select min(position) from analytics.rollup_positions
        where rollup = any(%s) and server_id = holds.server_id()
        having count(*) = %s
        """,
        (list(ROLLUPS), len(ROLLUPS)),
    ).fetchone()
    return None if row is None else int(row[0])


def waiting_events(connection: psycopg.Connection, *, at_most: int = REFRESH_AT_EVENTS) -> int:
    """Return how many events are not in all rollups yet; counts no further than ``at_most``."""
    position = rolled_up_to(connection)
    row = connection.execute(
        """
        select count(*) from (
            select from holds.observability_events
            where ingest_pos > %s and ingest_pos <= 9223372036854775807
            limit %s
        ) as waiting
        """,
        (-1 if position is None else position, at_most),
    ).fetchone()
    assert row is not None
    return int(row[0])


def reconcile_day(connection: psycopg.Connection, day: date) -> list[Reconciliation]:
    """Compare the rollups of a UTC day with its events, and record what came of it.

    No refresh comes between: it waits meanwhile, as this waits for one that is at work.

    Args:
        connection: Autocommit, of a user who owns the schema ``analytics``.
        day: Within the history.
    """
    begins = datetime.combine(day, time(), UTC)
    bounds = {"begins": begins, "ends": begins + timedelta(days=1)}
    found = []
    with connection.transaction(force_rollback=True):
        connection.execute("set local work_mem = '64MB'")
        for rollup in ROLLUPS:
            connection.execute(
                "select pg_advisory_xact_lock(hashtextextended('holdwatch.refresh.' || %s, 0))", (rollup,)
            )
        # As in a rebuild of the day, and undone at the end: the unrolled views give what the rollups should hold.
        connection.execute(
            "update analytics.rollup_positions"
            " set read_after = -1, read_until = position, read_from = %(begins)s, read_before = %(ends)s",
            bounds,
        )
        for rollup in ROLLUPS:
            stored, given = _STORED_AND_GIVEN[rollup]
            compared = connection.execute(_COMPARED.format(stored=stored, given=given), bounds).fetchone()
            counted = connection.execute(
                """
                select
                    (
                        select count(*) from holds.observability_events
                        where
                            occurred_at >= %(begins)s and occurred_at < %(ends)s
                            and ingest_pos
                            <= (select position from analytics.rollup_positions where rollup = 'fct_event_counts')
                    ),
                    (
                        select coalesce(sum(event_count), 0) from analytics.fct_event_counts
                        where grain = 'day' and restaurant_key = '(all)' and bucket_at = %(begins)s
                    )
                """,
                bounds,
            ).fetchone()
            assert compared is not None
            assert counted is not None
            found.append(Reconciliation(day, rollup, compared[0], compared[1], int(counted[0]), int(counted[1])))
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            insert into analytics.rollup_reconciliations (
                reconciled_at, day, rollup, row_count, differing_count, event_count, rolled_up_event_count
            )
            values (clock_timestamp(), %s, %s, %s, %s, %s, %s)
            """,
            [(one.day, one.rollup, one.rows, one.differing, one.events, one.rolled_up_events) for one in found],
        )
    return found
