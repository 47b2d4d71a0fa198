"""What the README and the pages say is true: their snippets run, their links lead somewhere, their commands exist."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from typer.testing import CliRunner

from holds_core.events.types import EVENT_TYPES
from orchestration import paths
from orchestration.cli.app import app
from orchestration.server.layout import ServerLayout

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])


@pytest.fixture(scope="session")
def template(small_template: str) -> str:
    """The snippets hold tables of later days: no history is needed."""
    return small_template


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return blocks_in(page.read_text(), language)


def blocks_in(text: str, language: str) -> list[str]:
    """Those of a text."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@contextmanager
def shell_on_a_fresh_machine(
    state: Path, directory: Path
) -> Iterator[Callable[[str], subprocess.CompletedProcess[str]]]:
    """Runs scripts in a folder, with nothing of ours in the environment but where the state is kept."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("HOLDWATCH_")}
    path = os.pathsep.join((str(Path(sys.executable).parent), variables["PATH"]))
    environment = variables | {"PATH": path, "HOLDWATCH_STATE_DIR": str(state)}

    def shell(text: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", text], check=False, cwd=directory, env=environment, capture_output=True, text=True
        )

    try:
        yield shell
    finally:
        shell("holdwatch db stop")
        if ServerLayout.of(state).user is not None:
            shutil.rmtree(ServerLayout.of(state).home, ignore_errors=True)


def run(source: str, **names: object) -> None:
    """Run a snippet as its reader would, with these names at hand."""
    exec(compile(source, "snippet", "exec"), dict(names))


def test_readme_snippet_prints_what_it_says(
    database_url: str,
    connection: psycopg.Connection,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first thing that an engineer copies works, and a second time it gives the same hold."""
    (snippet,) = blocks(README, "python")
    monkeypatch.setenv("DATABASE_URL", database_url)

    run(snippet)
    run(snippet)

    said = capsys.readouterr().out.splitlines()
    assert said == ["confirmed 2 tables after 1 attempt(s)"] * 2
    assert said[0] in "".join(blocks(README, "console"))
    assert connection.execute("select count(*) from holds.table_holds").fetchone() == (1,)


@pytest.mark.slow
def test_readme_is_copied_into_a_shell_on_a_fresh_machine(tmp_path: Path) -> None:
    """Each of the paths under "Where to start" can be walked as it is printed, and ends in something seen."""
    _, _, paths_of_users = README.read_text().partition("## Where to start")
    state, checkout = tmp_path / "state", tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "first_hold.py").write_text(blocks(README, "python")[0])
    lines = "".join(blocks_in(paths_of_users, "console")).splitlines()
    typed = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    assert typed[0].startswith("export PATH=")
    with shell_on_a_fresh_machine(state, checkout) as shell:
        said = shell("\n".join(["set -eux", *typed[1:]]))
    assert said.returncode == 0, said.stderr
    assert [line for line in lines if not line.startswith("$ ") and line not in said.stdout.splitlines()] == []
    assert "refused" in said.stdout
    assert "holds.strictConflicts" in said.stdout
    for page in ("report.html", "preview/index.html"):
        assert f"`.holdwatch/{page}`" in paths_of_users
        assert (state / page).read_text().startswith("<!DOCTYPE html>")


def test_holds_page_snippets_run(database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The names that a reader has at hand are given; the rest is the page's."""
    starts_at = datetime.now(UTC)
    names = {name: uuid4() for name in ("restaurant_id", "window_table", "corner_table", "booking_id")}
    for snippet in blocks(ROOT / "docs" / "holds.md", "python"):
        run(snippet, database_url=database_url, starts_at=starts_at, ends_at=starts_at + timedelta(hours=1), **names)

    assert capsys.readouterr().out.strip() == "[True]"


FLAGS_PAGE = ROOT / "docs" / "feature-flags" / "README.md"


def test_flags_page_snippets_run(database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What an application embeds, by either API, with the names that its reader has at hand."""
    for snippet in blocks(FLAGS_PAGE, "python"):
        run(snippet, database_url=database_url, restaurant_id=uuid4())
    said = capsys.readouterr().out.splitlines()
    assert said == ["default", "False off DEFAULT default", "TARGETING_KEY_MISSING"]
    assert [line for line in said if f"`{line}`" not in FLAGS_PAGE.read_text()] == []


def test_flags_page_commands_do_what_it_says(
    database_url: str, connection: psycopg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the page alone: two people get logins, one asks, the other approves, and so on to the end of the page."""
    monkeypatch.setattr(paths, "STATE_DIR", tmp_path)
    page = "".join(blocks(FLAGS_PAGE, "console"))
    # Logins are the whole server's: other tests may have an ann, too.
    people = {name: f"{name}_{uuid4().hex[:8]}" for name in ("ann", "bob")}
    commands = [shlex.split(line.removeprefix("$ holdwatch ")) for line in page.splitlines()]
    try:
        for command in commands:
            arguments = [people.get(word, word) for word in command]
            result = CliRunner().invoke(app, arguments, env={"HOLDWATCH_DATABASE_URL": database_url})
            assert result.exit_code == 0, (command, result.output, result.exception)
    finally:
        for login in people.values():
            connection.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(login)))
    assert len(commands) > 10
    assert connection.execute(
        "select flag, value, percentage, break_glass_value, is_killed from holds.flag_overrides order by flag"
    ).fetchall() == [
        ("holds.strictConflicts", None, None, None, False),
        ("selector.attemptLimit", None, None, None, False),
        ("selector.lookahead", True, 10, None, False),
    ]


@pytest.mark.slow
def test_flags_page_is_copied_into_a_shell_on_a_fresh_machine(tmp_path: Path) -> None:
    """The README says how to start the server, and leads to the page: both people get by with what stands there."""
    assert "](docs/feature-flags/README.md)" in README.read_text()
    lines = "".join(blocks(FLAGS_PAGE, "console")).splitlines()
    script = "\n".join(["set -eux", "holdwatch db start", *(line.removeprefix("$ ") for line in lines)])
    with shell_on_a_fresh_machine(tmp_path / "state", tmp_path) as shell:
        done = shell(script)
        assert done.returncode == 0, done.stderr
        shown = json.loads(shell("holdwatch flags list --json").stdout)
    (known,) = [flag for flag in shown["flags"] if flag["flag"] == "selector.lookahead"]
    assert (known["effective"], known["reason"]) == ("10%", "override")


def test_pictures_are_described_small_and_used() -> None:
    """Each says in words what it shows; none is large; none lies about unused. Anew: make pictures."""
    pictures = ROOT / "docs" / "pictures"
    used = set()
    for page in PAGES:
        for words, target in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", page.read_text()):
            assert len(words.split()) >= 10, f"{page.name} says too little of {target}"
            used.add((page.parent / target).resolve())

    assert used == set(pictures.iterdir())
    assert [path.name for path in pictures.iterdir() if path.stat().st_size > 150_000] == []


def test_event_table_names_every_type() -> None:
    """The page knows every type that the code knows; those of one family may share a row."""
    text = (ROOT / "docs" / "events.md").read_text()
    for event_type in EVENT_TYPES:
        family, _, last = event_type.rpartition(".")
        assert f"`{event_type}`" in text or (f"`{family}." in text and f"`.{last}`" in text), event_type


def test_locking_rules_are_where_contributing_says(connection: psycopg.Connection) -> None:
    """The rules of locking stand at the top of the functions' migration, and the functions are there."""
    text = (ROOT / "holds_core/sql/migrations/0004_hold_functions.sql").read_text()
    assert "Rules of locking" in text[:600]
    assert connection.execute("select to_regproc('holds.create_table_hold') is not null").fetchone() == (True,)
