"""Readers give every record with its number and its text, or the reason why it says nothing."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from typing import Any

import pytest

from holds_core.events.errors import MissingReaderError, UnreadableFileError
from holds_core.events.readers import Record, open_reader


def read(path: Path, content: bytes | str) -> list[Record]:
    """Write the file and read it."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with open_reader(path) as reader:
        return list(reader)


def contents(records: list[Record]) -> list[Any]:
    """Return what the records say."""
    return [record.content for record in records]


def test_blank_lines_are_not_read_but_counted_in_line_numbers(tmp_path: Path) -> None:
    """A byte order mark, CRLF, blanks around the object and a missing last line end are all harmless."""
    records = read(tmp_path / "x.jsonl", b'\xef\xbb\xbf{"a":1}\r\n\n \t\r\n  {"b":2} \n{"c":3}')

    assert records == [
        Record(1, '{"a":1}', {"a": 1}),
        Record(4, '  {"b":2} ', {"b": 2}),
        Record(5, '{"c":3}', {"c": 3}),
    ]


def test_lines_that_say_nothing_have_a_reason(tmp_path: Path) -> None:
    """Other JSON than objects, half objects, and bytes that are no UTF-8; the line after them is read."""
    records = read(tmp_path / "x.jsonl", b'[1]\n"x"\nnull\n{"a":\n{"a":"\xff"}\n{"a":1}\n')

    assert contents(records)[:3] == ["no JSON object"] * 3
    assert str(records[3].content).startswith("no JSON")
    assert records[4] == Record(5, b'{"a":"\xff"}', "no UTF-8: byte 0xff at position 7")
    assert records[5].content == {"a": 1}


def test_gzip_may_have_several_members(tmp_path: Path) -> None:
    """Files that were concatenated, and names in capitals."""
    records = read(tmp_path / "X.JSONL.GZ", gzip.compress(b'{"a":1}\n{"b"') + gzip.compress(b":2}\n"))

    assert contents(records) == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize("damage", ["truncated", "garbage after the end", "no gzip", "wrong checksum"])
def test_damaged_gzip_is_said_to_be_damaged(tmp_path: Path, damage: str) -> None:
    """Whatever the damage is, it is one error that names the file."""
    whole = gzip.compress(b'{"a":1}\n' * 1000)
    content = {
        "truncated": whole[:-20],
        "garbage after the end": whole + b"garbage",
        "no gzip": b'{"a":1}\n',
        "wrong checksum": whole[:-8] + bytes(8),
    }[damage]

    with pytest.raises(UnreadableFileError, match=r"x\.jsonl\.gz is damaged"):
        read(tmp_path / "x.jsonl.gz", content)


def test_csv_cells_become_members(tmp_path: Path) -> None:
    """The context is parsed, an empty cell is as if absent; quoted line breaks, CRLF and a byte order mark are fine."""
    records = read(
        tmp_path / "x.csv",
        '\ufeffevent_type,context,id,note\r\nt,"{""n"":1.50}",,"two\r\nlines, ""quoted"""\r\n\r\nu,null,5,\r\n,,,\r\n',
    )

    assert [record.line_number for record in records] == [2, 5, 6]
    assert str(contents(records)[0]["context"]) == "{'n': Number(text='1.50')}"
    assert contents(records)[0]["note"] == 'two\r\nlines, "quoted"'
    assert "id" not in contents(records)[0]
    assert contents(records)[1] == {"event_type": "u", "context": None, "id": "5"}
    assert contents(records)[2] == {}
    assert records[0].raw == 't,"{""n"":1.50}",,"two\r\nlines, ""quoted"""'


@pytest.mark.parametrize(("first", "mark"), [("eventType;context;id", ";"), ("event_type,con;text,id", ",")])
def test_csv_columns_are_set_apart_by_what_the_header_has(tmp_path: Path, first: str, mark: str) -> None:
    """Semicolons where there is no comma, also after a byte order mark; a comma in a cell is a comma then."""
    semicolons = read(tmp_path / "x.csv", f'\ufeff{first}\r\nt{mark}"{{""n"":1}}"{mark}"a,b;c"\r\n')

    (record,) = contents(semicolons)
    assert (record.get("event_type") or record.get("eventType"), record["id"]) == ("t", "a,b;c")


def test_csv_records_that_do_not_fit_the_header_have_a_reason(tmp_path: Path) -> None:
    """Too many, too few, no JSON, no UTF-8: each alone; NUL is left for later."""
    records = read(
        tmp_path / "x.csv",
        b'event_type,context\nt\nt,{},x\nt,{"a":}\nt,NaN\n"\xffx","{}"\nt,[]\n"a\0b",\nt,{}\n',
    )

    assert contents(records)[:2] == ["1 fields, but the header has 2", "3 fields, but the header has 2"]
    assert str(contents(records)[2]).startswith("context: no JSON")
    assert str(contents(records)[3]).startswith("context: no JSON: NaN")
    assert records[4] == Record(6, b'"\xffx","{}"', "no UTF-8: byte 0xff at position 2")
    assert contents(records)[5:] == [
        {"event_type": "t", "context": []},
        {"event_type": "a\0b"},
        {"event_type": "t", "context": {}},
    ]


@pytest.mark.parametrize(
    "after",
    ["t,2\nt,3\n", 't,"2"\nt,3\n', 't,2\nt,"{""a"":1}"\n', "t,2\n\nt,3"],
    ids=["plain", "quoted", "doubled", "end"],
)
def test_one_bad_quote_costs_one_line(tmp_path: Path, after: str) -> None:
    """A quote that is never closed does not swallow the lines after it."""
    records = read(tmp_path / "x.csv", f'event_type,context\nt,1\nt,"1\n{after}')

    assert [record.line_number for record in records if isinstance(record.content, str)] == [3]
    assert str(records[1].content).startswith("no CSV")
    assert records[1].raw == 't,"1'
    assert [record.raw for record in records[2:]] == after.split()


def test_long_cells_are_read(tmp_path: Path) -> None:
    """The csv module's own limit of 131,072 characters is none for a context."""
    records = read(tmp_path / "x.csv", 'event_type,context\nt,"{""a"":""' + "x" * 1_000_000 + '""}"\n')

    assert contents(records) == [{"event_type": "t", "context": {"a": "x" * 1_000_000}}]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("x.csv", "", "no header line"),
        ("x.csv", "\n\n", "no header line"),
        ("x.csv", "id|event_type\n1|t\n", "no column event_type"),
        ("x.csv", '"event_type\nt\n', "header line that is no CSV"),
        ("x.csv", "event_type,id,id\n", "two columns 'id'"),
        ("x.parquet", "PAR1 not really PAR1", "no Parquet file"),
        ("x.parquet", "", "no Parquet file"),
        ("x.txt", "", "ending that is not known"),
        ("x.csv.gz", "", "ending that is not known"),
        ("jsonl", "", "ending that is not known"),
    ],
)
def test_wrong_files_are_refused_before_reading(tmp_path: Path, name: str, content: str, reason: str) -> None:
    """With one error that names the file and what is wrong with it."""
    (tmp_path / name).write_text(content)

    with pytest.raises(UnreadableFileError, match=reason) as caught:
        open_reader(tmp_path / name)
    assert name in str(caught.value)


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    """Also where their name ends as it should."""
    (tmp_path / "folder.jsonl").mkdir()

    with pytest.raises(UnreadableFileError, match="is a folder"):
        open_reader(tmp_path / "folder.jsonl")
    with pytest.raises(UnreadableFileError, match="There is no file"):
        open_reader(tmp_path / "none.jsonl")
    with pytest.raises(UnreadableFileError, match="cannot be opened"):
        open_reader(tmp_path / ("x" * 300 + ".jsonl"))


def test_parquet_without_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The base install has no pyarrow; the other formats do without it."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "x.parquet").write_bytes(b"")

    with pytest.raises(MissingReaderError, match=r"the extra 'pipeline': pip install '.*\[pipeline\]'"):
        open_reader(tmp_path / "x.parquet")
    assert read(tmp_path / "x.jsonl", "{}\n") == [Record(1, "{}", {})]
