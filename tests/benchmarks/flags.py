"""What a feature flag costs: nanoseconds for each evaluation, direct and through OpenFeature, and for each search.

    python -m tests.benchmarks.flags

No database is asked: an evaluation never waits for one. Each figure is the best of several rounds, which is what the
code costs where nothing else is at work.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from openfeature import api
from openfeature.evaluation_context import EvaluationContext

from holds_core import QuoteRequest, Table
from holds_core.database.settings import Environment
from holds_core.flags import Flag, FlagState, Override, Setting
from holds_core.flags.client import FixedFlags
from holds_core.flags.loading import packaged_definitions
from holds_core.flags.openfeature import HoldwatchProvider
from holds_core.selector import _ways
from tests.benchmarks.results import Result, report

ROUNDS, CALLS = 7, 20_000
MOST_NS = 2_000
MOST_NS_OF_A_STRANGER = 20_000
"""With the hash that its bucket is; it is remembered from then on."""

MOST_NS_BY_OPENFEATURE = 40_000
"""Most of it is the SDK's own: contexts to merge, hooks to look for, an answer with all that it can say."""


def nanoseconds(call: Callable[[], object]) -> float:
    """Return what a call costs, the loop's and the lambda's own cost left out."""
    bare = min(timeit.repeat(lambda: None, number=CALLS, repeat=ROUNDS))
    return (min(timeit.repeat(call, number=CALLS, repeat=ROUNDS)) - bare) / CALLS * 1e9


def main() -> None:
    """Measure, print, and put the figures into .holdwatch/bench.json."""
    here, elsewhere = uuid4(), uuid4()
    strangers = iter([uuid4() for _ in range(CALLS * (ROUNDS + 1))])
    overrides = [
        Override(Flag.LOOKAHEAD, None, Setting(True, 50)),
        *(Override(Flag.ATTEMPT_LIMIT, UUID(int=number), Setting(5)) for number in range(10_000)),
        Override(Flag.ATTEMPT_LIMIT, here, Setting(7)),
    ]
    flags = FixedFlags(FlagState(packaged_definitions(), Environment.PROD, None, overrides))
    asked = {
        "default": lambda: flags.evaluate(Flag.COMBINATIONS, elsewhere),
        "restaurant's own, of 10,000": lambda: flags.evaluate(Flag.ATTEMPT_LIMIT, here),
        "share, by bucket": lambda: flags.evaluate(Flag.LOOKAHEAD, elsewhere),
        "share, of a restaurant that is new": lambda: flags.evaluate(Flag.LOOKAHEAD, next(strangers)),
    }
    provider = HoldwatchProvider(flags)
    api.set_provider_and_wait(provider)
    client, context = api.get_client(), EvaluationContext(str(elsewhere))
    asked_by_openfeature = {
        "the provider alone": lambda: provider.resolve_boolean_details(Flag.LOOKAHEAD, False, context),
        "the SDK's client": lambda: client.get_boolean_value(Flag.LOOKAHEAD, False, context),
    }
    request = QuoteRequest(
        restaurant_id=elsewhere, tables=[Table(id=uuid4(), capacity=2)], party_size=2,
        starts_at=datetime.now(UTC), ends_at=datetime.now(UTC) + timedelta(hours=1),
    )  # fmt: skip
    results = [
        Result(
            f"flags: evaluation, {name}",
            nanoseconds(call),
            "ns",
            MOST_NS_OF_A_STRANGER if "new" in name else MOST_NS,
            is_at_most=True,
        )
        for name, call in asked.items()
    ]
    results += [
        Result(
            f"flags: evaluation, share, by bucket, through OpenFeature: {name}",
            nanoseconds(call),
            "ns",
            MOST_NS_BY_OPENFEATURE,
            is_at_most=True,
        )
        for name, call in asked_by_openfeature.items()
    ]
    results += [
        Result(
            "flags: a search without flags", nanoseconds(lambda: _ways(request, None)), "ns", MOST_NS, is_at_most=True
        ),
        Result(
            "flags: a search with flags (four evaluations)", nanoseconds(lambda: _ways(request, flags)), "ns",
            5 * MOST_NS, is_at_most=True,
        ),
    ]  # fmt: skip
    report(results)


if __name__ == "__main__":
    main()
