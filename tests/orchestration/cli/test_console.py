"""At the keyboard: what was mistyped, what Tab completes, what fits 80 columns, and what one waits for."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql

from holds_core import HoldClient, HoldRequest
from orchestration import paths
from orchestration.cli import completion
from tests.orchestration.cli.calling import Done, broken_words, call

RESTAURANTS = [UUID(f"aa{number}00000-0000-4000-8000-000000000000") for number in range(3)]
LONG = "a reason of somebody who has much to say, and says so at a length that no terminal has a line for"


@pytest.fixture(scope="session")
def template(small_template: str) -> str:
    """No history is needed."""
    return small_template


@pytest.fixture
def double_booked(database_url: str) -> Iterator[list[str]]:
    """The database's URL in the environment, with three holds of as many restaurants on one table; their ids."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOLDWATCH_DATABASE_URL", database_url)
        assert call("enforcement", "off", "--reason", LONG).status == 0
        starts_at, table = datetime.now(UTC) + timedelta(days=1), uuid4()
        with HoldClient.connect(database_url) as client:
            yield [
                str(
                    client.place(
                        HoldRequest(
                            restaurant_id=restaurant,
                            table_ids=(table,),
                            starts_at=starts_at,
                            ends_at=starts_at + timedelta(hours=2),
                            booking_id=uuid4(),
                        )
                    ).id
                )
                for restaurant in RESTAURANTS
            ]


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("enforcment",), "enforcement"),
        (("flags", "aprove", "1"), "approve"),
        (("flags", "actors", "lst"), "list"),
        (("holds", "list", "--statsu", "held"), "--status"),
        (("holds", "list", "--status", "confirmd"), "confirmed"),
        (("enforcement", "on", "--reason", "x", "--overlaps", "GRANDFATER"), "grandfather"),
        (("db", "grant", "holds_operater", "ann"), "holds_operator"),
        (("db", "migrate", "--change-environment", "stagng"), "staging"),
        (("flags", "audit", "--format", "markdwon"), "markdown"),
    ],
    ids=lambda one: one if isinstance(one, str) else " ".join(one),
)
def test_typo_is_answered_with_what_was_meant(arguments: tuple[str, ...], meant: str) -> None:
    """In one line, which also says where to read on; and exit 2."""
    done = call(*arguments)

    assert done.status == 2
    (line,) = done.err.splitlines()
    assert f"Did you mean {meant!r}? See: holdwatch" in line
    assert line.endswith("--help")


def test_word_that_is_like_none_is_answered_without_a_guess() -> None:
    """A wrong guess is worse than none; what there is instead is said."""
    assert "Did you mean" not in call("xyzzy").err
    assert (
        "'xyzzy' is not one of held, confirmed, released, expired. See:"
        in call("holds", "list", "--status", "xyzzy").err
    )


def completed(words: str, **variables: str) -> list[str]:
    """What bash would offer at the end of these words, asked as its completion script asks."""
    asked = {"_HOLDWATCH_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv = ['holdwatch']; from orchestration.cli import main; main()"],
        env=os.environ | asked | variables, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("holdwatch enf", ["enforcement"]),
        ("holdwatch flags act", ["actors"]),
        ("holdwatch flags show selector.l", ["selector.lookahead"]),
        ("holdwatch flags request selector.lookahead on --environment s", ["staging"]),
        ("holdwatch rollout advance --flag ", ["holds.strictConflicts", "selector.lookahead"]),
        ("holdwatch holds list --sta", ["--status"]),
    ],
)
def test_tab_completes_nouns_flags_environments_and_options(words: str, offered: list[str]) -> None:
    """Without a database: nothing is asked that is not at hand."""
    assert completed(words, HOLDWATCH_DATABASE_URL="postgresql://someone@127.0.0.1:1/none") == offered


def test_tab_completes_restaurants_of_a_database_that_is_up(
    double_booked: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By the beginning of the id; and nothing, at once and in silence, where no database is up or none is ours."""
    for words in ("holds list --restaurant", "rollout cohort --add", "rollout cohort --remove"):
        assert completed(f"holdwatch {words} aa1") == [str(RESTAURANTS[1])]
    assert completion.restaurants("") == [str(restaurant) for restaurant in RESTAURANTS]
    assert completion.restaurants("AA2") == [str(RESTAURANTS[2])]
    assert completion.restaurants("no id") == completion.restaurants("b") == []

    for url in ("postgresql://someone@127.0.0.1:1/none", "mysql://x", None):
        if url is None:
            monkeypatch.delenv("HOLDWATCH_DATABASE_URL")
            monkeypatch.setattr(paths, "STATE_DIR", tmp_path)
        else:
            monkeypatch.setenv("HOLDWATCH_DATABASE_URL", url)
        assert completion.restaurants("") == []
    # The embedded server was not started for it.
    assert not (tmp_path / "server").exists()


def test_completion_is_shown_and_installed(tmp_path: Path) -> None:
    """For the shell that calls it, or the one that is named."""
    assert "complete -o default -F _holdwatch_completion holdwatch" in shell("--show-completion", tmp_path).out
    assert shell("--install-completion", tmp_path).status == 0
    assert "_holdwatch_completion" in (tmp_path / ".bash_completions" / "holdwatch.sh").read_text()


def shell(option: str, home: Path) -> Done:
    """Ask bash to run holdwatch, as whoever sits there."""
    program = Path(sys.executable).with_name("holdwatch")
    # Bash would replace itself by a single command, and then be found to be another shell.
    done = subprocess.run(
        ["/bin/bash", "-c", f"{program} {option}; exit $?"],
        env=os.environ | {"HOME": str(home)}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def operator(double_booked: list[str], connection: psycopg.Connection, tmp_path: Path) -> Iterator[str]:
    """A person with the longest name that a login may have, who has asked for much, at length."""
    person = f"{'a_name_of_many_parts_' * 3}"[:54] + f"_{uuid4().hex[:8]}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "STATE_DIR", tmp_path / "state")
        assert call("db", "grant", "holds_operator", person).status == 0
        for words in (
            ("request", "telemetry.spool", "off", "--environment", "prod", "--unsafe-because", LONG),
            ("break-glass", "selector.attemptLimit", "5", "--lasts", "2h"),
            ("request", "selector.combinations", "off", "--restaurant", str(RESTAURANTS[0])),
        ):
            assert call("flags", *words, "--reason", LONG, "--as", person).status == 0
        assert len(call("flags", "pending", "--json").json["changes"]) == 3
        assert (
            call("maintenance", "add", "--for", "2h", "--reason", LONG, "--restaurant", str(RESTAURANTS[0])).status == 0
        )
        yield person
    connection.execute(sql.SQL("drop role {}").format(sql.Identifier(person)))


def test_whatever_prints_fits_80_columns_with_words_whole(
    operator: str, double_booked: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is too wide for a table is printed row by row: an id can be copied, a text be read to its end."""
    monkeypatch.chdir(tmp_path)
    file = Path("events-of-the-old-platform-with-all-that-it-knew-of-restaurants-and-their-tables-2026-11.jsonl")
    file.write_text("no event\n")
    first = double_booked[0]
    commands = (
        ("holds", "list"), ("holds", "show", first), ("holds", "conflicts"), ("enforcement", "status"),
        ("flags", "list"), ("flags", "audit"), ("flags", "show", "holds.strictConflicts"),
        ("flags", "show", "selector.attemptLimit"), ("flags", "trail"), ("flags", "pending"), ("flags", "pending", "1"),
        ("flags", "pending", "2"), ("flags", "actors", "list"), ("maintenance", "list"), ("rollout", "status"),
        ("events", "import", str(file)), ("dashboards", "build", "--directory", "here"), ("doctor",), ("db", "status"),
        ("dashboards", "check", "--no-queries", "--only", "runbooks", "--only", "grafana-schema"),
    )  # fmt: skip
    shown = {arguments: call(*arguments, COLUMNS="80").out for arguments in commands}
    for arguments, out in shown.items():
        assert out.strip(), arguments
        assert broken_words(out, call(*arguments, COLUMNS="2000").out) == set(), arguments
        for line in out.splitlines():
            # A word that has no place to break is better long than cut.
            assert len(line) <= 80 or " " not in line.strip(), (arguments, line)
    assert all(hold in shown["holds", "list"].splitlines() for hold in double_booked)
    assert shown["holds", "conflicts"].count(first) == 2
    assert operator in shown["flags", "pending"]
    assert set(LONG.split()) <= set(shown["flags", "trail"].split())

    wide = call("holds", "list", COLUMNS="200").out
    assert "table_count" in wide.splitlines()[1]
    assert first in wide


def test_limits_say_what_they_leave_out(operator: str, double_booked: list[str]) -> None:
    """For people on standard error, for programs in the answer; and nothing where all is shown."""
    for words, rows, left_out, said in (
        (("flags", "pending"), "changes", {"left_out": 2}, "2 more changes not shown"),
        (
            ("flags", "trail", "--flag", "telemetry.spool"),
            "entries",
            {"left_out": 1},
            "1 more entries, all of them older",
        ),
        (("holds", "list"), "holds", {"has_more": True}, "More holds not shown"),
        (("holds", "conflicts"), "double_bookings", {"has_more": True}, "More double bookings not shown"),
    ):
        limited = call(*words, "--limit", "1", "--json").json
        limited.pop("kill_switches", None)  # which no limit leaves out
        assert (len(limited.pop(rows)), limited) == (1, left_out)
        assert said in call(*words, "--limit", "1").err
        assert "not shown" not in call(*words).err


def test_whoever_waits_is_told_what_for(
    double_booked: list[str], connection: psycopg.Connection, tmp_path: Path
) -> None:
    """On the terminal, while standard output, which goes elsewhere, gets the answer alone."""
    program = [str(Path(sys.executable).with_name("holdwatch")), "holds", "list", "--json"]
    terminal, its_end = pty.openpty()
    connection.execute("begin; lock table holds.table_holds")
    with (
        open(tmp_path / "out", "wb") as out,
        subprocess.Popen(program, stdout=out, stderr=its_end, env=os.environ | {"TERM": "xterm"}) as command,
    ):
        os.close(its_end)
        told = b""
        while b"asking the database" not in told:
            told += os.read(terminal, 1000)
        connection.execute("rollback")
        with suppress(OSError):  # the other end is closed
            while more := os.read(terminal, 1000):
                told += more
    os.close(terminal)
    assert command.returncode == 0
    assert told.endswith(b"\x1b[2K")  # and nothing of it stays
    assert len(json.loads((tmp_path / "out").read_text())["holds"]) == len(double_booked)
