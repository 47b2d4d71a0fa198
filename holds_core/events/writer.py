"""Writes batches of events: COPY into a temporary table, then one INSERT that skips what is there already."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg

from holds_core.database.queries import query

_DATA_REFUSED = ("22", "54")
"""SQLSTATE classes that blame the data: data exception, program limit exceeded."""

CANCEL_SECONDS = 5


@dataclass
class WriteResult:
    """What became of a batch.

    Attributes:
        imported: Rows that are new in the database.
        duplicates: Rows whose (id, occurred_at) is there already, or came earlier in the batch.
        refused: The index in the batch, and the server's words, of each row that the server cannot store.
    """

    imported: int = 0
    duplicates: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)


class EventWriter:
    """Writes over one autocommit connection; each batch is a transaction of its own.

    Use as a context manager: the temporary table lives within the block.
    """

    def __init__(self, connection: psycopg.Connection) -> None:
        if not connection.autocommit:
            raise ValueError("The connection must be in autocommit mode: each batch is committed on its own.")
        self._connection = connection

    def __enter__(self) -> EventWriter:
        self._connection.execute(query("create_event_import"))
        return self

    def __exit__(self, *exception: object) -> None:
        # A connection that is lost has taken the table with it; how it was lost is told by whoever was using it.
        with suppress(psycopg.OperationalError):
            self._connection.execute(query("drop_event_import"))

    def write(self, lines: Sequence[bytes]) -> WriteResult:
        """Store the rows, given as COPY lines (:func:`holds_core.events.copy_text.copy_line`).

        Raises:
            psycopg.Error: The database cannot be written to, for another reason than a row's content.
        """
        result = WriteResult()
        self._write(lines, 0, result)
        return result

    def cancel(self) -> None:
        """Ask the server to give up the write that is running in another thread; harmless if none is."""
        with suppress(psycopg.Error):
            self._connection.cancel_safe(timeout=CANCEL_SECONDS)

    def _write(self, lines: Sequence[bytes], offset: int, result: WriteResult) -> None:
        """Write the lines; where the server refuses them for their content, halve them until the culprit is alone."""
        if not lines:
            return
        try:
            imported = self._transact(lines)
        except psycopg.Error as error:
            if (error.sqlstate or "")[:2] not in _DATA_REFUSED:
                raise
            if len(lines) == 1:
                result.refused.append((offset, f"the database refused it: {error.diag.message_primary}"))
                return
        else:
            result.imported += imported
            result.duplicates += len(lines) - imported
            return
        middle = len(lines) // 2
        self._write(lines[:middle], offset, result)
        self._write(lines[middle:], offset + middle, result)

    def _transact(self, lines: Sequence[bytes]) -> int:
        with self._connection.transaction(), self._connection.cursor() as cursor:
            with cursor.copy(query("copy_event_import")) as copy:
                copy.write(b"".join(lines))
            cursor.execute(query("insert_imported_events"))
            return cursor.rowcount
