"""A soak with more and more requests in flight, to find where more of them only wait longer.

The knee is the step with the greatest power: throughput divided by response time (Kleinrock, "Power and deterministic
rules of thumb for probabilistic problems in computer communications", ICC 1979). Below it the database has time to
spare; beyond it requests queue up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from orchestration.soak.load import Told
from orchestration.soak.run import SoakSummary, run_recorded_soak

_FEWEST_REQUESTS = 200
_MOST_REQUESTS = 20_000
_FIRST_GUESS_PER_SECOND = 100.0


@dataclass(frozen=True)
class Sample:
    """One request of a ramp.

    Attributes:
        answered_at: Seconds from the start of the ramp; time between steps is left out.
        latency_ms: From asking to the answer.
        outcome: held, conflict, limited or error.
    """

    answered_at: float
    latency_ms: float
    outcome: str


@dataclass(frozen=True)
class Step:
    """One step of a ramp.

    Attributes:
        in_flight: Requests in flight at any time.
        per_second: Requests answered in a second.
        mean_ms: Mean of the time to the answer.
        summary: What the soak of this step found; its ledger was checked as any other's.
        starts_at: Seconds from the start of the ramp.
    """

    in_flight: int
    per_second: float
    mean_ms: float
    summary: SoakSummary
    starts_at: float

    @property
    def power(self) -> float:
        """Throughput divided by response time."""
        return self.per_second / self.mean_ms


@dataclass(frozen=True)
class Ramp:
    """A whole ramp.

    Attributes:
        steps: In the order of their load.
        samples: Every request of all steps.
        connections: Most connections that a step had.
    """

    steps: tuple[Step, ...]
    samples: tuple[Sample, ...]
    connections: int

    @property
    def knee(self) -> Step:
        """The step with the greatest power."""
        return max(self.steps, key=lambda step: step.power)

    @property
    def is_clean(self) -> bool:
        """Whether every step adds up."""
        return all(step.summary.is_clean for step in self.steps)


def loads(highest: int) -> list[int]:
    """Return how many requests the steps have in flight: each twice as many as the last, up to the highest."""
    doubled = [2**power for power in range(int(math.log2(highest)) + 1)]
    return doubled if doubled[-1] == highest else [*doubled, highest]


def run_ramp(
    url: str,
    *,
    highest: int,
    connections: int,
    step_seconds: float,
    seed: int,
    on_progress: Callable[[int, int, int], None] = lambda in_flight, done, total: None,
    on_step: Callable[[Step], None] = lambda step: None,
) -> Ramp:
    """Run a soak for each load, one after the other.

    Args:
        url: The database.
        highest: Requests in flight in the last step.
        connections: Most connections they share.
        step_seconds: About how long a step takes.
        seed: The same seed asks the same questions.
        on_progress: Called with the load of the step, the requests answered and those in all.
        on_step: Called when a step has ended.
    """
    steps: list[Step] = []
    samples: list[Sample] = []
    per_second = _FIRST_GUESS_PER_SECOND
    elapsed = 0.0
    for number, in_flight in enumerate(loads(highest)):
        requests = min(max(int(per_second * step_seconds), in_flight, _FEWEST_REQUESTS), _MOST_REQUESTS)
        summary, load = run_recorded_soak(
            url,
            requests=requests,
            concurrency=in_flight,
            connections=min(in_flight, connections),
            seed=seed + number,
            on_progress=lambda done, load=in_flight, total=requests: on_progress(load, done, total),  # type: ignore[misc]
        )
        per_second = len(load.told) / load.seconds
        mean_ms = sum(entry.latency_ms for entry in load.told) / len(load.told)
        step = Step(in_flight, per_second, mean_ms, summary, elapsed)
        steps.append(step)
        samples += _samples(load.told, elapsed)
        elapsed += load.seconds
        on_step(step)
    return Ramp(tuple(steps), tuple(samples), connections)


def _samples(told: list[Told], starts_at: float) -> Iterator[Sample]:
    began = min(entry.asked_at for entry in told)
    for entry in told:
        answered_at = starts_at + entry.asked_at - began + entry.latency_ms / 1000
        yield Sample(answered_at, entry.latency_ms, entry.outcome)
