"""``holdwatch events generate``, ``export`` and ``sync``, and ``pipeline rebuild``, as a person runs them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from holds_core.database.connections import connect
from tests.orchestration.cli.test_commands import Run, run
from tests.transactions import wait_for_earlier_transactions

__all__ = ["run"]


@pytest.fixture(scope="session")
def template(whole_template: str) -> str:
    """Events of all the history."""
    return whole_template


def counted(connection: psycopg.Connection) -> int:
    row = connection.execute("select count(*) from holds.observability_events").fetchone()
    assert row is not None
    return int(row[0])


def test_a_history_is_the_same_whenever_it_is_made_up(run: Run, connection: psycopg.Connection) -> None:
    """Seed and end make it; a second time is harmless, and another seed is another history."""
    options = ("events", "generate", "--events", "2000", "--days", "5", "--until", "2026-11-20T12:00:00", "--json")
    done = run(*options)
    assert done.status == 0, done.err
    assert (done.json["imported"], done.json["duplicates"]) == (2000, 0)
    assert run(*options).json["duplicates"] == 2000
    assert run(*options, "--seed", "2").json["imported"] == 2000
    first, last = connection.execute(
        "select min(occurred_at) >= '2026-11-15 12:00+00', max(occurred_at) <= '2026-11-20 12:00+00'"
        " from holds.observability_events"
    ).fetchone() or (False, False)
    assert first
    assert last
    kinds = {row[0] for row in connection.execute("select distinct event_type from holds.observability_events")}
    assert {"capacity.selector.assignment", "capacity.rpc.conflict", "capacity.manual.validate"} <= kinds


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--days", "91"), "90"),
        (("--until", "2999-01-01"), "ahead"),
        (("--days", "90", "--until", "2026-09-01"), "before what the database keeps"),
    ],
)
def test_a_history_that_cannot_be_kept_is_refused(run: Run, options: tuple[str, ...], words: str) -> None:
    done = run("events", "generate", "--events", "10", *options)
    assert done.status == 2
    assert words in done.err


def test_made_up_events_do_not_go_to_prod(run: Run, connection: psycopg.Connection) -> None:
    done = run("events", "generate", "--events", "10", HOLDWATCH_ENVIRONMENT="prod")
    assert done.status == 1
    assert "serves prod" in done.err
    assert counted(connection) == 0


def test_events_go_out_and_come_in_elsewhere(
    run: Run, connection: psycopg.Connection, database_url: str, new_database: Callable[..., str],
    whole_template: str, tmp_path: Path,
) -> None:  # fmt: skip
    run("events", "generate", "--events", "500", "--days", "3")
    # What is older than every transaction of the server is exported once; the neighbours' tests run on the same one.
    wait_for_earlier_transactions(connection)
    folder = tmp_path / "out"
    done = run("events", "export", str(folder))
    assert done.status == 0, done.err
    assert "500 events" in done.out
    assert "0 events of 0 days" in run("events", "export", str(folder)).out

    other = new_database(whole_template)
    files = [str(file) for file in folder.glob("day=*/events.parquet")]
    assert run("events", "import", "--json", *files, HOLDWATCH_DATABASE_URL=other).json["imported"] == 500

    # By the variable, so that no password stands in the list of processes.
    synced = run(
        "events", "sync", "--json", HOLDWATCH_DATABASE_URL=other, HOLDWATCH_SYNC_URL=database_url,
        HOLDWATCH_STATE_DIR=str(tmp_path),
    )  # fmt: skip
    assert synced.status == 0, synced.err
    assert (synced.json["imported"], synced.json["duplicates"]) == (0, 500)
    password = urlsplit(database_url).password
    assert password is None or password not in synced.out + synced.err
    with connect(other) as elsewhere:
        assert counted(elsewhere) == counted(connection) == 500


def test_a_source_that_cannot_be_read_is_one_clear_line(run: Run, database_url: str, tmp_path: Path) -> None:
    nowhere = urlunsplit(urlsplit(database_url)._replace(netloc="nobody:secret@127.0.0.1:1"))
    for source, table, words in (
        (nowhere, "holds.observability_events", "127.0.0.1"),
        (database_url, "public.missing", "public.missing"),
    ):
        done = run("events", "sync", "--from", source, "--table", table, HOLDWATCH_STATE_DIR=str(tmp_path))
        assert done.status == 1
        assert words in done.err
        assert "secret" not in done.err
        assert len(done.err.strip().splitlines()) == 1, done.err


def test_an_export_into_a_file_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("events", "export", str(tmp_path / "file"))
    assert done.status == 1
    assert "cannot be written" in done.err


def test_rollups_are_rebuilt_by_command(run: Run, connection: psycopg.Connection, tmp_path: Path) -> None:
    """Not before there are any; then of one day, and of all."""
    state = {"HOLDWATCH_STATE_DIR": str(tmp_path)}
    none_yet = run("pipeline", "rebuild", "--day", "2026-11-20", **state)
    assert none_yet.status == 1
    assert "holdwatch pipeline run" in none_yet.err
    run("events", "generate", "--events", "1000", "--days", "2")
    assert run("pipeline", "rebuild", **state).status == 0
    rows = "select count(*) from analytics.fct_event_counts"
    (before,) = connection.execute(rows).fetchone() or (0,)
    connection.execute("delete from analytics.fct_event_counts where grain = 'hour'")
    days = connection.execute(
        "select distinct to_char(occurred_at at time zone 'UTC', 'YYYY-MM-DD') from holds.observability_events"
    ).fetchall()
    for (day,) in days:
        assert run("pipeline", "rebuild", "--day", day, **state).status == 0
    assert connection.execute(rows).fetchone() == (before,)
    written = run("pipeline", "docs", "--output", str(tmp_path / "views.html"), **state)
    assert written.status == 0, written.err
    page = (tmp_path / "views.html").read_text("utf-8")
    assert "How many requests for tables ran out of retries" in page
