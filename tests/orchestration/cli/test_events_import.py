"""``holdwatch events import``, as a person runs it."""

from __future__ import annotations

import gzip
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from holds_core.database.connections import connect
from orchestration.paths import PROJECT_ROOT

COMMAND = [sys.executable, "-c", "from orchestration.cli import main; main()", "events", "import"]

NOW = datetime.now(UTC).isoformat()

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def shared_database_url(new_database: Callable[..., str], whole_template: str) -> str:
    """The URL of a database that these tests share: imports need a partition for every day that is kept."""
    return new_database(whole_template)


@pytest.fixture
def database_url(shared_database_url: str) -> str:
    """The URL of a database without events."""
    with connect(shared_database_url) as connection:
        connection.execute("delete from holds.observability_events")
    return shared_database_url


@pytest.fixture
def environ(database_url: str) -> dict[str, str]:
    """The environment of a command that works on this test's database."""
    return {**os.environ, "HOLDWATCH_DATABASE_URL": database_url, "HOLDWATCH_ENVIRONMENT": "staging"}


@pytest.fixture
def run(environ: dict[str, str]) -> Run:
    """A function that runs the command to its end."""

    def run_command(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *map(str, arguments)], env=environ, capture_output=True, text=True, check=False, timeout=120
        )

    return run_command


def write(path: Path, *lines: str, events: int = 0) -> Path:
    """Write the lines and as many events."""
    made = [json.dumps({"event_type": "t", "occurred_at": NOW, "context": {"n": number}}) for number in range(events)]
    path.write_text("\n".join([*lines, *made]))
    return path


def notices(rows: int) -> dict[str, Any]:
    """What is odd of as many events of :func:`write`: their type, and that they have no restaurant."""
    nothing: dict[str, int] = {}
    return {
        "without_restaurant": rows,
        "invalid_ids": nothing,
        "unknown_columns": nothing,
        "unknown_event_types": {"t": rows},
        "unknown_severities": nothing,
        "unknown_environments": nothing,
    }


def count(connection: psycopg.Connection) -> int:
    """Return how many events are stored."""
    row = connection.execute("select count(*) from holds.observability_events").fetchone()
    assert row is not None
    return int(row[0])


def test_what_no_view_will_find_is_said(run: Run, connection: psycopg.Connection, tmp_path: Path) -> None:
    """An export with columns of its own, from Excel: stored, and each stumble is named with what was meant."""
    at, restaurant = NOW[:19] + "Z", "11111111-1111-4111-8111-111111111111"
    file = tmp_path / "odd.csv"
    file.write_text(
        "event_type;occurred_at;bookingId;restaurant;Severity;total_ms;timing.totalMs;environment\n"
        f"capacity.selector.assigned;{at};{restaurant};{restaurant};INFO;12;12;prod\n"
        f"capacity.selector.skipped;{at};no id;{restaurant};;9;9;production\n"
        f"capacity.manual.validate;{at};;;;;;prod\n"
        "capacity.selector.skipped;26.11.2026 10:00;;;;;;prod\n"
    )

    ran = run(file)

    said = ran.stdout.partition("odd.csv:\n")[2].splitlines()[:5]
    assert said == [
        "- 2 rows without a restaurant, shown as (none).",
        "- No UUID: booking_id (1); kept in context._invalid, or context._source_id.",
        "- No column is for: restaurant (2; did you mean restaurant_id?), timing.totalMs (2; did you mean "
        "timing.totalMs in context?), total_ms (2; did you mean timing.totalMs in context?), Severity (1; did you mean "
        "severity?); kept in context._extra, where no view looks.",
        "- Unknown event types: capacity.selector.assigned (1; did you mean capacity.selector.assignment?).",
        "- Environments other than dev, staging and prod: production (1).",
    ]
    stored = connection.execute(
        "select booking_id::text, context -> '_extra' ->> 'restaurant' from holds.observability_events "
        "where event_type = 'capacity.selector.assigned'"
    ).fetchall()
    assert stored == [(restaurant, restaurant)], "bookingId is a column as well"
    assert "such as 2030-05-17T19:30:00Z" in Path(f"{file}.rejected.jsonl").read_text("utf-8")


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_lines_of_the_page_can_be_imported(run: Run, connection: psycopg.Connection, tmp_path: Path, kind: str) -> None:
    """What docs/events.md shows is read as it says, and nothing is odd of it; only its day is another."""
    page = (PROJECT_ROOT / "docs" / "events.md").read_text("utf-8")
    lines = page.partition(f"```{kind}\n")[2].partition("```")[0]
    file = tmp_path / f"shown.{kind}"
    file.write_text(lines.replace("2030-05-17", NOW[:10]), "utf-8")

    ran = run("--json", file)

    outcome = json.loads(ran.stdout)
    assert (outcome["imported"], outcome["rejected"]) == (2, 0)
    assert not any(outcome["files"][0]["notices"].values())
    stored = connection.execute(
        "select restaurant_id::text, booking_id is null, context #>> '{timing,totalMs}', context ->> 'skipReason' "
        "from holds.observability_events order by event_type"
    ).fetchall()
    restaurant = "11111111-1111-4111-8111-111111111111"
    assert stored == [(restaurant, False, "84.2", None), (restaurant, True, None, "no_capacity")]


def test_json_gives_totals_and_each_file(run: Run, connection: psycopg.Connection, tmp_path: Path) -> None:
    """One object on standard output and nothing else; the counts add up; the environment is the caller's."""
    first = write(tmp_path / "a.jsonl", "no", "", events=3)
    second = write(tmp_path / "b.jsonl", events=5)

    ran = run("--json", first, second)

    assert ran.returncode == 0
    assert "only imported events as staging" in ran.stderr
    assert json.loads(ran.stdout) == {
        "read": 9,
        "imported": 5,
        "duplicates": 3,
        "rejected": 1,
        "files": [
            {
                "file": str(first),
                "read": 4,
                "imported": 3,
                "duplicates": 0,
                "rejected": 1,
                "rejects_file": f"{first}.rejected.jsonl",
                "notices": notices(3),
            },
            {
                "file": str(second),
                "read": 5,
                "imported": 2,
                "duplicates": 3,
                "rejected": 0,
                "rejects_file": None,
                "notices": notices(5),
            },
        ],
    }
    environments = connection.execute("select distinct environment from holds.observability_events").fetchall()
    assert environments == [("staging",)]


def test_people_are_told_the_counts_and_what_to_do_about_rejects(run: Run, tmp_path: Path) -> None:
    """A table, and where the rejects are; no bar where standard error is no terminal."""
    file = write(tmp_path / "a.jsonl", "no", events=1200)

    ran = run(file)

    assert ran.returncode == 0
    assert len(ran.stderr.splitlines()) == 1
    assert ran.stdout.splitlines()[1].split() == ["a.jsonl", "1,201", "1,200", "0", "1"]
    assert f"{file}.rejected.jsonl" in ran.stdout
    assert "import that" in ran.stdout


def test_importing_again_imports_nothing(run: Run, tmp_path: Path) -> None:
    """And says so."""
    file = write(tmp_path / "a.jsonl", "no", events=10)

    run(file)
    again = json.loads(run("--json", file).stdout)

    assert (again["read"], again["imported"], again["duplicates"], again["rejected"]) == (11, 0, 10, 1)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (None, None, "There is no file"),
        ("x.txt", "", "ending that is not known"),
        ("x.csv", "a,b\n", "no column event_type"),
        ("x.parquet", "x", "no Parquet file"),
    ],
)
def test_files_that_cannot_be_read_stop_the_call_before_anything_is_imported(
    run: Run, connection: psycopg.Connection, tmp_path: Path, name: str | None, content: str, reason: str
) -> None:
    """One clear line, exit status 1; the good file before it is not imported either."""
    good = write(tmp_path / "good.jsonl", events=1)
    bad = tmp_path / (name or "none.jsonl")
    if name is not None:
        bad.write_text(content)

    ran = run("--json", good, bad)

    assert (ran.returncode, ran.stdout) == (1, "")
    assert len(ran.stderr.splitlines()) == 1
    assert reason in ran.stderr
    assert str(bad) in ran.stderr
    assert count(connection) == 0


def test_call_without_a_file_is_wrong(run: Run) -> None:
    """Exit status 2, and how it is called."""
    ran = run()

    assert ran.returncode == 2
    assert "FILE" in ran.stderr


def test_damaged_file_says_what_was_imported(run: Run, connection: psycopg.Connection, tmp_path: Path) -> None:
    """Of the files before it and of itself; standard output stays empty."""
    good = write(tmp_path / "good.jsonl", events=7)
    content = gzip.compress(write(tmp_path / "x.jsonl", events=20).read_bytes())
    (tmp_path / "bad.jsonl.gz").write_bytes(content[:-4])

    ran = run("--json", good, tmp_path / "bad.jsonl.gz")

    assert (ran.returncode, ran.stdout) == (1, "")
    assert "good.jsonl: 7 imported" in ran.stderr
    assert "bad.jsonl.gz is damaged" in ran.stderr
    assert "harmless" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert count(connection) >= 7


def test_ctrl_c_keeps_what_was_imported(
    run: Run, connection: psycopg.Connection, environ: dict[str, str], tmp_path: Path
) -> None:
    """Exit status 130, no traceback; repeating imports the rest."""
    file = write(tmp_path / "x.jsonl", "no", events=60_000)
    process = subprocess.Popen(
        [*COMMAND, str(file)], env=environ, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while count(connection) == 0:
        assert process.poll() is None
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)

    stored = count(connection)
    again = json.loads(run("--json", file).stdout)

    assert (process.returncode, output) == (130, "")
    assert 0 < stored < 60_000
    assert f"{stored:,} imported" in errors
    assert "harmless" in errors
    assert "Traceback" not in errors
    assert (again["imported"], again["duplicates"]) == (60_000 - stored, stored)


def test_progress_is_shown_on_a_terminal(environ: dict[str, str], tmp_path: Path) -> None:
    """On standard error, so that standard output stays one JSON object."""
    file = write(tmp_path / "x.jsonl", events=100)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "--json", str(file)], env={**environ, "TERM": "xterm"}, stdout=subprocess.PIPE, stderr=theirs
    )
    os.close(theirs)
    output, _ = process.communicate(timeout=60)
    shown = _read_all(ours)

    assert json.loads(output)["imported"] == 100
    assert b"x.jsonl" in shown
    assert b"100%" in shown or b"kB" in shown or b"bytes" in shown


def _read_all(terminal: int) -> bytes:
    """Return what was written to the terminal; its end is an error on Linux."""
    read: list[Any] = []
    try:
        while chunk := os.read(terminal, 65536):
            read.append(chunk)
    except OSError:
        pass
    finally:
        os.close(terminal)
    return b"".join(read)
