"""Events that wait on disk."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from holds_core import Event, EventType, HoldClient
from holds_core.database.connections import connect
from holds_core.events.importer import import_file
from holds_core.events.spool import (
    REJECTED,
    WAITING,
    DrainReport,
    EventSpool,
    default_spool,
    other_spools,
    spool_root,
)


@pytest.fixture
def spool(tmp_path: Path) -> EventSpool:
    """A spool of this test's own."""
    return EventSpool(tmp_path / "spool")


def some_event(**changes: object) -> Event:
    """An event of now."""
    values = {"event_type": EventType.RPC_CONFLICT, "source": "test", "restaurant_id": uuid4(), "context": {"ä": 1}}
    return Event(**(values | changes))  # type: ignore[arg-type]


def stored(connection: psycopg.Connection) -> list[tuple[object, ...]]:
    """Return what the database has, in the order of ids."""
    return connection.execute(
        "select id, occurred_at, event_type, severity, source, restaurant_id, booking_id, context"
        " from holds.observability_events order by id"
    ).fetchall()


def as_stored(event: Event) -> tuple[object, ...]:
    """What the database has of an event."""
    return (
        event.id, event.occurred_at, str(event.event_type), str(event.severity), event.source, event.restaurant_id,
        event.booking_id, dict(event.context),
    )  # fmt: skip


def test_drained_events_are_as_they_were_and_gone_from_disk(spool: EventSpool, connection: psycopg.Connection) -> None:
    """Every column, and twice drained is once stored."""
    events = sorted(
        (some_event(booking_id=uuid4() if number % 2 else None) for number in range(1200)), key=lambda e: e.id
    )
    assert all(spool.append(event) for event in events)
    assert spool.depth() == 1200
    assert spool.oldest_at() == min(event.occurred_at for event in events)
    copy = (spool.directory / WAITING).read_bytes()

    assert spool.drain(connection) == DrainReport(drained=1200, rejected=0)
    assert spool.depth() == 0
    assert stored(connection) == [as_stored(event) for event in events]
    assert [path.name for path in spool.directory.glob("*.jsonl")] == []

    # As if the machine had gone down between the commit and the deletion.
    (spool.directory / "draining-left.jsonl").write_bytes(copy)
    spool.drain(connection)
    assert len(stored(connection)) == 1200


def test_spool_is_for_its_owner_alone(spool: EventSpool) -> None:
    """Events name bookings."""
    spool.append(some_event())
    assert spool.directory.stat().st_mode & 0o777 == 0o700
    assert (spool.directory / WAITING).stat().st_mode & 0o777 == 0o600


def test_torn_last_line_is_set_aside(spool: EventSpool, connection: psycopg.Connection) -> None:
    """A crash in the middle of a line costs that event alone, and is told of."""
    first, last = some_event(), some_event()
    spool.append(first)
    with (spool.directory / WAITING).open("ab") as file:
        file.write(b'{"id": "0d5e')
    spool.append(last)

    assert spool.drain(connection) == DrainReport(drained=2, rejected=1)
    assert {row[0] for row in stored(connection)} == {first.id, last.id}
    assert "cut it off" in (spool.directory / REJECTED).read_text()
    assert spool.rejected() == 1
    assert spool.depth() == 0


def test_what_the_database_refuses_is_kept_with_its_reason(spool: EventSpool, connection: psycopg.Connection) -> None:
    """What it can never store is not lost, and not in the way of the others."""
    spool.append(some_event(context={"name": "\0"}))
    fine = some_event()
    spool.append(fine)

    assert spool.drain(connection) == DrainReport(drained=1, rejected=1)
    assert [row[0] for row in stored(connection)] == [fine.id]
    assert (spool.directory / REJECTED).exists()


def test_event_that_the_database_refuses_for_now_waits_on(
    spool: EventSpool, connection: psycopg.Connection, database_url: str
) -> None:
    """The table is locked: nothing is set aside, nothing is in the way of the next drain."""
    events = [some_event() for _ in range(2)]
    for event in events:
        spool.append(event)
    with connect(database_url, autocommit=False) as blocker:
        blocker.execute("lock table holds.observability_events in access exclusive mode")
        assert spool.drain(connection) == DrainReport(drained=0, rejected=0, postponed=2)
    assert spool.depth() == 2
    assert spool.rejected() == 0

    assert spool.drain(connection) == DrainReport(drained=2, rejected=0)
    assert {row[0] for row in stored(connection)} == {event.id for event in events}


def test_database_that_is_away_leaves_everything(spool: EventSpool, database_url: str) -> None:
    """A connection that breaks in the middle: what waits, waits on."""
    spool.append(some_event())
    connection = connect(database_url)
    connection.close()
    with pytest.raises(psycopg.OperationalError):
        spool.drain(connection)

    assert spool.depth() == 1
    with connect(database_url) as again:
        assert spool.drain(again).drained == 1


def test_unwritable_folder_is_a_counted_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody's call fails; ten in a row are two warnings."""
    (tmp_path / "file").touch()
    spool = EventSpool(tmp_path / "file" / "spool")
    with caplog.at_level(logging.WARNING, "holds_core"):
        assert not any(spool.append(some_event()) for _ in range(10))

    assert spool.dropped == 10
    assert [record.args[0] for record in caplog.records if record.args] == [1, 10]  # type: ignore[index]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or os.system(f"mount -t tmpfs -o size=64k tmpfs '{folder}' 2> /dev/null") != 0:
        pytest.skip("only root may mount a small disk")
    yield folder
    os.system(f"umount '{folder}'")


def test_full_disk_leaves_whole_lines(small_disk: Path, connection: psycopg.Connection) -> None:
    """What was acknowledged is stored later; what was not is counted; nothing is torn."""
    spool = EventSpool(small_disk / "spool")
    events = [some_event(context={"filler": "x" * 1000}) for _ in range(100)]
    kept = {event.id for event in events if spool.append(event)}

    assert 0 < len(kept) < 100
    assert spool.dropped == 100 - len(kept)
    assert spool.drain(connection) == DrainReport(drained=len(kept), rejected=0)
    assert {row[0] for row in stored(connection)} == kept


def test_importer_reads_a_spool(spool: EventSpool, connection: psycopg.Connection) -> None:
    """A file that was carried off can be imported as any other."""
    events = [some_event() for _ in range(3)]
    for event in events:
        spool.append(event)
    report = import_file(connection, spool.directory / WAITING, environment="dev")

    assert (report.imported, report.rejected) == (3, 0)
    assert {row[0] for row in stored(connection)} == {event.id for event in events}


def _append_many(directory: Path, count: int) -> None:
    spool = EventSpool(directory)
    for _ in range(count):
        assert spool.append(some_event())


def _drain_many(directory: Path, url: str, count: int) -> None:
    spool = EventSpool(directory)
    with connect(url) as connection:
        for _ in range(count):
            spool.drain(connection)


def test_processes_that_append_and_drain_at_once_lose_nothing(
    spool: EventSpool, connection: psycopg.Connection, database_url: str
) -> None:
    """Three write, two drain, all over each other: every event is stored once, and nothing is torn."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_append_many, args=(spool.directory, 300)) for _ in range(3)] + [
        context.Process(target=_drain_many, args=(spool.directory, database_url, 40)) for _ in range(2)
    ]
    spool.append(some_event())
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 5

    spool.drain(connection)
    assert len(stored(connection)) == 901
    assert spool.rejected() == 0


def test_two_drains_at_once_share_the_work(
    spool: EventSpool, connection: psycopg.Connection, database_url: str
) -> None:
    """Together they drain each event once."""
    for _ in range(500):
        spool.append(some_event())

    def drain(_: int) -> int:
        with connect(database_url) as own:
            return EventSpool(spool.directory).drain(own).drained

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(drain, range(4))) == 500
    assert len(stored(connection)) == 500


def test_spools_are_where_the_system_keeps_state() -> None:
    """The variable first, then XDG's folder, then the home's; without any, a folder that nobody else made before."""
    assert spool_root({"HOLDWATCH_SPOOL_DIRECTORY": "/a", "XDG_STATE_HOME": "/b"}) == Path("/a")
    assert spool_root({"XDG_STATE_HOME": "/b", "HOME": "/c"}) == Path("/b/holdwatch/spool")
    assert spool_root({"HOME": "/c"}) == Path("/c/.local/state/holdwatch/spool")
    homeless = spool_root({})
    assert homeless.stat().st_mode & 0o777 == 0o700
    assert homeless != spool_root({})


def test_each_database_has_a_folder_without_a_secret_in_it() -> None:
    """Whoever logs in, and however the address is written; two databases never share one."""

    def folder(url: str | None, **environ: str) -> str:
        return default_spool(url, {"HOLDWATCH_SPOOL_DIRECTORY": "/a", **environ}).directory.relative_to("/a").as_posix()

    assert folder("postgresql://me:secret@db.example/bookings?sslmode=require") == "db.example_5432_bookings"
    assert folder("host=db.example dbname=bookings user=you password=secret") == "db.example_5432_bookings"
    assert folder("postgresql:///bookings", PGHOST="db.example", PGPORT="6543") == "db.example_6543_bookings"
    assert folder("https://project.supabase.co/rest/v1/") == folder("https://project.supabase.co/rest/v1")
    assert folder(None) == "unknown"
    others = [
        "postgresql://a/b", "postgresql://a:5433/b", "postgresql://a/c", "postgresql://a/B", "postgresql://a/b%2Fc",
        "postgresql://a/b_c", "postgresql://a_5432_b/c", "postgresql://a/b_5432_c", "postgresql://a,b/c", "service=a",
        f"postgresql://a/{'b' * 300}", f"postgresql://a/{'b' * 301}", "https://a/b", "postgresql://a/..",
    ]  # fmt: skip
    folders = [folder(url) for url in others]
    assert len(set(folders)) == len(others)
    assert all("/" not in name and ".." not in (name, name[-12:]) and len(name) < 120 for name in folders)
    assert "secret" not in "".join(map(folder, ["postgresql://me:secret@a_b/c", "https://me:secret@a/b"]))


def test_no_event_gets_into_another_database(
    database_url: str,
    new_database: Callable[..., str],
    whole_template: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What waits for one database is drained by its own clients alone, whoever comes first."""
    monkeypatch.setenv("HOLDWATCH_SPOOL_DIRECTORY", str(tmp_path))
    other_url = new_database(whole_template)
    urls = (database_url, other_url)
    events = {url: Event(event_type="capacity.manual.validate", source=url[-20:]) for url in urls}
    for url, event in events.items():
        with connect(url) as connection:
            connection.execute("alter table holds.observability_events rename to away")
            with HoldClient.connect(url) as client:
                assert client.record(event)
            connection.execute("alter table holds.away rename to observability_events")
    assert [spool.depth() for spool in other_spools(EventSpool(tmp_path))] == [1, 1]

    for url in (other_url, database_url):
        with HoldClient.connect(url):
            pass  # its end drains
        with connect(url) as connection:
            assert [row[0] for row in stored(connection)] == [events[url].id]
    assert other_spools(EventSpool(tmp_path)) == []


@pytest.mark.parametrize(
    "damage",
    [
        {"context": [1]},
        {"context": None},
        {"source": "\ud800"},
        {"source": None},
        {"source": "a\0b"},
        {"context": {"a": "b\0c"}},
        {"occurred_at": "2030-01-31T18:00:00"},
    ],
    ids=str,
)
def test_line_that_nobody_can_store_does_not_stop_the_others(
    spool: EventSpool, connection: psycopg.Connection, damage: dict[str, object]
) -> None:
    """It is set aside with its reason; what stands before and after it is stored."""
    events = [some_event(), some_event()]
    for event in events:
        spool.append(event)
    first, second = (spool.directory / WAITING).read_text().splitlines()
    broken = json.dumps({**json.loads(first), "id": str(uuid4()), **damage})
    (spool.directory / WAITING).write_text(f"{first}\n{broken}\n{second}\n")

    assert spool.drain(connection) == DrainReport(drained=2, rejected=1)
    assert spool.depth() == 0
    (line,) = (spool.directory / REJECTED).read_text().splitlines()
    assert json.loads(line)["reason"]


def test_looking_beside_a_drain_sees_no_missing_file(spool: EventSpool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between finding a file and reading it another process has drained it."""
    spool.append(some_event())
    vanished = spool.directory / "draining-vanished.jsonl"
    monkeypatch.setattr(Path, "glob", lambda *_: iter([vanished]))

    assert spool.depth() == 0
    assert spool.oldest_at() is None


def test_silent_database_does_not_keep_a_drain_for_ever(
    spool: EventSpool, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock that is never let go, and no lock timeout that would help: the batch is given up, and stays."""
    monkeypatch.setattr("holds_core.events.spool._BATCH_SECONDS", 0.3)
    spool.append(some_event())
    with connect(database_url) as connection:
        monkeypatch.setattr("holds_core.events.spool.query", lambda _: "select pg_sleep(30), %(event_id)s::text")
        with pytest.raises(psycopg.OperationalError):
            spool.drain(connection)
    assert spool.depth() == 1
