"""CSV with a header line: one record an event, its ``context`` cell JSON text.

Columns are set apart by commas; by semicolons where the header line has those and no comma, as Excel writes it in much
of the world.
"""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from holds_core.events.errors import LineRejectedError, UnreadableFileError
from holds_core.events.normalising import as_columns
from holds_core.events.readers.json_lines import BUFFER_BYTES, BYTE_ORDER_MARK
from holds_core.events.readers.records import Record, no_utf8, read_context

MAX_CELL_CHARACTERS = 16 * 1024 * 1024
"""A cell that is longer is no context but a quote that was never closed; what it swallowed is read again."""


class CsvReader:
    """Reads ``.csv``. An empty cell says nothing, as if its column were absent; blank lines are no records.

    A record may span lines (a quoted cell with line breaks in it). Where its quoting is broken only its first line is
    rejected, and reading goes on with the next line: one bad quote costs one line, not the rest of the file.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self._lines = _Lines(self._file)
        # Raised for the whole process, and left so: the csv module has no limit of a single reader's own.
        csv.field_size_limit(max(csv.field_size_limit(), MAX_CELL_CHARACTERS))
        self._records = csv.reader(self._lines, strict=True, delimiter=self._lines.delimiter())
        try:
            self._header = self._read_header(path)
        except BaseException:
            self._file.close()
            raise

    def __iter__(self) -> Iterator[Record]:
        while (record := self._next_record()) is not None:
            yield record

    def bytes_read(self) -> int:
        """Return how much of the file was read."""
        return self._file.tell()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def _read_header(self, path: Path) -> list[str]:
        try:
            header = next(self._records, None)
        except csv.Error as error:
            raise UnreadableFileError(f"{path} has a header line that is no CSV: {error}.") from None
        self._lines.end_record()
        if not header:
            raise UnreadableFileError(f"{path} has no header line; its first line must name the columns.")
        doubles = sorted({name for name in header if header.count(name) > 1})
        if doubles:
            raise UnreadableFileError(f"{path} has two columns {doubles[0]!a} in its header line; rename one of them.")
        if "event_type" not in as_columns(dict.fromkeys(header)):
            raise UnreadableFileError(
                f"{path} has no column event_type in its header line, which names: "
                f"{', '.join(ascii(name) for name in header[:12])}. Events need event_type and occurred_at (or "
                "created_at), with commas or semicolons between the columns."
            )
        return header

    def _next_record(self) -> Record | None:
        """Return the next record that is not blank; None at the end."""
        while True:
            try:
                cells = next(self._records, None)
            except csv.Error as error:
                line_number, raw = self._lines.end_broken_record()
                return Record(line_number, raw, f"no CSV: {error}")
            if cells is None:
                return None
            line_number, raw = self._lines.end_record()
            if isinstance(raw, bytes):
                return Record(line_number, raw, _why_no_utf8(raw))
            if raw and not raw.isspace():
                return Record(line_number, raw, self._read_cells(cells))

    def _read_cells(self, cells: list[str]) -> dict[str, Any] | str:
        if len(cells) != len(self._header):
            return f"{len(cells)} fields, but the header has {len(self._header)}"
        content: dict[str, Any] = {name: cell for name, cell in zip(self._header, cells, strict=True) if cell}
        if "context" in content:
            try:
                content["context"] = read_context(content["context"])
            except LineRejectedError as error:
                return str(error)
        return content


class _Lines:
    """The file's lines as text for the csv module, remembering those of the record that it is reading."""

    def __init__(self, file: io.FileIO) -> None:
        self._lines = io.BufferedReader(file, BUFFER_BYTES)
        self._line_number = 1
        self._record: list[bytes] = []
        self._again: deque[bytes] = deque()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._lines.readline()
        if not line:
            raise StopIteration
        if self._line_number == 1 and not self._record:
            line = line.removeprefix(BYTE_ORDER_MARK)
        self._record.append(line)
        # What is no UTF-8 must not hide where the record ends; the record is rejected for it afterwards.
        return line.decode("utf-8", errors="surrogateescape")

    def delimiter(self) -> str:
        """Return what sets the columns of the header line apart; nothing is read by that."""
        header = self._lines.peek(BUFFER_BYTES).partition(b"\n")[0]
        return ";" if b";" in header and b"," not in header else ","

    def end_record(self) -> tuple[int, str | bytes]:
        """Forget the record; return the number of its first line, and its text (bytes where that is no UTF-8)."""
        lines = self._record
        first_line_number = self._line_number
        self._line_number += len(lines)
        self._record = []
        raw = (lines[0] if len(lines) == 1 else b"".join(lines)).rstrip(b"\r\n")
        try:
            return first_line_number, raw.decode()
        except UnicodeDecodeError:
            return first_line_number, raw

    def end_broken_record(self) -> tuple[int, str | bytes]:
        """The same for the record's first line alone; the lines after it are read again."""
        self._again.extendleft(reversed(self._record[1:]))
        del self._record[1:]
        return self.end_record()


def _why_no_utf8(raw: bytes) -> str:
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return no_utf8(error)
    raise AssertionError("only called with what is no UTF-8")
