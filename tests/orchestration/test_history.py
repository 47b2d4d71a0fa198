"""A history that is made up reconciles: what it says in one place it says in the others."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import UTC, datetime
from typing import Any

import pytest

from orchestration.history import History, copy_lines

HISTORY = History(60_000, 90, datetime(2030, 5, 17, tzinfo=UTC))


@pytest.fixture(scope="module")
def events() -> list[tuple[str, str, str, dict[str, Any]]]:
    """Time, type, restaurant and context of each."""
    lines = [line.decode().split("\t") for batch in copy_lines(HISTORY) for line in batch]
    return [(line[1], line[4], line[6], json.loads(line[8])) for line in lines]


def test_each_refusal_of_the_constraint_is_one_call_that_ended_in_it(
    events: list[tuple[str, str, str, dict[str, Any]]],
) -> None:
    """At the same moment, of the same restaurant; limits and lost connections are no refusals of the constraint."""
    refused = Counter((at, where) for at, kind, where, _ in events if kind == "capacity.hold.strict_conflict")
    calls = [(at, where, said["code"]) for at, kind, where, said in events if kind == "capacity.rpc.conflict"]

    assert refused == Counter((at, where) for at, where, code in calls if code == "23P01")
    assert len({code for _, _, code in calls}) == 6
    assert 0.7 < refused.total() / len(calls) < 0.9


def test_incidents_miss_the_goals_and_ordinary_days_do_not(
    events: list[tuple[str, str, str, dict[str, Any]]],
) -> None:
    """Whoever gives up says so in both words; that is a fault, and a full restaurant is none."""
    days: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for at, kind, _, said in events:
        if kind == "capacity.selector.skipped":
            assert (said["skipReason"] == "attempts_exhausted") is said["retryExhausted"]
            days[at[:10]][said["skipReason"]] += 1
        elif kind == "capacity.selector.assignment":
            days[at[:10]]["assigned"] += 1
    shares = sorted(
        one["attempts_exhausted"] / (one["attempts_exhausted"] + one["assigned"] + one["no_capacity"])
        for one in days.values()
    )

    assert len(shares) == 90
    assert shares[45] < 0.005, "half of the days are far from the goal of 1 %"
    assert sum(share > 0.01 for share in shares) in range(3, 30)
    assert shares[-1] > 0.02


def test_the_same_options_make_the_same_events() -> None:
    """To the last byte; another seed makes others."""
    small = History(500, 3, HISTORY.until)
    assert list(copy_lines(small)) == list(copy_lines(small))
    assert list(copy_lines(small)) != list(copy_lines(History(500, 3, HISTORY.until, seed=2)))
