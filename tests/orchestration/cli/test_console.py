"""At the keyboard: what was mistyped, what Tab completes, and what fits a terminal of 80 columns."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from holds_core import HoldClient, HoldRequest
from orchestration import paths
from orchestration.cli import completion
from tests.orchestration.cli.calling import Done, call

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
    assert completed("holdwatch holds list --restaurant aa1") == [str(RESTAURANTS[1])]
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


def test_tables_fit_80_columns_with_ids_whole(double_booked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too wide for a table is printed row by row; an id can be copied, a text can be read to its end."""
    monkeypatch.setenv("COLUMNS", "80")
    first = double_booked[0]
    shown = {
        arguments: call(*arguments).out
        for arguments in (
            ("holds", "list"), ("holds", "show", first), ("holds", "conflicts"), ("flags", "list"), ("flags", "audit"),
            ("flags", "show", "holds.strictConflicts"), ("flags", "trail"), ("doctor",),
        )
    }  # fmt: skip
    for arguments, out in shown.items():
        assert out.strip(), arguments
        assert max(map(len, out.splitlines())) <= 80, arguments
    assert all(hold in shown["holds", "list"].splitlines() for hold in double_booked)
    assert shown["holds", "conflicts"].count(first) == 2
    assert "selector.repeatLostAnswers" in shown["flags", "list"]
    assert set(LONG.split()) <= set(shown["flags", "trail"].split())

    monkeypatch.setenv("COLUMNS", "200")
    wide = call("holds", "list").out
    assert "table_count" in wide.splitlines()[1]
    assert first in wide
