"""A ramp as one HTML file that needs nothing else: plots, the steps, and what they mean."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from html import escape
from importlib.util import find_spec
from io import StringIO
from typing import TYPE_CHECKING

from orchestration.errors import MissingExtraError
from orchestration.soak.ramp import Ramp, Sample, Step

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BINS = 120

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>holdwatch soak ramp</title>
<style>
  body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24; }}
  table {{ border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }}
  th, td {{ text-align: right; padding: .3rem .6rem; border-bottom: 1px solid #d0d7de; }}
  tr.knee {{ background: #fff3c4; font-weight: 600; }}
  svg {{ max-width: 100%; height: auto; }}
  .verdict {{ font-size: 1.2rem; }}
</style>
<h1>Soak ramp</h1>
<p>{made_at} UTC. PostgreSQL {server}, environment {environment}, at most {connections} connections, synthetic
restaurants.</p>
<p class="verdict">{verdict}</p>
<p>{knee}</p>
<h2>Load</h2>
{by_load}
<h2>Over time</h2>
{over_time}
<h2>Steps</h2>
<table>
<tr><th>in flight<th>answers/s<th>P50 ms<th>P95 ms<th>P99 ms
<th>held<th>conflicts<th>limited<th>errors<th>double bookings
{rows}
</table>
<p>Every step's answers were checked against the database: held once and acknowledged once, each with its event.</p>
</html>
"""


def ramp_html(ramp: Ramp, *, server: str, environment: str) -> str:
    """Return the report.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise MissingExtraError("dashboards", "The report")
    knee = ramp.knee
    doubles = sum(step.summary.double_bookings for step in ramp.steps)
    requests = sum(step.summary.requests for step in ramp.steps)
    verdict = (
        f"{requests:,} requests, {doubles} double bookings: everything adds up."
        if ramp.is_clean
        else f"It does not add up: {doubles} double bookings in {requests:,} requests. See the steps."
    )
    return _PAGE.format(
        made_at=f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
        server=escape(server),
        environment=escape(environment),
        connections=ramp.connections,
        verdict=verdict,
        knee=(
            f"The knee is at {knee.in_flight} in flight: {knee.per_second:,.0f} answers a second, "
            f"P95 {knee.summary.latency_ms['p95']:,.0f} ms. With more, requests wait rather than get answered."
        ),
        by_load=_by_load(ramp),
        over_time=_over_time(ramp),
        rows="\n".join(_row(step, is_knee=step is knee) for step in ramp.steps),
    )


def _row(step: Step, *, is_knee: bool) -> str:
    summary = step.summary
    cells = [
        f"{step.in_flight:,}", f"{step.per_second:,.0f}",
        *(f"{summary.latency_ms[name]:,.1f}" for name in ("p50", "p95", "p99")),
        *(f"{count:,}" for count in (
            summary.held, summary.conflicts, summary.limited, summary.errors, summary.double_bookings)),
    ]  # fmt: skip
    return f"<tr{' class=knee' if is_knee else ''}>" + "".join(f"<td>{cell}" for cell in cells)


def _by_load(ramp: Ramp) -> str:
    def draw(axes: Sequence[Axes]) -> None:
        load = [step.in_flight for step in ramp.steps]
        throughput, latency = axes
        throughput.plot(load, [step.per_second for step in ramp.steps], marker="o", label="answers/s")
        throughput.set_ylabel("answers a second")
        for name in ("p50", "p95", "p99"):
            latency.plot(load, [step.summary.latency_ms[name] for step in ramp.steps], marker="o", label=name.upper())
        latency.set_ylabel("ms to an answer")
        latency.set_yscale("log")
        latency.legend()
        latency.set_xlabel("requests in flight")
        for one in axes:
            one.set_xscale("log", base=2)
            one.axvline(ramp.knee.in_flight, color="goldenrod", linestyle="--")
            one.set_xticks(load, [str(count) for count in load])

    return _svg(2, draw)


def _over_time(ramp: Ramp) -> str:
    end = max(sample.answered_at for sample in ramp.samples)
    width = max(end / _BINS, 0.1)
    bins: dict[int, list[Sample]] = defaultdict(list)
    for sample in ramp.samples:
        bins[int(sample.answered_at / width)].append(sample)
    order = sorted(bins)
    times = [number * width for number in order]

    def draw(axes: Sequence[Axes]) -> None:
        throughput, latency, conflicts = axes
        throughput.plot(times, [len(bins[number]) / width for number in order])
        throughput.set_ylabel("answers a second")
        for share, label in ((0.5, "P50"), (0.95, "P95"), (0.99, "P99")):
            latency.plot(times, [_nearest_rank(bins[number], share) for number in order], label=label)
        latency.set_ylabel("ms to an answer")
        latency.set_yscale("log")
        latency.legend()
        conflicts.plot(
            times,
            [100 * sum(one.outcome == "conflict" for one in bins[number]) / len(bins[number]) for number in order],
        )
        conflicts.set_ylabel("conflicts, %")
        conflicts.set_ylim(0, 100)
        conflicts.set_xlabel("seconds")
        for one in axes:
            for step in ramp.steps[1:]:
                one.axvline(step.starts_at, color="lightgray", linewidth=0.8)

    return _svg(3, draw)


def _nearest_rank(samples: Sequence[Sample], share: float) -> float:
    ordered = sorted(sample.latency_ms for sample in samples)
    return ordered[math.ceil(share * len(ordered)) - 1]


def _svg(rows: int, draw: Callable[[Sequence[Axes]], None]) -> str:
    from matplotlib.figure import Figure  # noqa: PLC0415  a second, for whoever wants plots

    figure = Figure(figsize=(9, 2.6 * rows), layout="constrained")
    axes = figure.subplots(rows, 1, sharex=True)
    draw(axes)
    for one in axes:
        one.grid(visible=True, color="#eaeef2")
    text = StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()[text.getvalue().index("<svg") :]
