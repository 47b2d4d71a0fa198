"""Four writers at once, with late and repeated events, rollbacks and long transactions, while dbt refreshes.

In every snapshot the live views say what the raw events say, and at the end the rollups equal a rebuild. The control is
the same with a watermark that looks only at what is committed: it must lose events.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from uuid import UUID

import psycopg
import pytest

from holds_core.database.connections import connect
from orchestration.dbt import DbtResult, run_dbt
from orchestration.paths import DBT_PROJECT_DIR
from orchestration.rollups import ROLLUPS, reconcile_day
from tests.dbt_project.loading import insert_event
from tests.dbt_project.test_live_views import one
from tests.dbt_project.test_rollups import all_contents, contents
from tests.transactions import wait_for_earlier_transactions

WRITERS = 4
REFRESHES = 6

# What the live views must say, counted from the raw events with none of their SQL.
_RAW_COUNTS = """
select
    date_trunc(grain, occurred_at, 'UTC') as bucket_at, grain, scope as restaurant_key,
    count(*) filter (where event_type = 'capacity.selector.assignment') as assignment_count,
    count(*) filter (where event_type = 'capacity.selector.skipped') as skipped_count
from holds.observability_events
cross join (values ('hour'), ('day')) as grains (grain)
cross join lateral (values ('(all)'), (coalesce(restaurant_id::text, '(none)'))) as scopes (scope)
where event_type like 'capacity.selector.%%'
group by 1, 2, 3
"""
_LIVE_COUNTS = """
select bucket_at, grain, restaurant_key, assignment_count, skipped_count
from analytics.assignment_success_rate where grain <> 'minute'
"""
_RAW_LATENCIES = """
select
    date_trunc('day', occurred_at, 'UTC') as bucket_at,
    count(*) as sample_count,
    percentile_disc(0.95) within group (order by (context -> 'timing' ->> 'totalMs')::float8) as p95_ms
from holds.observability_events
where event_type like 'capacity.selector.%%' and context -> 'timing' ? 'totalMs'
group by 1
"""
_LIVE_LATENCIES = """
select bucket_at, sample_count, latency_ms from analytics.reservation_latency_ms
where grain = 'day' and restaurant_key = '(all)' and phase = 'total' and percentile = 0.95
"""


def write(url: str, seed: int, is_over: threading.Event) -> int:
    """Write until told to stop; return how many transactions were committed."""
    random = Random(seed)
    restaurants = [UUID(int=number, version=4) for number in range(5)]
    known: list[tuple[UUID, datetime]] = []
    committed = 0
    with connect(url, autocommit=False) as connection:
        while not is_over.is_set():
            rows = []
            for _ in range(random.randrange(1, 30)):
                now = datetime.now(UTC)
                # Never on the edge of the minutes' 48 hours, which moves on while this runs.
                late = timedelta(days=random.randrange(40), hours=3) if random.random() < 0.2 else timedelta()
                identity = (UUID(int=random.getrandbits(128), version=4), now - late)
                if known and random.random() < 0.1:
                    identity = random.choice(known)
                latency = random.lognormvariate(4, 1)
                kind = "assignment" if random.random() < 0.9 else "skipped"
                restaurant = random.choice([*restaurants, None])
                rows.append((*identity, f"capacity.selector.{kind}", restaurant, latency))
            with connection.cursor() as cursor:
                cursor.executemany(
                    """
                    insert into holds.observability_events
                        (id, occurred_at, environment, source, event_type, restaurant_id, context)
                    values (%s, %s, 'prod', 'test', %s, %s,
                        jsonb_build_object('timing', jsonb_build_object('totalMs', %s::float8)))
                    on conflict do nothing
                    """,
                    rows,
                )
            if random.random() < 0.1:
                # Longer than a refresh takes, at times: it has the lower position of all that was written meanwhile.
                is_over.wait(random.random() * 6)
            if random.random() < 0.2:
                connection.rollback()
                continue
            connection.commit()
            committed += 1
            known = [*known, *((row[0], row[1]) for row in rows)][-200:]
            is_over.wait(random.random() * 0.05)
    return committed


def assert_live_equals_raw(connection: psycopg.Connection) -> int:
    """Compare within one snapshot; return how many events it had."""
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read")
        for raw, live in ((_RAW_COUNTS, _LIVE_COUNTS),):
            expected = set(connection.execute(raw).fetchall())
            actual = set(connection.execute(live).fetchall())
            assert actual == expected
        latencies = {row[0]: row[1:] for row in connection.execute(_RAW_LATENCIES)}
        live_latencies = {row[0]: row[1:] for row in connection.execute(_LIVE_LATENCIES)}
        assert latencies.keys() == live_latencies.keys()
        for bucket, (count, p95_ms) in latencies.items():
            assert live_latencies[bucket] == (count, pytest.approx(p95_ms, rel=0.01))
        return int(one(connection, "select count(*) from holds.observability_events")[0])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_live_views_equal_raw_events_whatever_goes_on(
    new_views_database: Callable[[], str], dbt: Callable[..., DbtResult]
) -> None:
    url = new_views_database()
    is_over = threading.Event()
    snapshots = []
    with ThreadPoolExecutor(WRITERS + 1) as executor, connect(url) as connection:
        writers = [executor.submit(write, url, seed, is_over) for seed in range(WRITERS)]
        try:
            for _ in range(REFRESHES):
                refresh = executor.submit(dbt, url, "run", "--select", *ROLLUPS)
                while not refresh.done():
                    snapshots.append(assert_live_equals_raw(connection))
                assert refresh.result().is_successful
                snapshots.append(assert_live_equals_raw(connection))
        finally:
            is_over.set()
        assert all(writer.result() > 50 for writer in writers)
        assert len(snapshots) >= 2 * REFRESHES
        assert len(set(snapshots)) > REFRESHES, "the events must have changed between the snapshots"

        wait_for_earlier_transactions(connection)
        assert dbt(url, "run", "--select", *ROLLUPS).is_successful
        assert contents(connection, "unrolled_event_counts") == {}
        additive = all_contents(connection)
        for days in range(40):
            assert all(
                found.is_equal for found in reconcile_day(connection, datetime.now(UTC).date() - timedelta(days))
            )
        assert dbt(url, "run", "--select", *ROLLUPS, "--full-refresh").is_successful
        rebuilt = all_contents(connection)
        assert rebuilt == additive


def test_a_watermark_of_what_is_committed_loses_events(
    new_views_database: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: with the greatest position seen for a bound, an event of a longer transaction is passed by."""
    project = tmp_path / "project"
    shutil.copytree(DBT_PROJECT_DIR, project)
    macros = project / "macros" / "rollups.sql"
    bound = "(pg_snapshot_xmin(pg_current_snapshot())::text)::bigint - 1"
    text = macros.read_text("utf-8")
    assert text.count(bound) == 1
    naive = "(select coalesce(max(ingest_pos), 0) from {{ source('holds', 'observability_events') }})"
    macros.write_text(text.replace(bound, naive), "utf-8")
    monkeypatch.setattr("orchestration.dbt.DBT_PROJECT_DIR", project)
    url = new_views_database()
    counted = (
        "select coalesce(sum(assignment_count), 0) from analytics.assignment_success_rate"
        " where grain = 'day' and restaurant_key = '(all)'"
    )
    with connect(url) as connection, connect(url, autocommit=False) as slow:
        insert_event(slow, "capacity.selector.assignment")
        insert_event(connection, "capacity.selector.assignment")
        assert run_dbt(url, "run", "--select", "rollups", state=tmp_path).is_successful
        slow.commit()
        assert run_dbt(url, "run", "--select", "rollups", state=tmp_path).is_successful
        assert one(connection, "select count(*) from holds.observability_events") == (2,)
        assert one(connection, counted) == (1,)
