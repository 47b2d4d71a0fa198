"""Events out to Parquet and in again, and from one database into another."""

from __future__ import annotations

import importlib
import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from holds_core.database.connections import connect
from holds_core.events import sync
from holds_core.events.export import ExportError, export_events
from holds_core.events.importer import import_file
from holds_core.events.sync import SyncError, SyncReport, sync_events
from tests.transactions import wait_for_earlier_transactions

COLUMNS = "id, occurred_at, environment, source, event_type, severity, restaurant_id, booking_id, context::text"


@pytest.fixture
def database_url(new_database: Callable[..., str], whole_template: str) -> str:
    return new_database(whole_template)


@pytest.fixture
def other_url(new_database: Callable[..., str], whole_template: str) -> str:
    return new_database(whole_template)


def insert(connection: psycopg.Connection, at: datetime, count: int = 1, **context: Any) -> None:
    connection.execute(
        "insert into holds.observability_events (occurred_at, environment, source, event_type, restaurant_id, context)"
        " select %s, 'prod', 'test', 'capacity.test', gen_random_uuid(), %s::jsonb from generate_series(1, %s)",
        (at, json.dumps(context), count),
    )


def stored(connection: psycopg.Connection) -> Counter[tuple[Any, ...]]:
    return Counter(connection.execute(f"select {COLUMNS} from holds.observability_events").fetchall())


def test_an_export_can_be_imported_again(connection: psycopg.Connection, other_url: str, tmp_path: Path) -> None:
    """Every event as it was, in the folder of its UTC day."""
    now = datetime.now(UTC)
    days = [now - timedelta(days=number) for number in (0, 1, 40)]
    for day in days:
        insert(connection, day, 30, timing={"totalMs": 12.5, "plannerMs": "7"}, name="Zoë \\ ☃")
    report = export_events(connection, tmp_path / "events")
    assert report.days_written == tuple(sorted(day.date() for day in days))
    assert report.events == 90
    files = sorted((tmp_path / "events").glob("day=*/events.parquet"))
    assert [file.parent.name for file in files] == [f"day={day}" for day in report.days_written]
    with connect(other_url) as other:
        for file in files:
            result = import_file(other, file, environment="dev")
            assert (result.imported, result.rejected) == (30, 0)
        expected = stored(connection)
        actual = stored(other)
        assert {row[:8] for row in actual} == {row[:8] for row in expected}
    assert not list(tmp_path.rglob("*.writing"))


def test_a_second_export_writes_what_has_changed(
    connection: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    """Days with new events, late ones too, and those of transactions that were not over; nothing else is touched."""
    now = datetime.now(UTC)
    for number in range(5):
        insert(connection, now - timedelta(days=number))
    wait_for_earlier_transactions(connection)
    assert len(export_events(connection, tmp_path).days_written) == 5
    assert export_events(connection, tmp_path).days_written == ()
    with connect(database_url, autocommit=False) as slow:
        insert(slow, now - timedelta(days=3))
        insert(connection, now - timedelta(days=1))
        assert export_events(connection, tmp_path).days_written == ((now - timedelta(days=1)).date(),)
        slow.commit()
    late = export_events(connection, tmp_path)
    assert (now - timedelta(days=3)).date() in late.days_written
    connection.execute(
        "delete from holds.observability_events where occurred_at < %s", (now - timedelta(days=3, hours=12),)
    )
    insert(connection, now)
    report = export_events(connection, tmp_path)
    assert report.days_removed == ((now - timedelta(days=4)).date(),)
    parquet = importlib.import_module("pyarrow.parquet")
    rows = sum(parquet.read_metadata(file).num_rows for file in tmp_path.glob("day=*/*.parquet"))
    assert (rows,) == connection.execute("select count(*) from holds.observability_events").fetchone()
    manifest = json.loads((tmp_path / "_export.json").read_text())
    assert sum(manifest["days"].values()) == rows


def test_an_export_takes_over_no_other_folder(connection: psycopg.Connection, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ExportError, match="holds something else"):
        export_events(connection, tmp_path)
    (tmp_path / "thesis.txt").unlink()
    (tmp_path / "_export.json").write_text("{")
    with pytest.raises(ExportError, match="cannot be read"):
        export_events(connection, tmp_path)


def follow(connection: psycopg.Connection, url: str, tmp_path: Path, **options: Any) -> SyncReport:
    return sync_events(connection, url, rejects_directory=tmp_path / "rejects", environment="dev", **options)


def test_a_sync_brings_each_row_once_however_late_it_is(
    connection: psycopg.Connection, other_url: str, tmp_path: Path
) -> None:
    """Arrivals are counted: old times, and transactions that were not over, are found without looking back."""
    now = datetime.now(UTC)
    with connect(other_url) as other, connect(other_url, autocommit=False) as slow:
        insert(other, now, 10)
        wait_for_earlier_transactions(other)
        assert follow(connection, other_url, tmp_path).imported == 10
        assert follow(connection, other_url, tmp_path).imported == 0
        insert(slow, now)
        insert(other, now - timedelta(days=60), 5, reason="late")
        follow(connection, other_url, tmp_path)
        slow.commit()
        wait_for_earlier_transactions(other)
        follow(connection, other_url, tmp_path)
        report = follow(connection, other_url, tmp_path)
        assert (report.imported, report.duplicates, report.rejected) == (0, 0, 0)
        assert stored(connection) == stored(other)


def test_a_sync_follows_a_table_that_has_only_times(
    connection: psycopg.Connection, other_url: str, tmp_path: Path
) -> None:
    """As Supabase projects have it: created_at, ids inside of context; what is no event is set aside."""
    with connect(other_url) as other:
        other.execute(
            "create table public.observability_events (id bigint generated always as identity, event_type text,"
            " source text, context jsonb, created_at timestamptz default now())"
        )
        other.execute(
            "insert into public.observability_events (event_type, context)"
            " select 'capacity.selector.assignment', jsonb_build_object('restaurantId', gen_random_uuid())"
            " from generate_series(1, 20)"
        )
        other.execute("insert into public.observability_events (event_type) values ('')")
        table = "public.observability_events"
        first = follow(connection, other_url, tmp_path, table=table)
        assert (first.imported, first.rejected) == (20, 1)
        assert first.rejects_path is not None
        assert "event_type is empty" in first.rejects_path.read_text()
        other.execute(
            "insert into public.observability_events (event_type, created_at) values"
            " ('capacity.test', now()), ('capacity.test', now() - interval '30 minutes')"
        )
        again = follow(connection, other_url, tmp_path, table=table)
        assert (again.imported, again.duplicates) == (2, 20)
        counts = "select count(*), count(restaurant_id) from holds.observability_events"
        assert connection.execute(counts).fetchone() == (22, 20)


def test_a_sync_that_is_broken_off_goes_on_where_it_was(
    connection: psycopg.Connection, other_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "SLICE_ROWS", 10)
    now = datetime.now(UTC)
    with connect(other_url) as other:
        for _ in range(5):
            insert(other, now, 10)
        wait_for_earlier_transactions(other)

        def stop(report: SyncReport) -> None:
            if report.imported >= 20:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            follow(connection, other_url, tmp_path, on_progress=stop)
        report = follow(connection, other_url, tmp_path)
        assert (report.imported, report.duplicates) == (30, 0)
        assert stored(connection) == stored(other)


def test_a_sync_only_reads_the_other_database(connection: psycopg.Connection, other_url: str, tmp_path: Path) -> None:
    """Even if the table were a view that writes."""
    with connect(other_url) as other:
        other.execute("create table public.log (at timestamptz)")
        other.execute(
            "create function public.noted() returns timestamptz language sql as"
            " 'insert into public.log values (now()) returning at'"
        )
        other.execute("create view public.sly as select 'capacity.test' as event_type, public.noted() as occurred_at")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            follow(connection, other_url, tmp_path, table="public.sly")
        assert other.execute("select count(*) from public.log").fetchone() == (0,)


@pytest.mark.parametrize("table", ["public.missing", "holds.settings"])
def test_a_table_that_cannot_be_followed_is_named(
    connection: psycopg.Connection, other_url: str, tmp_path: Path, table: str
) -> None:
    with pytest.raises(SyncError, match=table):
        follow(connection, other_url, tmp_path, table=table)


def test_two_syncs_at_once_bring_each_row_once(
    connection: psycopg.Connection, database_url: str, other_url: str, tmp_path: Path
) -> None:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    with connect(other_url) as other, connect(database_url) as second, ThreadPoolExecutor(2) as executor:
        insert(other, datetime.now(UTC), 5_000, name=str(uuid4()))
        wait_for_earlier_transactions(other)
        reports = list(executor.map(lambda here: follow(here, other_url, tmp_path), (connection, second)))
        assert sum(report.imported for report in reports) == 5_000
        assert stored(connection) == stored(other)
