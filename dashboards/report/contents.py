"""Decides what the report plots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from dashboards.catalogue import LATENCY, RETRY_EXHAUSTION, SUCCESS_RATE
from dashboards.report.judging import threshold_of
from dashboards.report.plots import Goal, Plot, Series
from dashboards.report.reading import ALL, Evidence
from dashboards.report.words import count, milliseconds, percent

CHANGE_KINDS = {"deploy": "Deployments", "flag": "Flags", "rollout": "Rollouts", "enforcement": "Switches"}
"""The kinds of changes as the view and as people name them."""


def plots(evidence: Evidence) -> tuple[Plot, ...]:
    """Return the plots in the order in which they are read."""
    return tuple(_plots(evidence))


def _plots(evidence: Evidence) -> Iterator[Plot]:
    days = tuple(one.day for one in evidence.days)

    def of(name: str, attribute: str) -> Series:
        return Series(name, tuple(getattr(one, attribute) for one in evidence.days))

    requests = tuple(one.requests for one in evidence.days)
    success, retries, latency = (threshold_of(one).breach for one in (SUCCESS_RATE, RETRY_EXHAUSTION, LATENCY))
    yield Plot(
        "double-bookings", "Double bookings",
        "Pairs of bookings that began to hold the same table at the same time, whether or not they still do.",
        "bars", days,
        (Series("Pairs", _double_bookings(evidence)),),
        "locale", count,
    )  # fmt: skip
    yield Plot(
        "success", "Requests that got tables",
        "The share of requests that got a table. The goal leaves out what full restaurants refused: no fault.",
        "lines", days, (of("Without full restaurants", "objective_ratio"), of("Of all requests", "success_ratio")),
        "percentunit", percent, Goal(success, f"at least {percent(success)}", is_bad_above=False),
        samples=tuple(one.judged or 0 for one in evidence.days),
    )  # fmt: skip
    yield Plot(
        "requests", "Requests",
        "How many asked for a table, and how they were answered: how much all the rest is based on.",
        "bars", days, (of("Got tables", "assigned"), of("Refused", "refused")), "locale", count,
    )  # fmt: skip
    yield Plot(
        "latency", "Waiting time",
        "How long guests waited for an answer: half of them less than the P50, 95 of 100 less than the P95, 99 of 100 "
        "less than the P99.",
        "lines", days, (of("P50", "p50_ms"), of("P95", "p95_ms"), of("P99", "p99_ms")), "ms", milliseconds,
        Goal(latency, f"P95 under {milliseconds(latency)}", is_bad_above=True), judged=1,
        samples=tuple(one.latency_samples or 0 for one in evidence.days),
    )  # fmt: skip
    yield Plot(
        "conflicts", "Conflicts",
        "A booking asked for a table that another one holds. Refusing it is the guard at work; letting it through, "
        "while refusing is switched off, makes a double booking.",
        "bars", days, (of("Refused", "conflicts_refused"), of("Let through", "conflicts_let_through")), "locale", count,
    )  # fmt: skip
    yield Plot(
        "retries", "Retry exhaustion",
        "The share of requests for which the system tried as often as it may, and gave up.",
        "lines", days, (of("Out of retries", "exhausted_ratio"),), "percentunit", percent,
        Goal(retries, f"at most {percent(retries)}", is_bad_above=True),
        samples=requests,
    )  # fmt: skip
    yield Plot(
        "cutoffs", "Cutoffs and manual steps",
        "Requests that a limit or a time-out cut off, and assignments that staff validated or forced by hand. Few is "
        "good.",
        "bars", days,
        (of("Rate limit", "rate_limits"), of("Time-out", "cutoffs"), of("By hand", "manual_steps")), "locale", count,
    )  # fmt: skip
    yield _changes(evidence)
    if evidence.restaurant == ALL:
        yield Plot(
            "runs", "Pipeline runs",
            "The pipeline checks the data and keeps what is shown here fast. A blocked run found "
            "data that is not sound.",
            "bars", days,
            (of("Succeeded", "runs_succeeded"), of("Blocked", "runs_blocked"), of("Failed", "runs_failed")),
            "locale", count,
        )  # fmt: skip


def _double_bookings(evidence: Evidence) -> tuple[int | None, ...]:
    """Where holds were recorded and no pair was found there was none; without holds of our own nothing is known."""
    return tuple(
        0 if one.double_bookings is None and one.holds and evidence.are_holds_here else one.double_bookings
        for one in evidence.days
    )


def _changes(evidence: Evidence) -> Plot:
    happened = Counter((one.kind, one.occurred_at.date()) for one in evidence.changes)
    return Plot(
        "changes", "What was changed",
        "Deployments, feature flags, rollouts, and switches of the guard: a mark on each day that has any, a larger "
        "one for several.",
        "lanes", tuple(one.day for one in evidence.days),
        tuple(
            Series(name, tuple(float(happened[kind, one.day]) for one in evidence.days))
            for kind, name in CHANGE_KINDS.items()
        ),
        "locale", count,
    )  # fmt: skip
