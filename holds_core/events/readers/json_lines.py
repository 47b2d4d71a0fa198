"""JSON lines, plain or gzipped: one object a line."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Self

from holds_core.events.errors import UnreadableFileError
from holds_core.events.readers.records import Record, no_utf8, read_object

BUFFER_BYTES = 1 << 18
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class JsonLinesReader:
    """Reads ``.jsonl`` and ``.jsonl.gz``; blank lines are no records.

    Damage to a gzipped file shows while it is read, as an ``UnreadableFileError``.
    """

    def __init__(self, path: Path, *, is_gzipped: bool) -> None:
        self._path = path
        self._file = path.open("rb", buffering=0)
        self._lines: IO[bytes]
        if is_gzipped:
            self._lines = io.BufferedReader(_Unzipped(self._file), BUFFER_BYTES)
        else:
            self._lines = io.BufferedReader(self._file, BUFFER_BYTES)

    def __iter__(self) -> Iterator[Record]:
        for line_number, read in enumerate(self._read_lines(), start=1):
            line = read.removeprefix(BYTE_ORDER_MARK) if line_number == 1 else read
            if line.isspace() or not line:
                continue
            line = line.rstrip(b"\r\n")
            try:
                text = line.decode()
            except UnicodeDecodeError as error:
                yield Record(line_number, line, no_utf8(error))
                continue
            yield Record(line_number, text, read_object(text))

    def _read_lines(self) -> Iterator[bytes]:
        try:
            yield from self._lines
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise UnreadableFileError(f"{self._path} is damaged: {error}.") from error

    def bytes_read(self) -> int:
        """Return how much of the file, as it is on disk, was read."""
        return self._file.tell()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._lines.close()
        self._file.close()


class _Unzipped(io.RawIOBase):
    """The content of a gzipped file, to its last byte before any damage.

    ``GzipFile`` alone, under a larger buffer, would lose what it had unzipped into that buffer when the damage shows.
    """

    def __init__(self, file: io.FileIO) -> None:
        self._gzip = gzip.GzipFile(fileobj=file, mode="rb")

    def readable(self) -> bool:
        """Say that this is for reading."""
        return True

    def readinto(self, buffer: Any) -> int:  # any writable buffer; Python 3.11 has no name for that
        """Fill the buffer, or as much of it as one step of unzipping gives; return how many bytes."""
        view = memoryview(buffer)
        data = self._gzip.read1(len(view))
        view[: len(data)] = data
        return len(data)
