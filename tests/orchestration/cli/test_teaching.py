"""Every command teaches: what it does, what each option means, and an example that is a call it takes."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from holds_core import HoldClient, HoldRequest
from orchestration import paths
from orchestration.cli.app import Holdwatch
from orchestration.cli.nouns import Nouns
from orchestration.cli.teaching import broken, examples, summary
from tests.orchestration.cli.calling import call, leaves, tree

WIDTH = 80


@pytest.fixture(scope="session")
def template(small_template: str) -> str:
    """No history is needed."""
    return small_template


RUN_UNTIL_ENDED = {("up",), ("metrics", "serve")}
"""They report nothing: what they start does."""

TREE = dict(tree())

RUN_HERE = (
    "db migrate", "doctor", "holds list", "holds show", "holds conflicts", "holds extend", "holds move",
    "holds release", "holds sweep", "db status", "db url", "db grant", "enforcement check", "enforcement off",
    "enforcement on", "enforcement status", "flags request", "flags pending", "flags break-glass", "flags list",
    "flags show", "flags audit", "flags trail", "flags verify", "flags stale", "flags registry", "rollout status",
    "rollout cohort", "maintenance add", "maintenance list", "maintenance end", "events deployed", "events drain",
    "events export", "dashboards build", "flags actors list", "flags actors remove",
)  # fmt: skip
"""In this order, in which each finds what the one before has left."""

RUN_ELSEWHERE = {
    "by tests of what they start": {"demo", "up", "soak", "evidence", "db start", "db stop", "metrics serve"},
    "by tests with dbt, views or tools": {
        "report", "pipeline run", "pipeline rebuild", "pipeline spark", "pipeline docs",
        "pipeline data-docs", "dashboards preview",
        "dashboards check", "dashboards push", "metrics push", "drill double-booking", "drill success-dip",
        "drill flag-contradiction", "drill kill-switch", "events generate", "events import", "events sync",
    },
    "by tests that bring a change, or a stage, where they begin": {
        "flags edit", "flags approve", "flags apply", "flags reject", "flags withdraw", "flags review",
        "rollout advance", "rollout start", "rollout roll-back",
    },
}  # fmt: skip


def words_of(example: str) -> list[str]:
    """The arguments of holdwatch in an example, up to what the shell does with it; in a folder of the test's own."""
    words = shlex.split(re.sub(r"\$\((holdwatch[^)]*)\)", r"\1", example))
    text = words[words.index("holdwatch") + 1 :] if "holdwatch" in words else shlex.split(words[-1])[1:]
    words = list(takewhile(lambda word: word not in ("&&", ">", "|"), text))
    for word in words:
        if word.endswith(".txt"):
            Path(word).touch()  # an example may name a file that its reader has
    return words


@pytest.mark.parametrize("path", TREE, ids=" ".join)
def test_help_has_all_words_and_an_example_within_80_columns(
    path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a group as of a command: a text, one for each parameter, and an example at the end."""
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    command = TREE[path]
    assert command.help
    for parameter in command.params:
        assert getattr(parameter, "help", None), parameter.name

    done = call(*path, "--help")

    assert (done.status, done.err) == (0, "")
    text, _, taught = re.split(r"^(Examples?):$", done.out, maxsplit=1, flags=re.MULTILINE)
    assert "holdwatch" in taught
    assert summary(command).split()[0] in text
    for line in done.out.splitlines():
        # A word that has no place to break is better long than wrong.
        assert len(line) <= WIDTH or " " not in line.strip(), line


@pytest.mark.parametrize(
    ("path", "command"), list(leaves()), ids=lambda one: " ".join(one) if type(one) is tuple else ""
)
def test_examples_are_calls_that_the_command_takes(
    path: tuple[str, ...], command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copied from the help, lines and all, each is one call to the shell, and right to the command."""
    monkeypatch.chdir(tmp_path)
    for example in examples(command):
        assert shlex.split("\n".join(broken(example, WIDTH - 4)).replace("\\\n", "")) == shlex.split(example)
        words = words_of(example)
        if words[: len(path)] != list(path):
            words = words_of(example.partition("&&")[2])
        assert words[: len(path)] == list(path), example
        # Reads and converts the arguments, and goes no further.
        command.make_context(path[-1], words[len(path) :])


def test_examples_do_what_they_say(
    database_url: str, connection: psycopg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each as it stands in the help, with what its reader has: a login, a hold, a change, a place for files."""
    every = {" ".join(path) for path, _ in leaves()}
    assert every == set(RUN_HERE).union(*RUN_ELSEWHERE.values())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(paths, "STATE_DIR", tmp_path / "state")
    monkeypatch.setenv("HOLDWATCH_DATABASE_URL", database_url)
    starts_at, person = datetime.now(UTC) + timedelta(days=1), f"ann_{uuid4().hex[:8]}"
    with HoldClient.connect(database_url) as client:
        hold = client.place(
            HoldRequest(
                restaurant_id=uuid4(),
                table_ids=(uuid4(),),
                starts_at=starts_at,
                ends_at=datetime(2030, 1, 31, 20, tzinfo=UTC),
                booking_id=uuid4(),
            )
        )
    any_id = "0d4a6a7e-0c4f-4b6e-9f0e-4c1f6f0a2b11"
    own = {"ann": person, "12": "1", "/data/events": str(tmp_path / "events"), any_id: str(hold.id)}
    logins = {"holds_operator": person, "analytics_reader": f"reader_{uuid4().hex[:8]}"}
    for role, login in logins.items():
        assert call("db", "grant", role, login).status == 0
    for command in RUN_HERE:
        if command == "flags verify":
            own["$(cat trail-head.txt)"] = call("flags", "verify", "--json").json["head"]
        if command == "maintenance end":
            own[any_id] = call("maintenance", "list", "--json").json["maintenance_windows"][0]["id"]
        for example in examples(TREE[tuple(command.split())]):
            done = call(*(own.get(word, word) for word in words_of(example)))
            assert done.status == 0, f"{example}\n{done.out}{done.err}"
    for login in logins.values():
        connection.execute(sql.SQL("drop role {}").format(sql.Identifier(login)))


def test_nouns_are_listed_as_they_present_themselves() -> None:
    """The list is written beside the program, so that --help need not import all of it; it says the same."""
    group: Any = TREE[()]
    assert isinstance(group, Nouns)
    assert {name: summary(command) for name, command in group.commands.items()} == Holdwatch.summaries


def test_what_reports_has_json() -> None:
    """Every command that ends by itself can say what came of it to a program."""
    without = {path for path, command in leaves() if all("--json" not in option.opts for option in command.params)}
    assert without == RUN_UNTIL_ENDED


def test_help_imports_no_noun_and_no_database() -> None:
    """It answers within 0.3 seconds since it imports little; a clock would say less on a busy machine."""
    code = (
        "import sys\nsys.argv = ['holdwatch', '--help']\nfrom orchestration.cli import main\n"
        "try:\n    main()\nfinally:\n    print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)

    loaded = set(done.stderr.split())
    assert "typer" in loaded
    heavy = {
        "psycopg",
        "rich.console",
        "yaml",
        "dagster",
        "pandas",
        "numpy",
        "pydantic",
        "asyncio",
        "holds_core.client",
    }
    assert loaded & heavy == set()
    assert loaded & {f"orchestration.cli.{name}" for name in Holdwatch.summaries} == set()
