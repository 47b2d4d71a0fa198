"""One soak from beginning to end: load, ledger check, release, summary."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID, uuid4

import psycopg

from holds_core import HoldsError
from holds_core.database.connections import connect
from orchestration.soak.ledger import LedgerFindings, check_ledger
from orchestration.soak.load import LoadResult, release_all, run_load
from orchestration.soak.scenario import make_requests, make_restaurants


@dataclass(frozen=True, kw_only=True)
class SoakSummary:
    """What a soak found. Every request ended once: requests = held + conflicts + limited + errors.

    Attributes:
        latency_ms: Nearest-rank percentiles from asking to the answer, waiting for a connection included.
        most_in_flight: The most requests that were in flight at one moment.
    """

    soak_id: str
    requests: int
    held: int
    conflicts: int
    limited: int
    errors: int
    double_bookings: int
    lost: int
    duplicated: int
    missing_events: int
    latency_ms: dict[str, float]
    holds_per_second: float
    seconds: float
    most_in_flight: int
    examples: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        """Whether no request failed and the ledger adds up."""
        return not (self.errors or self.double_bookings or self.lost or self.duplicated or self.missing_events)

    def as_dict(self) -> dict[str, Any]:
        """Return the summary as JSON has it."""
        return asdict(self)


def run_soak(
    url: str,
    *,
    requests: int,
    concurrency: int,
    connections: int,
    seed: int,
    on_progress: Callable[[int], None] = lambda done: None,
) -> SoakSummary:
    """Run a load against the database at ``url``, check the ledger, and release what was held.

    Works on synthetic restaurants of its own, and marks its events with ``context.soakId``.
    """
    return run_recorded_soak(
        url,
        requests=requests,
        concurrency=concurrency,
        connections=connections,
        seed=seed,
        on_progress=on_progress,
    )[0]


def run_recorded_soak(
    url: str,
    *,
    requests: int,
    concurrency: int,
    connections: int,
    seed: int,
    on_progress: Callable[[int], None] = lambda done: None,
) -> tuple[SoakSummary, LoadResult]:
    """The same; returns what every caller was told too."""
    soak_id = uuid4()
    restaurant_ids = [restaurant.id for restaurant in make_restaurants(soak_id, requests)]
    try:
        load = asyncio.run(
            run_load(
                url,
                list(make_requests(soak_id, requests, seed)),
                concurrency=concurrency,
                connections=connections,
                on_progress=on_progress,
            )
        )
        with connect(url) as connection:
            findings = check_ledger(connection, load.told, restaurant_ids)
    except BaseException:
        # Also after a Ctrl-C nothing is left held; but what went wrong first is what is told.
        with suppress(HoldsError, psycopg.Error, ExceptionGroup):
            _release(url, restaurant_ids, connections)
        raise
    _release(url, restaurant_ids, connections)
    return _summary(str(soak_id), load, findings), load


def _release(url: str, restaurant_ids: Sequence[UUID], connections: int) -> None:
    """Release all that these restaurants have held, whoever was told of it."""
    with connect(url) as connection:
        rows = connection.execute(_LASTING, {"restaurant_ids": list(restaurant_ids)}).fetchall()
    asyncio.run(release_all(url, [row[0] for row in rows], connections=connections))


_LASTING = """
    select id
    from holds.table_holds
    where restaurant_id = any(%(restaurant_ids)s) and status in ('held', 'confirmed')
"""


def _summary(soak_id: str, load: LoadResult, findings: LedgerFindings) -> SoakSummary:
    outcomes = [entry.outcome for entry in load.told]
    latencies = sorted(entry.latency_ms for entry in load.told)
    errors = sorted({entry.error for entry in load.told if entry.error is not None})
    return SoakSummary(
        soak_id=soak_id,
        requests=len(outcomes),
        held=outcomes.count("held"),
        conflicts=outcomes.count("conflict"),
        limited=outcomes.count("limited"),
        errors=outcomes.count("error"),
        double_bookings=findings.double_bookings,
        lost=findings.lost,
        duplicated=findings.duplicated,
        missing_events=findings.missing_events,
        latency_ms={name: round(_nearest_rank(latencies, share), 1) for name, share in _PERCENTILES.items()},
        holds_per_second=round(outcomes.count("held") / load.seconds, 1),
        seconds=round(load.seconds, 2),
        most_in_flight=load.most_in_flight,
        examples=(*findings.examples, *errors[:5]),
    )


_PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def _nearest_rank(ordered: Sequence[float], share: float) -> float:
    return ordered[math.ceil(share * len(ordered)) - 1]
