"""Every line of a file is imported, a duplicate, or in the rejects file; repeating an import is harmless."""

from __future__ import annotations

import base64
import gzip
import json
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from holds_core.events import importer
from holds_core.events.errors import EventImportError, UnreadableFileError
from holds_core.events.importer import ImportFailedError, ImportReport, import_file
from tests.holds_core.events.conftest import ImportLines

NewEvent = Callable[..., dict[str, Any]]
StoredEvents = Callable[[], list[dict[str, Any]]]
ReadRejects = Callable[[ImportReport], list[dict[str, Any]]]


def counts(report: ImportReport) -> tuple[int, int, int, int]:
    """Return read, imported, duplicates, rejected."""
    return report.read, report.imported, report.duplicates, report.rejected


def test_event_arrives_in_its_columns(
    import_lines: ImportLines, new_event: NewEvent, stored_events: StoredEvents
) -> None:
    """Texts with every character that COPY reads specially arrive as they are."""
    odd = 'tab\t newline\n return\r backslash\\ \\N \\. quote" é 😀 \x7f \u2028'
    event = new_event(
        id=str(uuid4()),
        environment=f"e{odd}",
        source=f"s{odd}",
        event_type=f"t{odd}",
        severity=f"v{odd}",
        restaurant_id=str(uuid4()),
        booking_id=str(uuid4()),
        context={f"k{odd}": [odd, {"n": None}, True, 1, 1.25]},
    )

    report = import_lines(event)

    expected = event | {key: UUID(event[key]) for key in ("id", "restaurant_id", "booking_id")}
    assert counts(report) == (1, 1, 0, 0)
    assert stored_events() == [expected | {"occurred_at": datetime.fromisoformat(event["occurred_at"])}]


def test_long_labels_arrive_too(import_lines: ImportLines, new_event: NewEvent, stored_events: StoredEvents) -> None:
    """Labels have no limit of length."""
    import_lines(new_event(source="s\t" * 5000))

    assert stored_events()[0]["source"] == "s\t" * 5000


def test_the_database_keeps_its_own_clock(
    import_lines: ImportLines, new_event: NewEvent, connection: psycopg.Connection
) -> None:
    """recorded_at is when this database stored it, whatever the source says."""
    import_lines(new_event(recorded_at="2001-01-01T00:00:00Z", ingest_pos=1))

    row = connection.execute(
        "select clock_timestamp() - recorded_at < '1 minute', ingest_pos > 1, context from holds.observability_events"
    ).fetchone()
    assert row == (True, True, {"_extra": {"recorded_at": "2001-01-01T00:00:00Z", "ingest_pos": 1}})


def test_numbers_arrive_unharmed(
    import_lines: ImportLines, new_event: NewEvent, connection: psycopg.Connection
) -> None:
    """In jsonb they are exact: no rounding, no infinity, no limit at 4,300 digits; trailing zeros stay."""
    numbers = {"big": "1e400", "fine": "0.1234567890123456789012", "long": "7" * 5000, "zeros": "1.500", "plain": "0.1"}
    line = json.dumps(new_event(context={})).replace(
        "{}", json.dumps(numbers).replace('"', "").replace("{", '{"').replace(": ", '":').replace(", ", ',"')
    )

    report = import_lines(line)

    assert counts(report) == (1, 1, 0, 0)
    stored: dict[str, str] = dict(
        connection.execute("select key, value #>> '{}' from holds.observability_events, jsonb_each(context)").fetchall()
    )
    assert stored == numbers | {"big": f"1{'0' * 400}"}


def test_same_file_again_imports_nothing(
    import_lines: ImportLines, new_event: NewEvent, stored_events: StoredEvents
) -> None:
    """With ids, without ids, and with ids that are none."""
    lines = [new_event(id=str(uuid4())), new_event(context={"n": 1}), new_event(id="order-7"), "no event"]

    first = import_lines(*lines)
    before = stored_events()
    second = import_lines(*lines)

    assert counts(first) == (4, 3, 0, 1)
    assert counts(second) == (4, 0, 3, 1)
    assert stored_events() == before


def test_duplicate_is_the_same_id_and_time(
    import_lines: ImportLines, new_event: NewEvent, stored_events: StoredEvents
) -> None:
    """Of two with one identity the first counts, in one batch or in two; the same moment may be written otherwise."""
    identity, now = str(uuid4()), datetime.now(UTC).replace(microsecond=0)
    lines = [
        new_event(id=identity, occurred_at=now.isoformat(), context={"n": 1}),
        new_event(id=identity.upper(), occurred_at=f"{now:%Y-%m-%d %H:%M:%S}", context={"n": 2}),
        new_event(id=identity, occurred_at=(now + timedelta(microseconds=1)).isoformat(), context={"n": 3}),
        new_event(id=identity, occurred_at=now.isoformat(), context={"n": 4}),
    ]

    report = import_lines(*lines, batch_lines=3)

    assert counts(report) == (4, 2, 2, 0)
    assert [event["context"]["n"] for event in stored_events()] == [1, 3]


def test_lines_without_id_are_the_same_where_their_content_is(import_lines: ImportLines, new_event: NewEvent) -> None:
    """However it is written down."""
    event = new_event(context={"a": 1, "b": 2})
    other = {key: event[key] for key in sorted(event, reverse=True)}

    report = import_lines(event, json.dumps(other, indent=None, separators=(" ,", " : ")), event | {"source": "x"})

    assert counts(report) == (3, 2, 1, 0)


def test_missing_environment_is_the_settings(
    import_lines: ImportLines, new_event: NewEvent, stored_events: StoredEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HOLDWATCH_ENVIRONMENT, dev where it is unset, or what the caller says."""
    import_lines(new_event(context={"n": 1}))
    monkeypatch.setenv("HOLDWATCH_ENVIRONMENT", "prod")
    import_lines(new_event(context={"n": 2}))
    import_lines(new_event(context={"n": 3}), environment="staging")

    assert [event["environment"] for event in stored_events()] == ["dev", "prod", "staging"]


def test_rejects_have_number_reason_and_line(
    import_lines: ImportLines, new_event: NewEvent, read_rejects: ReadRejects
) -> None:
    """Each alone, in the order of the file, so that it can be mended and imported."""
    late = json.dumps(new_event(occurred_at="2001-01-01"), separators=(" , ", ": "))
    lines = [
        new_event(),
        "nonsense é",
        "",
        late,
        b'{"event_type":"\xe9"}',
        new_event(context=[1]),
        new_event(context={"n": 1}),
    ]

    report = import_lines(*lines, batch_lines=2)
    rejects = read_rejects(report)

    assert counts(report) == (6, 2, 0, 4)
    assert [reject["line_number"] for reject in rejects] == [2, 4, 5, 6]
    assert [reject["line"] for reject in rejects] == [
        "nonsense é",
        late,
        '{"event_type":"\\xe9"}',
        json.dumps(lines[5]),
    ]
    assert [reject["reason"].split(":")[0] for reject in rejects] == [
        "no JSON",
        "time out of range",
        "no UTF-8",
        "context is neither an object nor null",
    ]
    assert base64.b64decode(rejects[2]["line_base64"]) == lines[4]
    assert "line_base64" not in rejects[0]


def test_mended_rejects_can_be_imported(
    import_lines: ImportLines, new_event: NewEvent, read_rejects: ReadRejects
) -> None:
    """What is under `line` is a line of the same kind of file."""
    first = import_lines(new_event(context=5), new_event(event_type=""))
    mended = [
        line["line"].replace('"context": 5', '"context": {}').replace('""', '"t"') for line in read_rejects(first)
    ]

    assert counts(import_lines(*mended, name="mended.jsonl")) == (2, 2, 0, 0)


def test_stale_rejects_are_removed(import_lines: ImportLines, new_event: NewEvent, tmp_path: Path) -> None:
    """A rejects file always speaks of the newest import; nothing else is left in the folder."""
    first = import_lines("nonsense")
    assert first.rejects_path == tmp_path / "events.jsonl.rejected.jsonl"
    assert first.rejects_path.exists()

    second = import_lines(new_event())

    assert second.rejects_path is None
    assert [path.name for path in tmp_path.iterdir()] == ["events.jsonl"]


@pytest.mark.parametrize(
    "members",
    [
        {"context": {"a": "\0"}},
        {"context": {"a": [{"\0": 1}]}},
        {"event_type": "\0"},
        {"source": "a\0b"},
        {"environment": "\0"},
        {"severity": "\0"},
        {"id": "\0"},
        {"restaurant_id": "\0"},
        {"extra": "\0"},
        {"extra\0": 1},
        {"severity": {"\0": 1}},
        {"context": {"a": "\ud800"}},
        {"context": {"\udfff": 1}},
        {"event_type": "\ud800"},
        {"source": "\ud800"},
        {"id": "\ud800"},
        {"extra": ["\ud800"]},
    ],
)
def test_characters_that_cannot_be_stored_cost_their_line_alone(
    import_lines: ImportLines, new_event: NewEvent, read_rejects: ReadRejects, members: dict[str, Any]
) -> None:
    """With or without an id to derive; found here, before the database is asked."""
    event = new_event(**members)

    report = import_lines(new_event(), event, event | {"id": str(uuid4())} if "id" not in members else event)

    assert counts(report) == (3, 1, 0, 2)
    assert {reject["line_number"] for reject in read_rejects(report)} == {2, 3}
    assert all("which PostgreSQL cannot store" in reject["reason"] for reject in read_rejects(report))


@pytest.mark.parametrize(
    "context",
    ['{"a":NaN}', '{"a":-Infinity}', '{"a":1e131072}', '{"a":1e-16384}', '{"a":' * 3000 + "1" + "}" * 3000, '{"a":1,}'],
    ids=["nan", "infinity", "large", "small", "deep", "comma"],
)
def test_json_that_cannot_be_stored_costs_its_line_alone(
    import_lines: ImportLines, new_event: NewEvent, context: str
) -> None:
    """The lines before and after it are imported."""
    bad = json.dumps(new_event(context="here")).replace('"here"', context)

    assert counts(import_lines(new_event(), bad, new_event(context={"n": 1}))) == (3, 2, 0, 1)


def test_a_pair_of_surrogates_is_a_character(
    import_lines: ImportLines, new_event: NewEvent, stored_events: StoredEvents
) -> None:
    """Only half of one cannot be stored; the six letters of an escape can."""
    import_lines(new_event(context={"a": "😀", "b": r"\u0000 \ud800"}))

    assert stored_events()[0]["context"] == {"a": "😀", "b": r"\u0000 \ud800"}


def test_only_the_partitions_of_days_that_are_used_are_touched(
    fresh_connection: psycopg.Connection, new_event: NewEvent, tmp_path: Path
) -> None:
    """An event of the oldest day and one of tomorrow; no other partition gets so much as a page."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [today - timedelta(days=90), datetime.now(UTC) + timedelta(hours=23, minutes=59)]
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join(json.dumps(new_event(occurred_at=day.isoformat())) for day in days))

    import_file(fresh_connection, path)

    filled = fresh_connection.execute(
        "select relid::regclass::text from pg_partition_tree('holds.observability_events')"
        " where isleaf and pg_relation_size(relid) > 0 order by 1"
    ).fetchall()
    assert filled == [(f"holds.observability_events_{day:%Y%m%d}",) for day in days]


def test_partitions_that_are_missing_are_made(
    fresh_connection: psycopg.Connection, new_event: NewEvent, tmp_path: Path
) -> None:
    """The library does not rely on somebody having migrated today."""
    fresh_connection.execute(f"drop table holds.observability_events_{datetime.now(UTC):%Y%m%d}")
    (tmp_path / "x.jsonl").write_text(json.dumps(new_event()))

    assert counts(import_file(fresh_connection, tmp_path / "x.jsonl")) == (1, 1, 0, 0)


def test_url_works_as_well_as_a_connection(database_url: str, new_event: NewEvent, tmp_path: Path) -> None:
    """The importer then opens and closes its own."""
    (tmp_path / "x.jsonl").write_text(json.dumps(new_event()))

    assert counts(import_file(database_url, tmp_path / "x.jsonl")) == (1, 1, 0, 0)


def test_connection_must_commit_each_batch(database_url: str, tmp_path: Path) -> None:
    """Within somebody's transaction "imported" would be a promise that a rollback breaks."""
    (tmp_path / "x.jsonl").write_text("")

    with psycopg.connect(database_url) as connection, pytest.raises(ValueError, match="autocommit"):
        import_file(connection, str(tmp_path / "x.jsonl"))


def test_empty_file_is_no_error(import_lines: ImportLines) -> None:
    """There is nothing to import, and nothing wrong."""
    assert counts(import_lines()) == (0, 0, 0, 0)


def test_connection_is_left_as_it_was(
    import_lines: ImportLines, new_event: NewEvent, connection: psycopg.Connection
) -> None:
    """No temporary table stays; two imports over one connection work."""
    import_lines(new_event())
    import_lines(new_event())

    assert connection.execute("select count(*) from pg_class where relpersistence = 't'").fetchone() == (0,)


def test_progress_comes_with_every_batch_and_ends_with_the_file(
    import_lines: ImportLines, new_event: NewEvent, tmp_path: Path
) -> None:
    """In bytes of the file, never backwards."""
    seen: list[int] = []

    import_lines(
        *[new_event(context={"n": n, "x": "x" * 500}) for n in range(3000)], batch_lines=500, on_progress=seen.append
    )

    assert len(seen) == 7
    assert seen == sorted(seen)
    assert 0 < seen[0] < seen[-1] == (tmp_path / "events.jsonl").stat().st_size


def test_large_lines_end_a_batch(
    import_lines: ImportLines, new_event: NewEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded by bytes as well as by lines, for events and for rejects."""
    monkeypatch.setattr(importer, "BATCH_BYTES", 3000)
    batches: list[int] = []
    lines = [line for n in range(5) for line in (new_event(context={"n": n, "x": "x" * 4000}), "x" * 4000)]

    assert counts(import_lines(*lines, on_progress=batches.append)) == (10, 5, 0, 5)
    assert len(batches) == 10 + 1


def test_damaged_file_keeps_what_was_imported(
    connection: psycopg.Connection,
    new_event: NewEvent,
    stored_events: StoredEvents,
    read_rejects: ReadRejects,
    tmp_path: Path,
) -> None:
    """The error says how far it came; the rejects so far are kept; the whole file imports the rest."""
    path = tmp_path / "x.jsonl.gz"
    lines = "\n".join(
        [json.dumps(new_event(context={"n": n, "x": os.urandom(64).hex()})) for n in range(500)] + ["no", ""]
    )
    whole = gzip.compress(f"no\n{lines}".encode())
    path.write_bytes(whole[: len(whole) * 3 // 4])

    with pytest.raises(ImportFailedError, match=r"damaged.*imported.*1 rejected.*harmless") as caught:
        import_file(connection, path)
    report = caught.value.report
    assert 300 < report.imported == len(stored_events()) < 500
    assert [reject["line_number"] for reject in read_rejects(report)] == [1]

    path.write_bytes(whole)
    again = import_file(connection, path)
    assert counts(again) == (502, 500 - report.imported, report.imported, 2)
    assert len(read_rejects(again)) == 2


def test_lost_database_is_one_clear_error(
    database_url: str, new_event: NewEvent, read_rejects: ReadRejects, connection: psycopg.Connection, tmp_path: Path
) -> None:
    """Batches that were committed stay; the rejects of the batch that was not are kept, too."""
    path = tmp_path / "x.jsonl"
    lines = [json.dumps(new_event(context={"n": n})) for n in range(40)]
    path.write_text("\n".join([*lines[:25], "no", *lines[25:]]))

    def lose_connection(bytes_read: int) -> None:
        connection.execute(
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )

    with pytest.raises(ImportFailedError, match="harmless") as caught:
        import_file(database_url, path, batch_lines=10, on_progress=lose_connection)

    stored = connection.execute("select count(*) from holds.observability_events").fetchone()
    assert stored in {(caught.value.report.imported,), (caught.value.report.imported + 10,)}
    assert isinstance(caught.value.__cause__, psycopg.OperationalError)


def test_interrupt_keeps_whole_batches_and_rejects(
    connection: psycopg.Connection,
    new_event: NewEvent,
    stored_events: StoredEvents,
    read_rejects: ReadRejects,
    tmp_path: Path,
) -> None:
    """Ctrl-C in the middle: what was written is counted, and repeating imports the rest."""
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join(["no", *[json.dumps(new_event(context={"n": n})) for n in range(100)]]))
    calls: list[int] = []

    def interrupt_third(bytes_read: int) -> None:
        calls.append(bytes_read)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)

    told: list[ImportReport] = []
    # A shell's background jobs start with the signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            import_file(connection, path, batch_lines=10, on_progress=interrupt_third, on_interrupt=told.append)
    finally:
        signal.signal(signal.SIGINT, before)

    (report,) = told
    assert report.imported == len(stored_events()) == 29
    assert [reject["line_number"] for reject in read_rejects(report)] == [1]
    assert counts(import_file(connection, path)) == (101, 71, 29, 1)


def test_interrupt_does_not_wait_for_a_lock(
    connection: psycopg.Connection,
    database_url: str,
    new_event: NewEvent,
    read_rejects: ReadRejects,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Somebody has locked the table: the batch that waits for it is given up, and counted nowhere."""
    monkeypatch.setattr(importer, "GRACE_SECONDS", 0.2)
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join(["no", *[json.dumps(new_event(context={"n": n})) for n in range(20)]]))

    told: list[ImportReport] = []

    def leave(bytes_read: int) -> None:
        raise SystemExit

    with connection.transaction():
        connection.execute("lock table holds.observability_events in share mode")
        with pytest.raises(SystemExit):
            import_file(database_url, path, batch_lines=10, on_progress=leave, on_interrupt=told.append)

    assert [counts(report) for report in told] == [(1, 0, 0, 1)]
    assert [reject["line_number"] for reject in read_rejects(told[0])] == [1]
    assert counts(import_file(connection, path)) == (21, 20, 0, 1)


def test_interrupt_without_rejects_leaves_earlier_rejects(
    import_lines: ImportLines, new_event: NewEvent, tmp_path: Path
) -> None:
    """An import that did not get far has nothing to say about the file's rejects."""
    import_lines(new_event(), "no")

    def interrupt(bytes_read: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_lines(new_event(), new_event(context={"n": 1}), "no", batch_lines=1, on_progress=interrupt)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.jsonl", "events.jsonl.rejected.jsonl"]


def test_rejects_that_cannot_be_written_stop_the_import_before_it_begins(
    connection: psycopg.Connection, new_event: NewEvent, stored_events: StoredEvents, tmp_path: Path
) -> None:
    """A folder in their place, or a name that gets too long; the import leaves nothing behind."""
    taken, long = tmp_path / "taken.jsonl", tmp_path / f"{'x' * 240}.jsonl"
    for path in (taken, long):
        path.write_text(json.dumps(new_event()))
    (tmp_path / "taken.jsonl.rejected.jsonl").mkdir()

    for path in (taken, long):
        with pytest.raises(EventImportError, match=r"cannot be written beside it.*Nothing was imported"):
            import_file(connection, path)
    assert stored_events() == []
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere and read anything")
def test_permissions_are_checked_before_importing(
    connection: psycopg.Connection, new_event: NewEvent, tmp_path: Path
) -> None:
    """A folder that must not be written to, a file that must not be read."""
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps(new_event()))
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(EventImportError, match="Permission denied"):
            import_file(connection, path)
    finally:
        tmp_path.chmod(0o700)
    path.chmod(0)
    with pytest.raises(UnreadableFileError, match="Permission denied"):
        import_file(connection, path)
