"""Fixtures for events: files of them, and what became of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from holds_core.database.connections import connect
from holds_core.events.importer import ImportReport, import_file

ImportLines = Callable[..., ImportReport]


@pytest.fixture(scope="module")
def shared_database_url(new_database: Callable[..., str], whole_template: str) -> str:
    """The URL of a database that a module's tests share: imports need a partition for every day that is kept."""
    return new_database(whole_template)


@pytest.fixture
def database_url(shared_database_url: str) -> str:
    """The URL of a database without events. Sharing it is seconds faster than cloning one for each test."""
    with connect(shared_database_url) as connection:
        connection.execute("delete from holds.observability_events")
    return shared_database_url


@pytest.fixture
def fresh_connection(new_database: Callable[..., str], whole_template: str) -> Iterator[psycopg.Connection]:
    """A connection to a database of this test's own, for those that change more than rows."""
    with connect(new_database(whole_template)) as opened:
        yield opened


@pytest.fixture(scope="session")
def template(whole_template: str) -> str:
    """Imported events are of any day of the history."""
    return whole_template


@pytest.fixture
def new_event() -> Callable[..., dict[str, Any]]:
    """A function that gives a minimal event of now, with the given members added or replaced."""

    def make(**members: Any) -> dict[str, Any]:
        return {"event_type": "capacity.test", "occurred_at": datetime.now(UTC).isoformat(), **members}

    return make


@pytest.fixture
def import_lines(connection: psycopg.Connection, tmp_path: Path) -> ImportLines:
    """A function that imports a JSONL file of the given lines: text, bytes, or what is to be written as JSON."""

    def as_bytes(line: object) -> bytes:
        if isinstance(line, bytes):
            return line
        return (line if isinstance(line, str) else json.dumps(line)).encode()

    def run(*lines: object, name: str = "events.jsonl", **options: Any) -> ImportReport:
        path = tmp_path / name
        path.write_bytes(b"".join(as_bytes(line) + b"\n" for line in lines))
        return import_file(connection, path, **options)

    return run


@pytest.fixture
def stored_events(connection: psycopg.Connection) -> Callable[[], list[dict[str, Any]]]:
    """A function that gives the stored events, in order of time, without what the database adds of its own."""

    def fetch() -> list[dict[str, Any]]:
        with connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(
                "select id, occurred_at, environment, source, event_type, severity, restaurant_id, booking_id, context"
                " from holds.observability_events order by occurred_at, id"
            ).fetchall()

    return fetch


@pytest.fixture
def read_rejects() -> Callable[[ImportReport], list[dict[str, Any]]]:
    """A function that gives the objects of an import's rejects file."""

    def read(report: ImportReport) -> list[dict[str, Any]]:
        if report.rejects_path is None:
            return []
        return [json.loads(line) for line in report.rejects_path.read_text("utf-8").splitlines()]

    return read
