"""The safety net below the importer's own checks: the server refuses rows one by one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest

from holds_core.events.copy_text import copy_line
from holds_core.events.normalising import EventRow
from holds_core.events.writer import EventWriter


def line(number: int) -> bytes:
    """Return the COPY line of an event with that number."""
    row = EventRow(str(UUID(int=number)), datetime.now(UTC), "dev", "s", "t", "info", None, None, {"n": number})
    return copy_line(row, number)


def numbers(connection: psycopg.Connection) -> list[Any]:
    """Return the numbers of the events that are stored."""
    found = connection.execute("select (context -> 'n')::int from holds.observability_events order by 1")
    return [row[0] for row in found]


@pytest.mark.parametrize("bad", [[0], [6], [3, 4], [0, 2, 6], list(range(7))])
def test_rows_that_the_server_refuses_are_found(connection: psycopg.Connection, bad: list[int]) -> None:
    """Wherever in the batch they are; every other row is stored, and the server's words are the reason."""
    lines = [
        line(number).replace(b'"n":', b'"x":"\\\\u0000","n":') if number in bad else line(number) for number in range(7)
    ]

    with EventWriter(connection) as writer:
        result = writer.write(lines)

    assert [index for index, _ in result.refused] == bad
    assert {reason for _, reason in result.refused} == {"the database refused it: unsupported Unicode escape sequence"}
    assert (result.imported, result.duplicates) == (7 - len(bad), 0)
    assert numbers(connection) == [number for number in range(7) if number not in bad]


def test_nesting_beyond_the_servers_stack_is_refused(connection: psycopg.Connection) -> None:
    """SQLSTATE class 54 blames the data, too."""
    deep = line(1).replace(b'{"n":1}', b"[" * 100_000 + b"]" * 100_000)

    with EventWriter(connection) as writer:
        result = writer.write([line(0), deep, line(2)])

    assert result.refused == [(1, "the database refused it: stack depth limit exceeded")]
    assert numbers(connection) == [0, 2]


def test_other_errors_are_not_blamed_on_rows(fresh_connection: psycopg.Connection) -> None:
    """A missing partition is the database's trouble; nothing is dropped on its account."""
    fresh_connection.execute(f"drop table holds.observability_events_{datetime.now(UTC):%Y%m%d}")

    with EventWriter(fresh_connection) as writer, pytest.raises(psycopg.errors.CheckViolation):
        writer.write([line(0)])


def test_each_write_is_a_transaction_and_an_empty_one_is_none(connection: psycopg.Connection) -> None:
    """Batches do not see one another's rows in the temporary table."""
    with EventWriter(connection) as writer:
        assert writer.write([line(1), line(2)]).imported == 2
        assert writer.write([]).imported == 0
        assert writer.write([line(3)]).imported == 1

    positions = connection.execute("select count(distinct ingest_pos) from holds.observability_events").fetchone()
    assert positions == (2,)
