"""`holdwatch maintenance` reads what people write, and says what it made of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from orchestration.cli.maintenance import app

Call = Callable[..., Any]


@pytest.fixture(scope="session")
def template(small_template: str) -> str:
    """No history is needed."""
    return small_template


@pytest.fixture
def call(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Call:
    """A function that runs the command on this test's database."""
    monkeypatch.setenv("HOLDWATCH_DATABASE_URL", database_url)
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def _add(call: Call, *arguments: str) -> dict[str, Any]:
    done = call("add", "--reason", "drill", "--json", *arguments)
    assert done.exit_code == 0, done.output
    window: dict[str, Any] = json.loads(done.stdout)
    return window


def test_window_is_added_listed_and_ended(call: Call) -> None:
    """From now on, told who, why and until when; ended at once, twice without harm."""
    restaurant = str(uuid4())

    added = call("add", "--for", "1h30m", "--reason", "new [floor] plan", "--restaurant", restaurant)
    assert added.exit_code == 0, added.output
    listed = call("list").stdout
    (window,) = json.loads(call("list", "--json").stdout)["maintenance_windows"]
    assert f"To end it: holdwatch maintenance end {window['id']}" in added.stdout
    assert f"{window['id']}  ACTIVE until" in listed
    assert f"dev, restaurant {restaurant}, once" in listed
    assert "for 1h30m" in listed
    assert "new [floor] plan (added by" in listed
    assert (window["is_active"], window["lasts_seconds"], window["restaurant_id"]) == (True, 5400, restaurant)

    assert "Ended" in call("end", window["id"]).stdout
    assert "over already" in call("end", window["id"]).stdout
    assert call("list").stdout == "No known maintenance.\n"
    assert "ended by" in call("list", "--all").stdout


def test_times_are_those_of_the_time_zone(call: Call) -> None:
    """Local ones are read by its clocks; one with an offset is what it says."""
    window = _add(call, "--from", "2030-07-01T22:00", "--until", "2030-07-02T01:30", "--time-zone", "America/New_York")
    assert (window["starts_at"], window["lasts_seconds"]) == ("2030-07-02T02:00:00+00:00", 3.5 * 3600)

    window = _add(call, "--from", "2030-07-01T22:00+02:00", "--for", "2h", "--time-zone", "America/New_York")
    assert window["next_starts_at"] == "2030-07-01T20:00:00+00:00"


def test_window_until_a_time_begins_now(call: Call) -> None:
    """Who says when it ends need not work out how long that is."""
    until = (datetime.now(UTC) + timedelta(hours=3)).replace(second=0, microsecond=0)

    window = _add(call, "--until", f"{until:%Y-%m-%dT%H:%M}")

    assert datetime.fromisoformat(window["active_until"]) == until


def test_weekly_window_says_its_days_and_clock(call: Call) -> None:
    """Days in the week's order, whatever order and case they were given in."""
    window = _add(
        call, "--weekly", "Thu, mon", "--at", "02:00", "--for", "2h", "--time-zone", "Europe/Berlin",
        "--environment", "prod", "--until", "2040-01-01T00:00",
    )  # fmt: skip

    assert (window["weekdays"], window["begins_at"], window["time_zone"]) == (
        ["mon", "thu"],
        "02:00:00",
        "Europe/Berlin",
    )
    assert (window["environment"], window["ends_at"]) == ("prod", "2039-12-31T23:00:00+00:00")
    assert "all of prod, every mon, thu 02:00 Europe/Berlin, for 2h" in call("list").stdout


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["--reason", " ", "--for", "2h"], "--reason"),
        (["--for", "2h"], "--reason"),
        (["--reason", "x"], "--for"),
        (["--reason", "x", "--for", "2"], "--for"),
        (["--reason", "x", "--for", ""], "--for"),
        (["--reason", "x", "--for", "2h", "--until", "2030-01-01T00:00"], "--until"),
        (["--reason", "x", "--from", "2030-01-02T00:00", "--until", "2030-01-01T00:00"], "--until is before --from"),
        (["--reason", "x", "--until", "2020-01-01T00:00"], "--until is before now"),
        (["--reason", "<what is done>", "--for", "2h"], "--reason"),
        (["--reason", "x", "--for", "2h", "--from", "tomorrow"], "--from"),
        (["--reason", "x", "--for", "2h", "--at", "02:00"], "--at"),
        (["--reason", "x", "--for", "2h", "--at", "26:00", "--weekly", "mon"], "--at"),
        (["--reason", "x", "--for", "2h", "--weekly", "mon"], "--weekly"),
        (["--reason", "x", "--at", "02:00", "--weekly", "mon"], "--weekly"),
        (["--reason", "x", "--for", "2h", "--at", "02:00", "--weekly", "mo"], "--weekly"),
    ],
)
def test_wrong_call_names_the_option(call: Call, arguments: list[str], option: str) -> None:
    """Exit 2, and nothing is added."""
    done = call("add", *arguments)

    assert done.exit_code == 2
    assert option in done.stderr
    assert json.loads(call("list", "--all", "--json").stdout) == {"maintenance_windows": []}
