"""Readers of event files: one for each format, all giving the same records."""

from __future__ import annotations

from pathlib import Path

from holds_core.events.errors import UnreadableFileError
from holds_core.events.readers.csv_file import CsvReader
from holds_core.events.readers.json_lines import JsonLinesReader
from holds_core.events.readers.parquet_file import ParquetReader
from holds_core.events.readers.records import EventReader, Raw, Record

__all__ = ["EventReader", "Raw", "Record", "open_reader"]


def open_reader(path: Path) -> EventReader:
    """Open the file with the reader that its name asks for; close it after use (it is a context manager).

    Raises:
        UnreadableFileError: There is no such file, its name's ending is not known, it cannot be opened, or its
            beginning (a CSV's header, a Parquet file's schema) shows that it is no file of events.
        MissingReaderError: Its format needs an extra that is not installed.
    """
    name = path.name.lower()
    try:
        if not path.exists():
            raise UnreadableFileError(f"There is no file {path}.")
        if path.is_dir():
            raise UnreadableFileError(f"{path} is a folder; name the files in it.")
        if name.endswith((".jsonl", ".jsonl.gz")):
            return JsonLinesReader(path, is_gzipped=name.endswith(".gz"))
        if name.endswith(".csv"):
            return CsvReader(path)
        if name.endswith(".parquet"):
            return ParquetReader(path)
    except OSError as error:
        raise UnreadableFileError(f"{path} cannot be opened: {error.strerror or error}.") from error
    raise UnreadableFileError(
        f"{path} has an ending that is not known; events are read from .jsonl, .jsonl.gz, .csv and .parquet files."
    )
