"""What the views say arrives in Datadog: once, whole, and as often as it is sent."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from dashboards.alerts import ALERTS
from dashboards.catalogue import VIEWS
from dashboards.checks.openapi import V2, open_document
from dashboards.datadog_metrics import METRICS, Kind
from dashboards.errors import MissingViewsError, PushError
from dashboards.pushing import downtimes, points
from dashboards.pushing.datadog_api import DatadogSettings
from dashboards.pushing.datadog_series import BATCH_BYTES, batched, send_series
from dashboards.pushing.points import body, read_series, tag
from holds_core.database.connections import connect
from orchestration.cli.dashboards import SCHEMAS_DIR
from orchestration.cli.metrics import app
from orchestration.paths import DBT_PROJECT_DIR, PROJECT_ROOT
from tests.dashboards.datadog_server import API_KEY, DatadogServer, datadog_server
from tests.dashboards.http_server import Answer
from tests.dashboards.seed import RESTAURANTS, seed_double_booking, seed_events
from tests.orchestration.cli.calling import broken_words

pytestmark = pytest.mark.xdist_group("datadog")

_RUN = """
insert into holds.observability_events (occurred_at, environment, source, event_type, severity, context)
values (now(), 'dev', 'pipeline', 'pipeline.run.succeeded', 'info', '{"job": "pipeline"}')
"""
_REQUEST = """
insert into holds.observability_events
    (occurred_at, environment, source, event_type, severity, restaurant_id, context)
values (%s, 'dev', 'capacity.selector', %s, 'info', %s, '{}')
"""


@pytest.fixture(scope="module")
def database(views_template: Callable[[], str]) -> str:
    """The URL of a database with data of every kind, of this module's own."""
    url = views_template()
    with connect(url) as connection:
        seed_events(connection)
        seed_double_booking(connection)
        connection.execute(_RUN)
        connection.execute("analyze")
    return url


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, database: str) -> Iterator[DatadogServer]:
    """Datadog, and an environment in which commands find it and the database."""
    with datadog_server() as running:
        monkeypatch.setenv("DD_URL", running.url)
        monkeypatch.setenv("DD_API_KEY", API_KEY)
        monkeypatch.setenv("HOLDWATCH_DATABASE_URL", database)
        yield running


def push(*options: str) -> dict[str, Any]:
    """Run the command, and return what it says."""
    result = CliRunner().invoke(app, ["push", "--json", *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    said: dict[str, Any] = json.loads(result.stdout)
    return said


def test_push_sends_every_metric_with_its_tags(server: DatadogServer) -> None:
    """What the catalogue promises arrives, of the kind and with the tags that it says, and nothing besides."""
    said = push()

    assert said == {"sent": True, "series": len(server.points), "points": said["points"], "batches": 1}
    assert said["points"] == sum(len(points) for points in server.points.values())
    assert server.kinds == {metric.name: metric.kind for metric in METRICS.values()}
    for name, tags in server.points:
        assert {one.partition(":")[0] for one in tags} == {"service", *METRICS[name].tags}


def test_push_of_counts_is_what_was_counted(server: DatadogServer, database: str) -> None:
    """Sums over Datadog's points are sums over the events of the same minutes, all restaurants counted once."""
    push()

    minutes = {
        moment for (name, _), points in server.points.items() for moment in points if name == "holdwatch.requests"
    }
    with connect(database) as connection:
        rows = connection.execute(
            "select event_type, count(*), count(*) filter (where restaurant_id is null)"
            " from holds.observability_events where event_type like 'capacity.selector.%%' and occurred_at >= %s"
            " and occurred_at < %s group by event_type",
            (datetime.fromtimestamp(min(minutes), UTC), datetime.fromtimestamp(max(minutes) + 60, UTC)),
        ).fetchall()
    counts = {row[0].rpartition(".")[2]: row[1:] for row in rows}
    everybody = "restaurant:all"
    assert server.counted("holdwatch.requests", everybody, "outcome:assigned") == counts["assignment"][0] > 0
    assert server.counted("holdwatch.requests", everybody, "outcome:skipped") == counts["skipped"][0] > 0
    assert server.counted("holdwatch.requests", "restaurant:none") == sum(row[1] for row in counts.values()) > 0
    assert server.counted("holdwatch.objective.requests") == sum(row[0] for row in counts.values())
    assert server.counted("holdwatch.objective.good") == counts["assignment"][0]


def test_push_again_changes_no_count(server: DatadogServer) -> None:
    """The same minutes carry the same counts, so that no sum over them grows."""
    push()
    before = {key: dict(points) for key, points in server.points.items() if METRICS[key[0]].kind is Kind.COUNT}

    push()

    after = {key: points for key, points in server.points.items() if METRICS[key[0]].kind is Kind.COUNT}
    for key, kept in before.items():
        assert {moment: after[key][moment] for moment in kept} == kept
        # At most the minute that has passed between the two.
        assert len(after[key]) - len(kept) <= 1


def test_push_in_one_minute_is_one_point_of_a_gauge(server: DatadogServer) -> None:
    """A gauge has one point for each minute, on the minute, however often it is sent."""
    for _ in range(2):
        push()

    gauges = [points for (name, _), points in server.points.items() if METRICS[name].kind is Kind.GAUGE]
    moments = {moment for points in gauges for moment in points}
    assert all(moment % 60 == 0 for moment in moments)
    assert len(moments) <= 2
    newest = max(moments)
    assert datetime.now(UTC).timestamp() - newest < 120
    assert max(len(points) for points in gauges) == len(moments)


def test_late_event_is_in_the_next_push(
    server: DatadogServer, small_views_template: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minute that was sent already is sent anew, with what has come late; the whole hour while Datadog takes it."""
    url = small_views_template()
    monkeypatch.setenv("HOLDWATCH_DATABASE_URL", url)
    now = datetime.now(UTC)
    with connect(url) as connection:
        for minutes in (5, 50, 120):
            connection.execute(_REQUEST, (now - timedelta(minutes=minutes), "capacity.selector.assignment", None))
        push()
        assert server.counted("holdwatch.requests", "restaurant:all", "outcome:assigned") == 2

        connection.execute(_REQUEST, (now - timedelta(minutes=5), "capacity.selector.assignment", None))
        connection.execute(_REQUEST, (now - timedelta(minutes=5), "capacity.selector.skipped", None))
        push()

    assert server.counted("holdwatch.requests", "restaurant:all", "outcome:assigned") == 3
    assert server.counted("holdwatch.objective.requests") == 4
    assert server.counted("holdwatch.objective.good") == 3


def test_restaurants_are_sent_when_asked_for(server: DatadogServer) -> None:
    """Series cost money: single restaurants are sent for the asking, and all of them add up to all together."""

    def restaurants() -> set[str]:
        return {one for _, tags in server.points for one in tags if one.startswith("restaurant:")}

    push()
    assert restaurants() == {"restaurant:all", "restaurant:none"}
    server.points.clear()

    push("--restaurants")

    assert restaurants() == {"restaurant:all", "restaurant:none", *(f"restaurant:{one}" for one in RESTAURANTS)}
    assert server.counted("holdwatch.requests") == 2 * server.counted("holdwatch.requests", "restaurant:all") > 0


def test_verdicts_arrive_as_the_database_has_them(server: DatadogServer, database: str) -> None:
    """Each alert is 0 or 1, and the double booking of the seed fires."""
    push()

    with connect(database) as connection:
        verdicts = connection.execute(
            "select alert, is_firing::int::float8 from analytics.alert_evaluations"
        ).fetchall()
    sent = {
        next(one.removeprefix("alert:") for one in tags if one.startswith("alert:")): set(points.values())
        for (name, tags), points in server.points.items()
        if name == "holdwatch.alert.firing"
    }
    assert set(sent) == {alert.name for alert in ALERTS}
    assert sent == {alert: {is_firing} for alert, is_firing in verdicts}
    assert sent["double_booking"] == {1.0}


def test_dry_run_sends_nothing_and_needs_no_key(server: DatadogServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It shows what would go, in a table for people or as the API's own bodies."""
    monkeypatch.delenv("DD_API_KEY")

    said = push("--dry-run")
    table, wide = (
        CliRunner().invoke(app, ["push", "--dry-run", "--restaurants"], env={"COLUMNS": columns})
        for columns in ("80", "2000")
    )

    assert server.log == []
    assert not said["sent"]
    assert {one["metric"] for one in said["series"]} == set(METRICS)
    assert "holdwatch.alert.firing (gauge)" in table.stdout
    assert broken_words(table.stdout, wide.stdout) == set()
    assert max(map(len, table.stdout.splitlines())) <= 80
    assert "nothing was sent" in table.stderr


def test_series_fit_datadogs_openapi_document(database: str) -> None:
    """Every body is one that the API has a schema for; and the check can fail."""
    path = SCHEMAS_DIR / V2
    if not path.is_file():
        pytest.skip(f"SKIPPED: {V2} is not in {SCHEMAS_DIR}")
    with connect(database) as connection:
        payload = {"series": [body(one) for one in read_series(connection, restaurants=True)]}

    document = open_document(path)
    assert document.problems(payload, "MetricPayload") == []
    assert document.problems({"series": [payload["series"][0] | {"type": "gauge"}]}, "MetricPayload")
    assert document.problems({"series": [payload["series"][0] | {"kind": 3}]}, "MetricPayload")


def test_push_waits_as_long_as_datadog_says(server: DatadogServer) -> None:
    """After 503 the call is made again, and after 429 once the limit is lifted."""
    server.faults += [Answer(503), Answer(429, {"errors": ["Rate limit"]}, {"X-RateLimit-Reset": "1"})]
    began = time.monotonic()

    assert push()["sent"]

    assert len(server.log) == 3
    assert time.monotonic() - began > 1
    assert server.points


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Answer(403, {"errors": [f"Forbidden: {API_KEY}"]}), "403, the keys may not do this"),
        (Answer(401, {"errors": ["Unauthorized"]}), "401, the keys are refused"),
        (Answer(404, {"errors": ["Not found"]}), "404"),
        (Answer(413, {"errors": ["Payload too big"]}), "413"),
        (Answer(429, {"errors": ["Rate limit"]}, {"X-RateLimit-Reset": "3000"}), "the limit is lifted in 3000 s"),
        (Answer(302, None, {"Location": "http://127.0.0.1:9/elsewhere"}), "302"),
        (Answer(202, {"errors": ["one series was dropped"]}), "one series was dropped"),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Answer) else None,
)
def test_refusal_is_one_line_without_the_key(server: DatadogServer, database: str, fault: Answer, said: str) -> None:
    """What is wrong, where, and what to do; and the key is in it nowhere, though Datadog repeats it."""
    server.faults.append(fault)

    with connect(database) as connection, pytest.raises(PushError) as raised:
        send_series(DatadogSettings.from_environ(with_app_key=False), read_series(connection))

    text = str(raised.value)
    assert said in text
    assert "\n" not in text
    assert API_KEY not in text
    assert len(server.log) == 1


def test_command_that_fails_prints_one_line(server: DatadogServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole program: status 1, one line, neither traceback nor key."""
    monkeypatch.setenv("DD_API_KEY", "another-key-that-nobody-knows")

    done = subprocess.run(
        [Path(sys.executable).with_name("holdwatch"), "metrics", "push"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("holdwatch: Could not send the series: 403, the keys may not do this. Check DD_API_KEY")
    assert "another-key" not in line
    assert len(server.log) == 1


def test_nobody_there_is_said(server: DatadogServer, monkeypatch: pytest.MonkeyPatch, database: str) -> None:
    """A port that nobody listens on, and a host that does not answer in time."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("DD_URL", f"http://127.0.0.1:{closed.getsockname()[1]}")
        with connect(database) as connection:
            series = read_series(connection)
        with pytest.raises(PushError, match=r"does not answer \(Connection refused\)"):
            send_series(DatadogSettings.from_environ(with_app_key=False), series, tries=1)
        closed.listen()
        monkeypatch.setattr("dashboards.pushing.datadog_api.TIMEOUT_SECONDS", (0.2, 0.2))
        with pytest.raises(PushError, match=r"does not answer \(timed out\)"):
            send_series(DatadogSettings.from_environ(with_app_key=False), series, tries=0)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("DD_API_KEY", "", "DD_API_KEY is not set"),
        ("DD_API_KEY", "two words", "DD_API_KEY holds spaces"),
        ("DD_API_KEY", "line\nbreak", "DD_API_KEY holds spaces"),
        ("DD_SITE", "https://app.datadoghq.eu", "is no site"),
        ("DD_URL", "http://datadog.example", "over https alone"),
        ("DD_URL", "https://me:secret@datadog.example", "without a login"),
    ],
)
def test_settings_that_make_no_sense_are_said(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    """One line, and no value that may be a secret."""
    monkeypatch.delenv("DD_URL", raising=False)
    monkeypatch.setenv("DD_API_KEY", "key")
    monkeypatch.setenv(variable, value)

    with pytest.raises(PushError, match=said) as raised:
        DatadogSettings.from_environ(with_app_key=False)

    if value and variable != "DD_SITE":
        assert value not in str(raised.value)


def test_site_chooses_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Datadog's sites are hosts of their own; and what is printed of the settings has no key."""
    monkeypatch.delenv("DD_URL", raising=False)
    monkeypatch.setenv("DD_API_KEY", API_KEY)
    monkeypatch.setenv("DD_SITE", "us5.datadoghq.com")

    settings = DatadogSettings.from_environ(with_app_key=False)

    assert settings.url == "https://api.us5.datadoghq.com"
    assert API_KEY not in repr(settings)


def test_database_without_views_is_told_so(connection: psycopg.Connection) -> None:
    """Before the first pipeline run there is nothing to send, and what to do is said."""
    with pytest.raises(MissingViewsError, match="holdwatch pipeline run"):
        read_series(connection)


@given(st.lists(st.integers(min_value=1, max_value=3 * BATCH_BYTES // 2), max_size=12))
def test_batches_are_short_enough_and_lose_nothing(sizes: list[int]) -> None:
    """In order, each once, and no body longer than the limit unless one series is."""
    bodies = [{"metric": "x" * size, "place": place} for place, size in enumerate(sizes)]

    batches = list(batched(bodies))

    assert [one for batch in batches for one in batch] == bodies
    for batch in batches:
        assert len(batch) == 1 or len(json.dumps({"series": batch})) <= BATCH_BYTES


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("(all)", "restaurant:all"),
        ("(none)", "restaurant:none"),
        ("23P01", "restaurant:23p01"),
        ("Chez d'Artagnan, “là-bas”", "restaurant:chez_d_artagnan_l_-bas"),
        ("a,b}by{c", "restaurant:a_b_by_c"),
        ("", "restaurant:none"),
        ("x" * 300, f"restaurant:{'x' * 189}"),
    ],
)
def test_tag_is_as_datadog_would_store_it(value: str, expected: str) -> None:
    """So that a query for what was sent finds it, and two pushes are one series."""
    assert tag("restaurant", value) == expected


def test_push_reads_as_the_reader_and_writes_nothing(database: str) -> None:
    """It sees what whoever reads dashboards sees, and leaves the connection as it was."""
    with connect(database) as connection:
        read_series(connection)
        row = connection.execute(
            "select current_user = session_user, current_setting('transaction_read_only')"
        ).fetchone()

    assert row == (True, "off")
    assert "DD_APP_KEY" not in os.environ


def test_page_describes_every_metric() -> None:
    """The table of docs/datadog.md says what the catalogue says, line by line."""
    page = (PROJECT_ROOT / "docs" / "datadog.md").read_text(encoding="utf-8")

    assert re.findall(r"^\| (`holdwatch\..*) \|$", page, re.MULTILINE) == [
        f"`{one.name}` | {one.kind.name.lower()} | {', '.join(f'`{name}`' for name in one.tags)} | {one.meaning}"
        for one in METRICS.values()
    ]


def test_exposure_in_dbt_is_what_is_read() -> None:
    """Who changes a view sees that Datadog is concerned; and nothing is read but views of the contract."""
    read = {name for sql in (*points.SOURCES, downtimes.PERIODS) for name in re.findall(r"analytics\.(\w+)", sql)}
    exposures = yaml.safe_load((DBT_PROJECT_DIR / "models/views/_views__exposures.yml").read_text("utf-8"))["exposures"]
    (exposure,) = (one for one in exposures if one["name"] == "datadog")

    assert {f"ref('{name}')" for name in read} == set(exposure["depends_on"])
    assert read <= set(VIEWS)
