"""Parquet: one row an event; ``context`` as JSON text, a struct or a map."""

from __future__ import annotations

import importlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from holds_core.errors import first_line
from holds_core.events.errors import LineRejectedError, MissingReaderError, UnreadableFileError
from holds_core.events.readers.arrow_values import Converter, as_text, converter
from holds_core.events.readers.records import Record, read_context

BATCH_ROWS = 5000
BUFFER_BYTES = 1 << 18

_UUID_COLUMNS = ("id", "restaurant_id", "booking_id")


class ParquetReader:
    """Reads ``.parquet``, a few thousand rows at a time. A null says nothing, as if its column were absent.

    Damage beyond the file's footer shows while it is read, as an ``UnreadableFileError``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._arrow: Any = importlib.import_module("pyarrow")
            parquet: Any = importlib.import_module("pyarrow.parquet")
        except ImportError as error:
            raise MissingReaderError("pipeline", "Reading Parquet") from error
        self._bytes = path.stat().st_size
        self._rows_read = 0
        try:
            # Read through small buffers: whole column chunks of a row group would not fit the memory we promise.
            self._file = parquet.ParquetFile(path, buffer_size=BUFFER_BYTES, pre_buffer=False)
        except (self._arrow.ArrowException, OSError) as error:
            raise UnreadableFileError(f"{path} is no Parquet file that can be read: {first_line(error)}") from error
        names = self._file.schema_arrow.names
        doubles = sorted({name for name in names if names.count(name) > 1})
        if doubles or "event_type" not in names:
            self._file.close()
            raise UnreadableFileError(
                f"{path} has two columns {doubles[0]!a}; rename one of them."
                if doubles
                else f"{path} has no column event_type; it has: {', '.join(ascii(name) for name in names[:12])}."
            )

    def __iter__(self) -> Iterator[Record]:
        for batch in self._read_batches():
            names = batch.schema.names
            columns = [self._read_column(name, column) for name, column in zip(names, batch.columns, strict=True)]
            for cells in zip(*columns, strict=True):
                self._rows_read += 1
                row = {name: cell for name, cell in zip(names, cells, strict=True) if cell is not None}
                yield Record(self._rows_read, row, _read_row(row))

    def bytes_read(self) -> int:
        """Return the share of the rows that was read, of the file's size."""
        return self._bytes * self._rows_read // max(int(self._file.metadata.num_rows), 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def _read_batches(self) -> Iterator[Any]:
        try:
            yield from self._file.iter_batches(batch_size=BATCH_ROWS, use_threads=False)
        except (self._arrow.ArrowException, OSError) as error:
            raise UnreadableFileError(f"{self._path} is damaged: {first_line(error)}.") from error

    def _read_column(self, name: str, column: Any) -> list[Any]:
        """Return the column's values as JSON has them; a cell that cannot be read is an :class:`_UnreadableCell`."""
        types = self._arrow.types
        if types.is_timestamp(column.type):
            # Python's clock has microseconds; and a zone's name may be one that Python does not know.
            zone = None if column.type.tz is None else "UTC"
            column = column.cast(self._arrow.timestamp("us", tz=zone), safe=False)
        convert = _as_uuid_text if name in _UUID_COLUMNS else converter(column.type)
        try:
            values = column.to_pylist()
        except (ValueError, OverflowError, self._arrow.ArrowException):
            return [_read_cell(name, cell, convert) for cell in column]
        return values if convert is None else [None if value is None else convert(value) for value in values]


class _UnreadableCell:
    """A cell whose value Python has no form for."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __str__(self) -> str:
        return f"(unreadable: {self.reason})"


def _read_row(row: dict[str, Any]) -> dict[str, Any] | str:
    for cell in row.values():
        if type(cell) is _UnreadableCell:
            return cell.reason
    context = row.get("context")
    if isinstance(context, str):
        try:
            return row | {"context": read_context(context)}
        except LineRejectedError as error:
            return str(error)
    return row


def _read_cell(name: str, cell: Any, convert: Converter | None) -> Any:
    try:
        value = cell.as_py()
        return value if value is None or convert is None else convert(value)
    except (ValueError, OverflowError) as error:
        return _UnreadableCell(f"the column {name} cannot be read: {first_line(error)}")


def _as_uuid_text(value: Any) -> Any:
    if isinstance(value, bytes):
        return str(uuid.UUID(bytes=value)) if len(value) == 16 else as_text(value)
    return str(value) if isinstance(value, uuid.UUID) else value
