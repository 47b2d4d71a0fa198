"""Monitors, objectives, dashboards and downtimes get into Datadog once, and stay as they are generated."""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from dashboards.alerts import ALERTS
from dashboards.errors import PushError
from dashboards.files import DASHBOARDS_DIR
from holds_core.database.connections import connect
from orchestration.cli.dashboards import app
from tests.dashboards.datadog_server import API_KEY, APP_KEY, DatadogServer, datadog_server
from tests.dashboards.http_server import LOST, Answer

pytestmark = pytest.mark.xdist_group("datadog")

Json = dict[str, Any]

OBJECTS = len(ALERTS) + 2


@pytest.fixture(scope="module")
def views_url(small_views_template: Callable[[], str]) -> str:
    """The URL of a database with the views and nothing in them, of this module's own."""
    return small_views_template()


@pytest.fixture
def maintenance(views_url: str) -> Iterator[psycopg.Connection]:
    """A connection to that database; the maintenance that a test adds is gone afterwards."""
    with connect(views_url) as connection:
        yield connection
        connection.execute("delete from holds.maintenance_windows")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, views_url: str) -> Iterator[DatadogServer]:
    """Datadog with a monitor and a dashboard of somebody else's, and an environment in which commands find it."""
    with datadog_server() as running:
        running.monitors[1] = {"id": 1, "name": "Theirs", "tags": ["alert:fast_burn"], "options": {}, "query": "theirs"}
        running.boards["abc-1"] = {
            "id": "abc-1",
            "title": "[holdwatch] Overview",
            "description": None,
            "layout_type": "ordered",
            "url": "",
            "widgets": [],
        }
        monkeypatch.setenv("DD_URL", running.url)
        monkeypatch.setenv("DD_API_KEY", API_KEY)
        monkeypatch.setenv("DD_APP_KEY", APP_KEY)
        monkeypatch.setenv("HOLDWATCH_DATABASE_URL", views_url)
        yield running


def push(*options: str) -> Json:
    """Run the command, and return what it says."""
    result = CliRunner().invoke(app, ["push", "--datadog", "--json", *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    said: Json = json.loads(result.stdout)
    return said


def actions(said: Json, *but: str) -> dict[str, str]:
    """The action of each object, those of some actions left out."""
    return {
        f"{change['kind']} {change['name']}": change["action"]
        for change in said["changes"]
        if change["action"] not in but
    }


def ours(server: DatadogServer, alert: str) -> Json:
    """The monitor of an alert, as it is kept."""
    (found,) = (
        one
        for one in server.monitors.values()
        if f"alert:{alert}" in one["tags"] and "managed_by:holdwatch" in one["tags"]
    )
    return found


def test_first_push_creates_everything_and_a_second_one_changes_nothing(server: DatadogServer) -> None:
    """Each object is there once, as it was generated; then there is nothing to do, and it is said."""
    first = push()
    kept = (len(server.monitors), len(server.objectives), len(server.boards))
    writes = len(server.writes())

    second = push()
    people = CliRunner().invoke(app, ["push", "--datadog"])

    assert first["changed"] == OBJECTS
    assert set(actions(first).values()) == {"create"}
    assert kept == (len(ALERTS) + 1, 1, 2)
    assert second["changed"] == 0
    assert set(actions(second).values()) == {"unchanged"}
    assert len(second["changes"]) == OBJECTS
    assert f"Nothing to do at {server.url}: {OBJECTS} unchanged." in people.stderr
    assert people.stdout == ""
    assert len(server.writes()) == writes
    generated = json.loads((DASHBOARDS_DIR / "datadog/monitors/fast_burn.json").read_text())
    assert {key: ours(server, "fast_burn")[key] for key in ("name", "query", "message")} == {
        key: generated[key] for key in ("name", "query", "message")
    }


def test_what_is_others_is_never_touched(server: DatadogServer) -> None:
    """A monitor with one of our tags and a dashboard with our title are not ours without the mark."""
    theirs = (dict(server.monitors[1]), dict(server.boards["abc-1"]))

    said = push("--prune")

    assert (server.monitors[1], server.boards["abc-1"]) == theirs
    assert set(actions(said).values()) == {"create"}


def test_what_was_changed_there_is_put_right_and_shown(server: DatadogServer) -> None:
    """Field by field, with what is there and what is to be; in a dry run, and then for good."""
    push()
    monitor = ours(server, "success_rate_low")
    monitor["options"]["thresholds"]["critical"] = 3
    monitor["options"]["renotify_interval"] = 5
    monitor["tags"].remove("severity:page")
    board = next(one for one in server.boards.values() if one["id"] != "abc-1")
    board["widgets"][0]["definition"]["widgets"].pop()
    before = len(server.writes())

    dry = CliRunner().invoke(app, ["push", "--datadog", "--dry-run"])
    assert [one.path for one in server.writes()[before:]] == ["/api/v1/monitor/validate"]
    real = push()

    assert "~ update monitor success_rate_low\n" in dry.stdout
    assert "    options.renotify_interval: 5 → 60\n" in dry.stdout
    assert "    options.thresholds.critical: 3 → 1\n" in dry.stdout
    assert "    tags: 4 of them → 5 of them\n" in dry.stdout or '"severity:page"' in dry.stdout
    assert "    widgets[0].definition.widgets: 7 of them → 8 of them\n" in dry.stdout
    assert "Nothing was changed at" in dry.stderr
    assert actions(real, "unchanged") == {"monitor success_rate_low": "update", "dashboard overview": "update"}
    assert ours(server, "success_rate_low")["options"]["thresholds"] == {"critical": 1, "critical_recovery": 0}
    assert push()["changed"] == 0


def test_what_is_no_longer_generated_is_left_until_it_is_to_be_pruned(server: DatadogServer) -> None:
    """Ours that nobody generates, and a copy of ours, are said; --prune alone deletes them, of two the newer one."""
    push()
    original = ours(server, "fast_burn")["id"]
    server.monitors[9_001] = {**ours(server, "fast_burn"), "id": 9_001}
    server.monitors[9_002] = {**ours(server, "slow_burn"), "id": 9_002, "tags": ["managed_by:holdwatch", "alert:gone"]}
    server.objectives["old"] = {"id": "old", "name": "x", "tags": ["managed_by:holdwatch", "slo:gone"]}

    left = push()
    people = CliRunner().invoke(app, ["push", "--datadog"])
    pruned = push("--prune")

    assert actions(left, "unchanged") == {
        "monitor fast_burn": "left",
        "monitor gone": "left",
        "objective gone": "left",
    }
    assert "left monitor gone: no longer generated (id 9002); --prune deletes it" in people.stdout
    assert "left monitor fast_burn: a copy of one that is kept (id 9001); --prune deletes it" in people.stdout
    assert pruned["changed"] == 3
    assert ours(server, "fast_burn")["id"] == original
    assert not {9_001, 9_002} & set(server.monitors)
    assert actions(push(), "unchanged") == {}


def test_lost_answer_of_a_creation_makes_no_second_one(server: DatadogServer) -> None:
    """A monitor whose creation was not confirmed may be there: the call is not made again, the next push finds it."""
    lists_and_validations = 2 + 1 + 1 + len(ALERTS)
    server.faults += [None] * (lists_and_validations + 2) + [LOST]

    with pytest.raises(PushError, match=r"does not answer .* changes were made before that, and stay"):
        CliRunner().invoke(app, ["push", "--datadog"], catch_exceptions=False)
    assert server.faults == []
    push()

    assert len(server.monitors) == len(ALERTS) + 1
    assert push()["changed"] == 0


def test_call_is_made_again_after_429_and_a_reading_one_after_503(server: DatadogServer) -> None:
    """Reading is repeated whatever happened, and nothing is read twice into two objects."""
    server.faults += [Answer(503), Answer(429, None, {"X-RateLimit-Reset": "1"})]
    began = time.monotonic()

    assert push()["changed"] == OBJECTS
    assert time.monotonic() - began > 1
    assert push()["changed"] == 0


def test_nothing_is_written_if_datadog_would_not_take_a_monitor(server: DatadogServer, tmp_path: Path) -> None:
    """All monitors are validated by Datadog before the first object is written."""
    shutil.copytree(DASHBOARDS_DIR / "datadog", tmp_path / "datadog")
    file = tmp_path / "datadog/monitors/unsafe_flag_combination.json"
    file.write_text(file.read_text().replace("max(last_5m)", "maximum(last_5m)"))

    with pytest.raises(PushError, match=r"Could not validate the monitor unsafe_flag_combination: 400 .*invalid"):
        CliRunner().invoke(app, ["push", "--datadog", "--directory", str(tmp_path)], catch_exceptions=False)

    assert len(server.monitors) == 1
    assert {request.path for request in server.writes()} == {"/api/v1/monitor/validate"}


@pytest.mark.parametrize("variable", ["DD_API_KEY", "DD_APP_KEY"])
def test_other_keys_are_refused_in_one_line(
    server: DatadogServer, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """Which variables to look at; never what is in them."""
    monkeypatch.setenv(variable, "not-the-key")

    with pytest.raises(PushError, match=r"403.* DD_API_KEY and DD_APP_KEY") as raised:
        CliRunner().invoke(app, ["push", "--datadog"], catch_exceptions=False)

    text = str(raised.value)
    assert "not-the-key" not in text
    assert API_KEY not in text
    assert APP_KEY not in text
    assert "\n" not in text


def test_nobody_there_is_said(server: DatadogServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it was looked for, and how it failed."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("DD_URL", f"http://127.0.0.1:{closed.getsockname()[1]}")
        monkeypatch.setattr("dashboards.pushing.datadog_api.BACKOFF_SECONDS", 0)
        with pytest.raises(PushError, match=r"Could not list the monitors: http://127.*Connection refused"):
            CliRunner().invoke(app, ["push", "--datadog", "--no-downtimes"], catch_exceptions=False)


def test_target_is_named_once(server: DatadogServer) -> None:
    """Neither of the two, and both of them, are a wrong call."""
    for options in ([], ["--datadog", "--grafana", "http://127.0.0.1:1"]):
        assert CliRunner().invoke(app, ["push", *options]).exit_code == 2
    assert server.log == []


def _window(connection: psycopg.Connection, starts_in: timedelta, lasts: timedelta, **options: Any) -> str:
    parameters = {"restaurant": None, "weekdays": None} | options
    row = connection.execute(
        "select holds.add_maintenance_window(p_environment => null, p_starts_at => %(at)s, p_lasts => %(lasts)s,"
        " p_reason => 'New disks', p_restaurant_id => %(restaurant)s::uuid, p_weekdays => %(weekdays)s::smallint[])",
        {**parameters, "at": datetime.now(UTC) + starts_in, "lasts": lasts},
    ).fetchone()
    assert row is not None
    return str(row[0])


HOUR = timedelta(hours=1)


def test_maintenance_becomes_downtimes_once(server: DatadogServer, maintenance: psycopg.Connection) -> None:
    """What is on begins at once, what is to come when it does; each occurrence once; a restaurant's mutes no other."""
    on = _window(maintenance, -HOUR, 2 * HOUR)
    coming = _window(maintenance, 5 * HOUR, HOUR)
    weekly = _window(maintenance, 30 * HOUR, HOUR, weekdays=[1, 2, 3, 4, 5, 6, 7])
    _window(maintenance, HOUR, HOUR, restaurant="00000001-0000-4000-8000-000000000000")
    _window(maintenance, -3 * HOUR, HOUR)

    first = push()
    second = push()

    names = [change["name"] for change in first["changes"] if change["kind"] == "downtime"]
    windows = [name.split()[0] for name in names]
    assert sorted(set(windows)) == sorted({on, coming, weekly})
    assert (windows.count(on), windows.count(coming)) == (1, 1)
    assert windows.count(weekly) in (12, 13)
    bodies = [request.body for request in server.log if (request.method, request.path) == ("POST", "/api/v2/downtime")]
    attributes = [one["data"]["attributes"] for one in bodies]
    assert len(attributes) == len(names)
    assert {one["scope"] for one in attributes} == {"env:dev"}
    assert {tuple(one["monitor_identifier"]["monitor_tags"]) for one in attributes} == {
        ("service:holdwatch", "maintenance:mutes")
    }
    assert ["start" in one["schedule"] for one in attributes if on in one["message"]] == [False]
    assert all("start" in one["schedule"] for one in attributes if on not in one["message"])
    assert second["changed"] == 0
    assert len(server.downtimes) == len(names)


def test_monitors_that_maintenance_mutes_have_the_tag_that_downtimes_name() -> None:
    """A downtime mutes all of them, and never that of double bookings."""
    for alert in ALERTS:
        monitor = json.loads((DASHBOARDS_DIR / f"datadog/monitors/{alert.name}.json").read_text())
        assert {"service:holdwatch", "maintenance:mutes"} <= set(monitor["tags"]) or alert.name == "double_booking"
        assert ("maintenance:mutes" in monitor["tags"]) is alert.is_muted_by_maintenance


def test_maintenance_that_was_ended_leaves_no_downtime_behind_unsaid(
    server: DatadogServer, maintenance: psycopg.Connection
) -> None:
    """One that was made longer is updated; one that the database no longer has is said, and cancelled by --prune."""
    on = _window(maintenance, -HOUR, 2 * HOUR)
    coming = _window(maintenance, 5 * HOUR, HOUR)
    push()
    maintenance.execute("update holds.maintenance_windows set lasts = lasts + interval '1 hour' where id = %s", (on,))
    maintenance.execute("select holds.end_maintenance_window(%s)", (coming,))

    said = push()
    pruned = push("--prune")

    changed = {change["name"].split()[0]: change for change in said["changes"] if change["kind"] == "downtime"}
    assert changed[on]["action"] == "update"
    assert [one["path"] for one in changed[on]["differences"]] == ["schedule.end"]
    assert changed[coming]["action"] == "left"
    assert list(actions(pruned, "unchanged").values()) == ["delete"]
    statuses = {one["attributes"]["message"].split("window:")[1][:36]: one for one in server.downtimes.values()}
    assert statuses[coming]["attributes"]["status"] == "canceled"
    assert statuses[on]["attributes"]["status"] == "active"
    assert push("--prune")["changed"] == 0


def test_downtimes_of_other_databases_are_none_of_ours(server: DatadogServer, maintenance: psycopg.Connection) -> None:
    """The database of dev knows nothing of prod's maintenance, and so ends none of it."""
    _window(maintenance, HOUR, HOUR)
    push()
    (made,) = server.downtimes.values()
    prod = {
        **made["attributes"],
        "scope": "env:prod",
        "message": made["attributes"]["message"].replace("from:", "from:1"),
    }
    server.downtimes["prod"] = {"id": "prod", "type": "downtime", "attributes": prod}
    server.downtimes["theirs"] = {**made, "id": "theirs", "attributes": {**made["attributes"], "message": "By hand"}}

    said = push("--prune")

    assert said["changed"] == 0
    assert {one["attributes"]["status"] for one in server.downtimes.values()} == {"scheduled"}


def test_downtimes_can_be_left_alone(server: DatadogServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no database to ask, everything else is pushed, and that is said."""
    monkeypatch.setenv("HOLDWATCH_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")

    said = push("--no-downtimes")

    assert said["changed"] == OBJECTS
    assert said["notes"] == ["Downtimes are left alone."]
    assert not [request for request in server.log if "downtime" in request.path]
