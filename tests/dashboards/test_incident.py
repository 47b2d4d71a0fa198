"""The made-up incident is the same each time, and the dashboards show it without being asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

import dashboards
from dashboards.catalogue import VIEWS
from dashboards.preview.asking import Wanted
from dashboards.preview.layout import draw_board
from dashboards.preview.writing import ask_boards
from holds_core.database.connections import connect
from orchestration.cli.dashboards import app
from orchestration.incident import (
    BEGINS,
    EASES,
    MAINTENANCE_BEGINS,
    Incident,
    lines_of_day,
    lines_of_story,
    write_incident,
)
from orchestration.incident_database import incident_database

DAYS = 2


@pytest.fixture(scope="module")
def incident() -> Incident:
    """A short history: what is not rolled up is read anew by each query."""
    return Incident(until=datetime.now(UTC), days=DAYS, requests=4000)


@pytest.fixture(scope="module")
def url(views_template: Callable[[], str], incident: Incident) -> str:
    """A database that holds it, and the views."""
    made = views_template()
    with connect(made) as connection:
        write_incident(connection, incident)
        connection.execute("analyze")
    return made


@pytest.fixture
def connection(url: str) -> Iterator[psycopg.Connection]:
    """To that database, as its owner."""
    with connect(url) as opened:
        yield opened


def value(connection: psycopg.Connection, query: str, *parameters: object) -> float:
    """The one value of a query."""
    row = connection.execute(query, parameters).fetchone()
    assert row is not None
    return float(row[0])


_SUCCESS = """
select sum(assignment_count)::float8 / sum(assignment_count + skipped_count)
from analytics.assignment_success_rate
where grain = 'minute' and restaurant_key = '(all)' and bucket_at between %s and %s
"""
_P95 = """
select percentile_cont(0.5) within group (order by latency_ms)
from analytics.reservation_latency_ms
where
    grain = 'minute' and restaurant_key = '(all)' and phase = 'total' and percentile = 0.95
    and bucket_at between %s and %s
"""


def test_same_values_make_the_same_events() -> None:
    """To the last byte; another seed makes others."""
    one = Incident(until=datetime(2030, 5, 17, 19, 0, tzinfo=UTC), days=2, requests=300)
    lines = [*lines_of_day(one, 0), *lines_of_story(one)]

    assert lines == [*lines_of_day(one, 0), *lines_of_story(one)]
    assert lines != [*lines_of_day(Incident(until=one.until, days=2, requests=300, seed=2), 0), *lines_of_story(one)]
    assert len({line.split(b"\t")[0] for line in lines}) == len(lines) > 300


def test_views_show_the_incident(connection: psycopg.Connection, incident: Incident) -> None:
    """Success falls and the P95 passes 3 s from the beginning on; before that, and a day ago, all was well."""
    during = incident.at(BEGINS - 20), incident.at(EASES + 5)
    before = incident.at(BEGINS + 180), incident.at(BEGINS + 20)

    assert value(connection, _SUCCESS, *during) < 0.92
    assert value(connection, _SUCCESS, *before) > 0.98
    assert value(connection, _P95, *during) > 3000
    assert value(connection, _P95, *before) < 1500
    assert value(connection, "select count(*) from analytics.double_bookings") == 3
    kinds = connection.execute(
        "select cutoff_kind, sum(trigger_count) from analytics.cutoff_triggers"
        " where grain = 'minute' and restaurant_key = '(all)' and bucket_at between %s and %s group by cutoff_kind",
        during,
    ).fetchall()
    assert {kind for kind, count in kinds if count > 5} == {"CUTOFF", "HOLD_RATE_LIMIT", "MANUAL"}


def test_alerts_judge_the_incident_and_not_the_maintenance(connection: psycopg.Connection, incident: Incident) -> None:
    """What people have been told in the last two hours, and the window that was announced."""
    firing = connection.execute("select distinct alert from analytics.alert_history where is_firing").fetchall()
    (period,) = connection.execute("select starts_at, ends_at from analytics.maintenance_periods").fetchall()

    assert {"double_booking", "success_rate_low", "latency_p95_high", "retry_exhaustion"} <= {
        alert for (alert,) in firing
    }
    assert "telemetry_stale" not in {alert for (alert,) in firing}
    assert period[0] == incident.at(MAINTENANCE_BEGINS)
    assert value(connection, _SUCCESS, *period) < 0.95


def test_overview_is_red_where_it_should_be(connection: psycopg.Connection) -> None:
    """Success, exhaustion and double bookings; what is of telemetry is not. (A new hour may have no P95 yet.)"""
    boards = {file: json.loads(text) for file, text in dashboards.generate().items() if file == "grafana/overview.json"}
    (answer,) = ask_boards(connection, boards, Wanted())
    colours = {
        one.panel.id: one.drawing.svg.split('data-colour="')[1].split('"')[0]
        for one in draw_board(answer, 1600)
        if one.drawing is not None and one.panel.id <= 6
    }

    assert [colours[panel] for panel in (1, 3, 4, 5, 6)] == ["var(--red)"] * 3 + ["var(--green)"] * 2


@pytest.mark.slow
def test_database_of_the_incident_is_gone_afterwards(tmp_path: Path) -> None:
    """With all that the caller needs in it meanwhile, and also where the caller fails."""
    incident = Incident(until=datetime.now(UTC), days=2, requests=400)
    seen: list[str] = []

    def fails_after_looking() -> None:
        with incident_database(seen.append, incident=incident, state=tmp_path) as url, connect(url) as connection:
            assert value(connection, "select count(*) from analytics.assignment_success_rate") > 100
            raise LookupError

    with pytest.raises(LookupError):
        fails_after_looking()
    with incident_database(incident=incident, state=tmp_path) as other, connect(other) as connection:
        names = connection.execute(
            "select datname from pg_database where datname like 'holdwatch_incident_%'"
        ).fetchall()

    assert [name for (name,) in names] == [other.rpartition("/")[2]]
    assert seen[0].startswith("migrating")
    assert seen[-1] == "building the views"


# The command.


def preview(*arguments: str) -> tuple[int, str, str]:
    """Run the command; return its status and what it printed on both streams."""
    result = CliRunner().invoke(app, ["preview", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_command_writes_and_lists_the_files(seeded_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page and the pictures, in the place of earlier ones."""
    monkeypatch.setenv("HOLDWATCH_DATABASE_URL", seeded_url)
    (tmp_path / "index.html").write_text("an earlier one")
    status, out, err = preview("--directory", str(tmp_path), "--width", "800", "--from", "now-2d", "--json")
    report = json.loads(out)

    assert (status, err) == (0, "")
    assert report["files"][:2] == [str(tmp_path / "index.html"), str(tmp_path / "overview.png")]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(Path(file).name for file in report["files"])
    assert report["problems"] == report["notes"] == []
    assert report["panels"] > 15
    assert "Last 2 days" in (tmp_path / "index.html").read_text()


def test_command_says_what_fails_and_exits_1(
    views_template: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Views that are missing are named, with their panels; the files are there all the same."""
    broken = views_template()
    with connect(broken) as connection:
        # All but one, so that there is little to ask.
        for view in set(VIEWS) - {"assignment_success_rate", "restaurants_over_90_days"}:
            connection.execute(f"drop view if exists analytics.{view} cascade")
    monkeypatch.setenv("HOLDWATCH_DATABASE_URL", broken)
    status, out, err = preview("--directory", str(tmp_path), "--width", "800")

    assert status == 1
    assert 'relation "analytics.cutoff_triggers" does not exist' in err
    assert "queries failed" in err.splitlines()[-1]
    assert "index.html" in out
    assert "does not exist" in (tmp_path / "index.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--from", "yesterday"), "is no time"),
        (("--from", "now", "--to", "now-1h"), "ends before it begins"),
        (("--width", "20"), "greater than or equal to 640"),
        (("--docs",), "add --demo"),
    ],
)
def test_wrong_call_exits_2(arguments: tuple[str, ...], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is asked: the database that is named does not exist."""
    monkeypatch.setenv("HOLDWATCH_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    monkeypatch.setenv("COLUMNS", "200")
    status, out, err = preview(*arguments)

    assert (status, out) == (2, "")
    assert words in err


def test_database_without_views_is_one_line(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the remedy, and no file."""
    monkeypatch.setenv("HOLDWATCH_DATABASE_URL", database_url)
    result = CliRunner().invoke(app, ["preview", "--directory", str(tmp_path)])

    assert str(result.exception).endswith("holdwatch pipeline run builds them.")
    assert list(tmp_path.iterdir()) == []
