"""What Prometheus is told is what the views say, of now; and where they cannot be read, it is told that alone."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from dashboards.alerts import ALERTS
from dashboards.errors import MetricsServerError
from dashboards.exposition import METRICS
from dashboards.metrics_reader import MetricsReader
from dashboards.metrics_server import MetricsServer, metrics_app
from holds_core.database.connections import connect
from orchestration.paths import PROJECT_ROOT

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


@contextmanager
def served(reader: MetricsReader, **options: Any) -> Iterator[str]:
    """The address of a server with the metrics."""
    with MetricsServer("127.0.0.1", 0, metrics_app(reader, version="1", **options)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
    reader.close()


def get(address: str, **headers: str) -> tuple[int, str]:
    """The status and the text of an answer."""
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def series(text: str) -> Series:
    """The samples, by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: Series, name: str, **labels: str) -> float | None:
    """The sample of a metric with these labels."""
    return samples.get((f"holdwatch_{name}", frozenset(labels.items())))


@pytest.fixture(scope="module")
def scraped(seeded_url: str) -> str:
    """What a scrape of the seeded database says."""
    with served(MetricsReader(seeded_url, timeout_seconds=60)) as address:
        status, text = get(f"{address}/metrics")
    assert status == 200
    return text


def test_alerts_are_what_sql_says(scraped: str, seeded: psycopg.Connection) -> None:
    """Each of them, with its severity; the values of latencies in seconds."""
    samples = series(scraped)
    rows = seeded.execute(
        "select alert, severity, environment, is_firing::integer, consecutive_breaches, threshold"
        " from analytics.alert_evaluations"
    ).fetchall()

    assert len(rows) == len(ALERTS)
    for alert, severity, environment, is_firing, breaches, threshold in rows:
        labels = {"alert": alert, "severity": severity, "environment": environment}
        assert value(samples, "alert_firing", **labels) == is_firing
        assert value(samples, "alert_consecutive_breaches", **labels) == breaches
        expected = threshold / 1000 if alert == "latency_p95_high" else threshold
        assert value(samples, "alert_threshold", **labels) == expected
    of_pairs = {"alert": "double_booking", "severity": "page", "environment": "dev"}
    assert value(samples, "alert_firing", **of_pairs) == 1
    assert value(samples, "alert_value", **of_pairs) == value(samples, "double_bookings", environment="dev") == 1


def test_totals_are_the_events(scraped: str, seeded: psycopg.Connection) -> None:
    """Counted from the events by plain SQL; what there is none of is 0."""
    samples = series(scraped)
    counts = {
        ("events_total", None): "true",
        ("assignments_total", None): "event_type = 'capacity.selector.assignment'",
        ("skipped_total", None): "event_type = 'capacity.selector.skipped'",
        ("cutoffs_total", ("kind", "MANUAL")): "event_type = 'capacity.manual.validate'",
        ("errors_total", ("class", "conflict")): "context ->> 'code' = '23P01'",
        ("errors_total", ("class", "schema")): "false",
    }
    for (name, kind), condition in counts.items():
        row = seeded.execute(f"select count(*) from holds.observability_events where {condition}").fetchone()
        assert row is not None
        labels = dict([kind] if kind else []) | {"environment": "dev"}
        assert value(samples, name, **labels) == row[0], name
    assert value(samples, "errors_total", environment="dev", **{"class": "conflict"}) != 0


def test_latencies_are_of_the_last_ten_minutes_in_seconds(scraped: str, seeded: psycopg.Connection) -> None:
    """The nearest rank of the newest requests, of all restaurants together."""
    samples = series(scraped)
    count = value(samples, "reservation_latency_samples", environment="dev", phase="total")
    assert count is not None
    assert count >= 5
    row = seeded.execute(
        "select percentile_disc(0.95) within group (order by (context -> 'timing' ->> 'totalMs')::float8) from ("
        " select context from holds.observability_events where event_type like 'capacity.selector.%%'"
        " order by occurred_at desc limit %s) as newest",
        (int(count),),
    ).fetchone()
    assert row is not None

    p95 = value(samples, "reservation_latency_seconds", environment="dev", phase="total", percentile="0.95")
    assert p95 == pytest.approx(row[0] / 1000, rel=0.011)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is missing: apt-get install prometheus")
def test_promtool_has_nothing_to_say(scraped: str) -> None:
    """Names, base units, help texts."""
    done = subprocess.run(["promtool", "check", "metrics"], input=scraped, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_metric_is_exposed_and_explained(scraped: str) -> None:
    """On the page, as Prometheus has it: name, kind, what it says."""
    page = (PROJECT_ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    for metric in METRICS:
        assert f"# HELP {metric.name} " in scraped
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        assert f"| `{metric.name}` | {labels} | {metric.description} |" in page


def test_the_reader_may_read_and_nothing_else(seeded_url: str) -> None:
    """Whoever logs in acts as analytics_reader: a login that is nothing else will do, and the owner is no more."""
    with connect(seeded_url) as connection:
        connection.execute("create role scraper login password 'x'; grant analytics_reader to scraper")
    try:
        parts = urlsplit(seeded_url)
        where = f"scraper:x@{parts.hostname}:{parts.port}"
        as_scraper = MetricsReader(urlunsplit(parts._replace(netloc=where)), timeout_seconds=60)
        assert as_scraper.snapshot().rows
        as_scraper.close()
        with connect(seeded_url) as connection:
            connection.execute("revoke select on analytics.recent_latency_ms from analytics_reader")
        assert MetricsReader(seeded_url).snapshot().rows is None
    finally:
        with connect(seeded_url) as connection:
            connection.execute("grant select on analytics.recent_latency_ms to analytics_reader; drop role scraper")


def test_scrapes_at_once_read_once(seeded_url: str) -> None:
    """Whoever comes meanwhile waits for what is being read; what is too old is read anew."""
    reader = MetricsReader(seeded_url, cache_seconds=3600, timeout_seconds=60)
    with ThreadPoolExecutor(8) as executor:
        snapshots = list(executor.map(lambda _: reader.snapshot(), range(8)))
    with connect(seeded_url) as connection:
        row = connection.execute(
            "select count(*) from pg_stat_activity"
            " where application_name = 'holdwatch-metrics' and datname = current_database()"
        ).fetchone()
    reader.close()
    fresh = MetricsReader(seeded_url, cache_seconds=0, timeout_seconds=60)

    assert {id(snapshot) for snapshot in snapshots} == {id(snapshots[0])}
    assert row == (1,)
    assert fresh.snapshot() is not fresh.snapshot()
    fresh.close()


def test_what_cannot_be_read_is_not_there(seeded_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """A database that is slow, a connection that is cut, one that is back: never an old value for a new one."""
    reader = MetricsReader(seeded_url, cache_seconds=0, timeout_seconds=4)
    with served(reader) as address, connect(seeded_url) as connection:
        reader.snapshot()  # planned once, whatever that takes
        with connection.transaction():
            connection.execute("lock table analytics.rollup_positions in access exclusive mode")
            status, text = get(f"{address}/metrics")
            samples = series(text)
            assert status == 200
            assert value(samples, "up") == 0
            assert {name for name, _ in samples} == {"holdwatch_up", "holdwatch_build_info"}
            assert get(f"{address}/healthz") == (200, "ok\n")
        assert value(series(get(f"{address}/metrics")[1]), "up") == 1
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'holdwatch-metrics' and datname = current_database()"
        )
        answers = [value(series(get(f"{address}/metrics")[1]), "up") for _ in range(2)]
        assert answers == [0, 1]
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "Nothing can be read, so there are no series",
        "The database answers again.",
    ] * 2


def test_views_that_are_missing_are_told_with_what_builds_them(
    new_database: Callable[..., str], small_template: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Up to the first pass there is nothing to read, and that is easily changed."""
    reader = MetricsReader(new_database(small_template), timeout_seconds=60)

    assert reader.snapshot().rows is None
    assert caplog.messages[0].endswith(". Build the views: holdwatch pipeline run")
    reader.close()


def test_a_password_guards_the_metrics_alone(seeded_url: str) -> None:
    """401 without it and with another; anything else is not there."""
    with served(MetricsReader(seeded_url, timeout_seconds=60), username="prom", password="päss:word") as address:
        right, wrong = (
            f"Basic {base64.b64encode(text.encode()).decode()}" for text in ("prom:päss:word", "prom:password")
        )
        assert get(f"{address}/metrics")[0] == 401
        assert get(f"{address}/metrics", Authorization=wrong)[0] == 401
        assert get(f"{address}/metrics", Authorization="Basic \xff")[0] == 401
        assert get(f"{address}/metrics", Authorization=right)[0] == 200
        assert get(f"{address}/healthz")[0] == 200
        assert get(f"{address}/")[0] == 404


def test_a_port_that_is_taken_is_said(seeded_url: str) -> None:
    """In one line, with the port."""
    with served(MetricsReader(seeded_url)) as address:
        port = int(address.rpartition(":")[2])
        with pytest.raises(
            MetricsServerError, match=f"Cannot listen on 127.0.0.1, port {port}: Address already in use"
        ):
            MetricsServer("127.0.0.1", port, lambda environ, start_response: [])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_says_where_and_ends_when_told(seeded_url: str, number: signal.Signals) -> None:
    """The address on standard output, the password from the environment, status 0."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from orchestration.cli import main; main()", "metrics", "serve", "--port", "0"],
        env=os.environ | {"HOLDWATCH_DATABASE_URL": seeded_url, "HOLDWATCH_METRICS_PASSWORD": "secret"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    address = process.stdout.readline().removeprefix("Metrics: ").strip()
    assert get(address)[0] == 401
    process.send_signal(number)
    out, err = process.communicate(timeout=30)

    assert (process.returncode, out, err) == (0, "", "Stopped.\n")
