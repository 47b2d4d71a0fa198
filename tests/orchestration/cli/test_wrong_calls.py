"""Whatever a command is given, it ends in one clear line and exit 1 or 2; a traceback is a bug.

Each command is called as its own example calls it, so that a new one is tested as soon as it is there.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest

from orchestration import paths
from orchestration.cli.teaching import examples
from tests.orchestration.cli.calling import Done, call, leaves
from tests.orchestration.cli.test_teaching import words_of

COMMANDS = dict(leaves())
UNREACHABLE = "postgresql://someone:pa55word@127.0.0.1:1/none"

ASKS_NO_DATABASE = {
    ("dashboards", "build"), ("dashboards", "check"), ("db", "url"), ("flags", "registry"), ("flags", "stale"),
    ("pipeline", "data-docs"), ("pipeline", "spark"),
}  # fmt: skip
"""By their example; they may succeed whatever the URL is."""

OWN_DATABASE = {("dashboards", "preview")}
"""By its example it makes one, which takes half a minute."""

MAKES_THE_SCHEMA = {
    ("db", "migrate"), ("demo",), ("events", "deployed"), ("events", "generate"), ("events", "import"), ("evidence",),
    ("events", "sync"), ("pipeline", "run"), ("soak",), ("up",),
}  # fmt: skip
"""In an empty database they begin their work, which other tests are about."""

ASKING = [path for path in COMMANDS if path not in ASKS_NO_DATABASE | OWN_DATABASE | {("doctor",)}]
"""Those whose example asks the database that the variable names, and fails without."""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """State, and what examples write beside themselves, go to a folder of the test's own."""
    monkeypatch.setattr(paths, "STATE_DIR", tmp_path / "state")
    monkeypatch.chdir(tmp_path)
    for name in ("DD_API_KEY", "DD_APP_KEY", "GRAFANA_TOKEN", "HOLDWATCH_AS", "SPARK_CONF_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def url(new_database: Callable[..., str], small_template: str) -> str:
    """A database that nothing here changes: all that is asked of it is wrong."""
    return new_database(small_template)


def as_in_its_example(path: tuple[str, ...]) -> list[str]:
    """The arguments of a command's first example; nobody acts as a person who has no login here."""
    words = words_of(examples(COMMANDS[path])[0].rpartition("&& ")[2])
    if "--as" in words:
        del words[words.index("--as") : words.index("--as") + 2]
    return words


def assert_told(done: Done, *words: str) -> None:
    """It failed, or the call was wrong; and one line on standard error says so."""
    assert done.status in (1, 2), done
    assert "Traceback" not in done.out + done.err
    # Before it there may be notes of what was begun.
    *notes, told = done.err.strip().splitlines() or [""]
    assert told.startswith("holdwatch: "), done.err
    assert not any(note.startswith("holdwatch: ") for note in notes), done.err
    assert all(word in told for word in words), told


@pytest.mark.parametrize("path", ASKING, ids=" ".join)
def test_unreachable_database_is_told_in_one_line(path: tuple[str, ...]) -> None:
    """With exit 1, and without the password that is in the URL."""
    done = call(*as_in_its_example(path), HOLDWATCH_DATABASE_URL=UNREACHABLE)

    assert_told(done)
    assert done.status == 1
    assert "pa55word" not in done.err


@pytest.mark.parametrize("path", ASKING, ids=" ".join)
def test_url_of_another_kind_is_told_in_one_line(path: tuple[str, ...]) -> None:
    """Before anything else is done."""
    done = call(*as_in_its_example(path), HOLDWATCH_DATABASE_URL="mysql://someone:pa55word@db/x")

    assert_told(done)
    assert "pa55word" not in done.err


@pytest.fixture(scope="module")
def empty_url(new_database: Callable[[], str]) -> str:
    """A database that is not ours."""
    return new_database()


@pytest.mark.parametrize(
    "path", [path for path in ASKING if path not in MAKES_THE_SCHEMA | {("db", "status")}], ids=" ".join
)
def test_database_without_schema_is_told_in_one_line(path: tuple[str, ...], empty_url: str) -> None:
    """Nothing is made there."""
    assert_told(call(*as_in_its_example(path), HOLDWATCH_DATABASE_URL=empty_url))
    with psycopg.connect(empty_url) as connection:
        assert connection.execute("select to_regnamespace('holds') is null").fetchone() == (True,)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_values_of_the_wrong_kind_are_refused(path: tuple[str, ...]) -> None:
    """Each option that takes more than text names itself where it is given rubbish, and each typo finds its option."""
    for option in COMMANDS[path].params:
        name = next((one for one in option.opts if one.startswith("--")), None)
        if name is None or name in ("--help", "--version"):
            continue
        assert_told(call(*path, f"{name}x"), "No such option", name)
        kind = option.type_descriptor.annotation
        if option.is_flag:
            assert_told(call(*path, f"{name}=rubbish"), name)
        elif option.type_descriptor.is_choice or getattr(kind, "__name__", "") in ("int", "float", "UUID", "datetime"):
            done = call(*as_in_its_example(path), name, "rubbish")
            assert_told(done, name)
            assert done.status == 2


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "csv", "parquet", "txt"])
def test_files_that_are_none_are_told_in_one_line(suffix: str, tmp_path: Path, url: str) -> None:
    """A missing file, a folder, and a file of random bytes, by each reader."""
    variables = {"HOLDWATCH_DATABASE_URL": url}
    assert_told(call("events", "import", f"missing.{suffix}", **variables), f"missing.{suffix}")
    (tmp_path / f"folder.{suffix}").mkdir()
    assert_told(call("events", "import", f"folder.{suffix}", **variables), f"folder.{suffix}")
    (tmp_path / f"rubbish.{suffix}").write_bytes(b"\x00\xff\xfe\n" + secrets.token_bytes(4096))
    done = call("events", "import", f"rubbish.{suffix}", "--json", **variables)
    if suffix == "jsonl":
        # A file of lines, each of which is wrong by itself.
        assert done.status == 0
        assert done.json["imported"] == 0
        assert done.json["rejected"] == done.json["read"] > 0
    else:
        assert_told(done, f"rubbish.{suffix}")


@pytest.mark.parametrize(
    "arguments",
    [
        ("events", "export", "file"),
        ("events", "export", "file/below"),
        ("dashboards", "build", "--directory", "file/below"),
        ("dashboards", "build", "--directory", "/proc/nothing"),
        ("dashboards", "check", "--directory", "nowhere", "--no-queries"),
        ("metrics", "serve", "--password-file", "nowhere"),
        ("metrics", "serve", "--password-file", "binary"),
        ("pipeline", "docs", "--output", "."),
        ("soak", "--ramp", "--concurrency", "1", "--step-seconds", "0.1", "--report", "file/below.html"),
        ("pipeline", "spark", "nowhere"),
        ("dashboards", "preview", "--directory", "file/below"),
        ("dashboards", "preview", "--from", "then"),
    ],
    ids=" ".join,
)
def test_places_where_nothing_can_be_written_or_read_are_told(
    arguments: tuple[str, ...], tmp_path: Path, url: str
) -> None:
    """A folder that is a file, a folder that takes no file, a file that is no text."""
    (tmp_path / "file").write_text("")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")

    assert_told(call(*arguments, HOLDWATCH_DATABASE_URL=url))


@pytest.mark.parametrize(
    "arguments",
    [
        ("enforcement", "off", "--reason", "a\0b"),
        ("events", "deployed", "--version", "a\0b"),
        ("events", "import", "a\0b.jsonl"),
        ("events", "export", "a\0b"),
        ("events", "sync", "--from", "postgresql://a\0b@127.0.0.1:1/x"),
        ("events", "sync", "--from", UNREACHABLE, "--table", "a\0b"),
        ("maintenance", "add", "--for", "2h", "--reason", "a\0b"),
        ("maintenance", "add", "--for", "2h", "--reason", "x", "--time-zone", "a\0b"),
        ("maintenance", "add", "--for", "99999999999999d", "--reason", "x"),
        ("db", "grant", "holds_app", "a\0b"),
        ("flags", "show", "a\0b"),
        ("flags", "list", "--as", "a\0b"),
        ("flags", "list", "--as", "../../etc"),
        ("flags", "verify", "--head", "a\0b"),
        ("flags", "actors", "remove", "a\0b"),
        ("flags", "pending", "99999999999999999999"),
        ("flags", "approve", "99999999999999999999"),
        ("flags", "request", "selector.lookahead", "9" * 400 + "%", "--reason", "x"),
        ("flags", "request", "selector.attemptLimit", "9" * 30, "--reason", "x"),
        ("holds", "list", "--limit", "99999999999999999999"),
        ("holds", "extend", "6b7d6866-b2db-4f29-b32b-aceabf61f790", "--minutes", "nan"),
        ("flags", "trail", "--limit", "0"),
        ("events", "generate", "--until", "0001-01-01"),
        ("metrics", "serve", "--host", "a\0b"),
        ("metrics", "serve", "--host", "256.0.0.1"),
    ],
    ids=lambda arguments: " ".join(arguments).replace("\0", "NUL")[:60],
)
def test_text_and_numbers_that_no_database_takes_are_told(arguments: tuple[str, ...], url: str) -> None:
    """NUL bytes, numbers beyond all bounds, names that lead elsewhere."""
    assert_told(call(*arguments, HOLDWATCH_DATABASE_URL=url))


def test_wrong_password_is_told_without_it(server_url: str) -> None:
    """A login that is not there fails as a wrong password does, whatever the server trusts."""
    parts = urlsplit(server_url)
    host = f"{parts.hostname}:{parts.port or 5432}" if parts.hostname else ""
    url = urlunsplit(parts._replace(netloc=f"nobody_{uuid4().hex[:8]}:pa55word@{host}"))

    done = call("holds", "list", HOLDWATCH_DATABASE_URL=url)

    assert_told(done, "Cannot reach the database")
    assert "pa55word" not in done.err


def process(arguments: tuple[str, ...], url: str, **streams: Any) -> subprocess.CompletedProcess[str]:
    """Run a command as a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", "from orchestration.cli import main; main()", *arguments],
        env=os.environ | {"HOLDWATCH_DATABASE_URL": url},
        stderr=subprocess.PIPE, text=True, check=False, timeout=60, **streams,
    )  # fmt: skip


@pytest.mark.parametrize("arguments", [("flags", "audit", "--json"), ("flags", "list"), ("--help",)], ids=" ".join)
def test_reader_that_has_gone_ends_it_without_a_word(arguments: tuple[str, ...], url: str) -> None:
    """As in `holdwatch … | head -1`: exit 1, and what Python itself would say at its end is not said."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = process(arguments, url, stdout=write_end)
    finally:
        os.close(write_end)

    assert (done.returncode, done.stderr) == (1, "")


def test_full_disk_ends_it_in_one_line(url: str) -> None:
    """What could not be written is said, and the exit status says so."""
    with Path("/dev/full").open("w") as full:
        done = process(("flags", "audit", "--format", "csv"), url, stdout=full)

    assert_told(Done(done.returncode, "", done.stderr), "No space left")
