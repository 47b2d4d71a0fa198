"""More and more requests in flight, and the report of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import psycopg

from orchestration.soak.ramp import Ramp, Sample, Step, loads, run_ramp
from orchestration.soak.ramp_report import ramp_html
from orchestration.soak.run import SoakSummary
from tests.orchestration.cli.test_commands import Run, run

__all__ = ["run"]


def step(in_flight: int, per_second: float, mean_ms: float) -> Step:
    """A step that went like this."""
    summary = SoakSummary(
        soak_id="x", requests=10, held=10, conflicts=0, limited=0, errors=0, double_bookings=0, lost=0, duplicated=0,
        missing_events=0, latency_ms={"p50": mean_ms, "p95": mean_ms, "p99": mean_ms}, holds_per_second=per_second,
        seconds=1, most_in_flight=in_flight, examples=(),
    )  # fmt: skip
    return Step(in_flight, per_second, mean_ms, summary, starts_at=0)


def test_loads_double_up_to_the_highest() -> None:
    """The highest is the last, power of two or not."""
    assert loads(1) == [1]
    assert loads(8) == [1, 2, 4, 8]
    assert loads(10) == [1, 2, 4, 8, 10]


def test_knee_is_where_more_load_only_waits() -> None:
    """Throughput grows with the load up to 4 and stays; from there on the answers take longer."""
    steps = (step(1, 100, 10), step(2, 198, 10.1), step(4, 380, 10.5), step(8, 390, 20.5), step(16, 391, 41))
    assert Ramp(steps, (), 50).knee.in_flight == 4


def test_ramp_adds_up_and_its_report_stands_alone(database_url: str) -> None:
    """Every request is a sample, the ledger of each step was checked, and the page needs no other file."""
    progress: list[tuple[int, int, int]] = []
    ramp = run_ramp(
        database_url, highest=8, connections=4, step_seconds=0.1, seed=1, on_progress=lambda *at: progress.append(at)
    )
    assert [one.in_flight for one in ramp.steps] == [1, 2, 4, 8]
    assert ramp.is_clean, [one.summary.examples for one in ramp.steps]
    assert len(ramp.samples) == sum(one.summary.requests for one in ramp.steps) == len(progress)
    assert [one.summary.most_in_flight for one in ramp.steps] == [1, 2, 4, 8]

    page = ramp_html(ramp, server="18 <beta>", environment="dev")
    assert "0 double bookings: everything adds up" in page
    assert "18 &lt;beta&gt;" in page
    assert page.count("<svg") == 2
    for svg in page.split("<svg")[1:]:
        ElementTree.fromstring("<svg" + svg.partition("</svg>")[0] + "</svg>")
    assert "src=" not in page
    assert "<tr class=knee>" in page


def test_report_says_when_it_does_not_add_up() -> None:
    """A double booking in one step is the first thing that is said."""
    one = step(1, 100, 10)
    bad = replace(one, summary=replace(one.summary, double_bookings=3))
    ramp = Ramp((one, bad), (Sample(0.1, 5, "held"), Sample(0.2, 5, "conflict")), 1)
    assert not ramp.is_clean
    assert "It does not add up: 3 double bookings" in ramp_html(ramp, server="18", environment="dev")


def test_ramp_from_the_console(run: Run, tmp_path: Path, connection: psycopg.Connection) -> None:
    """JSON for machines; the report where it was asked for; nothing stays held; prod is refused."""
    report = tmp_path / "reports" / "ramp.html"
    done = run("soak", "--ramp", "--concurrency", "4", "--step-seconds", "0.1", "--report", str(report), "--json")

    assert done.status == 0, done.err
    assert [one["in_flight"] for one in done.json["steps"]] == [1, 2, 4]
    assert done.json["knee_in_flight"] in (1, 2, 4)
    assert report.read_text("utf-8").startswith("<!doctype html>")
    held = connection.execute("select count(*) from holds.table_holds where status in ('held', 'confirmed')").fetchone()
    assert held == (0,)
    refused = run("soak", "--ramp", HOLDWATCH_ENVIRONMENT="prod")
    assert refused.status == 1
    assert "--allow-prod" in refused.err
