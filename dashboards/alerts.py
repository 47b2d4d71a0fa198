"""The alerts, said once: what breaches, how long it must, who is told, and what silence means.

They are judged in one place, ``analytics.alert_evaluations``, which reads its rules from the model that
:mod:`dashboards.generators.dbt` writes from here. Grafana, Datadog and Prometheus carry its verdict and judge nothing,
so that all of them fire on the same evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dashboards.catalogue import (
    CUTOFFS,
    DOUBLE_BOOKINGS,
    ERROR_BUDGET,
    ERRORS,
    FLAGS,
    FRESHNESS,
    LATENCY,
    MINIMUM_SAMPLE,
    RETRY_EXHAUSTION,
    SUCCESS_RATE,
    UNATTRIBUTED,
    Signal,
    Threshold,
)

KEPT_FIRING_PERIODS = 2
"""Evaluation periods that an alert goes on firing for after its condition has cleared: 10 minutes with the usual 5."""

BURN_SAMPLE = 50
BURN_FAULTS = 5
"""Requests, and faults, below which a burning budget says nothing (low traffic pages: sloth 666, pyrra 1925)."""


class Severity(StrEnum):
    """Who is told: ``page`` wakes somebody, ``ticket`` waits for the working day."""

    PAGE = "page"
    TICKET = "ticket"


class NoData(StrEnum):
    """What it means that an alert has no data. Its row is always there, so none means that the pipeline is broken."""

    OK = "ok"
    NO_DATA = "no_data"
    ALERTING = "alerting"


@dataclass(frozen=True)
class Alert:
    """A rule that tells somebody.

    Attributes:
        name: As ``analytics.alert_evaluations.alert`` has it.
        title: As the one who is woken reads it.
        signal: What it watches.
        severity: Who is told.
        threshold: Where it turns bad and good again, in the unit of the alert's value.
        condition: When it fires, in words.
        consequence: Who is hurt, in words.
        periods: Evaluations in a row that must breach before it fires.
        no_data: What missing data means.
        minimum_faults: Faults below which nothing is concluded.
        is_muted_by_maintenance: Whether known maintenance keeps it quiet.
    """

    name: str
    title: str
    signal: Signal
    severity: Severity
    threshold: Threshold
    condition: str
    consequence: str
    periods: int = 2
    no_data: NoData = NoData.OK
    minimum_faults: int = 0
    is_muted_by_maintenance: bool = True


def _threshold_of(signal: Signal) -> Threshold:
    assert signal.threshold is not None
    return signal.threshold


def _above(breach: float, minimum_sample: int = 0) -> Threshold:
    return Threshold(breach=breach, recovery=breach, is_bad_above=True, minimum_sample=minimum_sample)


def _burn(name: str, title: str, severity: Severity, rate: float, windows: str, spent: str) -> Alert:
    """One pair of the Google SRE workbook (chapter 5): the long window says it matters, the short one it is now."""
    return Alert(
        name=name,
        title=title,
        signal=ERROR_BUDGET,
        severity=severity,
        threshold=_above(rate, BURN_SAMPLE),
        minimum_faults=BURN_FAULTS,
        condition=(
            f"the error budget burns more than {rate:g} times too fast over {windows}, with at least {BURN_SAMPLE} "
            f"requests and {BURN_FAULTS} faults"
        ),
        consequence=f"At this pace {spent}.",
    )


ALERTS = (
    Alert(
        name="double_booking",
        title="Double booking",
        signal=DOUBLE_BOOKINGS,
        severity=Severity.PAGE,
        threshold=_threshold_of(DOUBLE_BOOKINGS),
        periods=1,
        condition="two bookings hold one table at the same time",
        consequence="Two parties will stand at one table.",
        is_muted_by_maintenance=False,
    ),
    _burn(
        "fast_burn", "Error budget burns fast", Severity.PAGE, 14.4, "both 1 hour and 5 minutes",
        "2 % of the budget of 30 days goes in an hour",
    ),
    _burn(
        "slow_burn", "Error budget burns", Severity.PAGE, 6, "both 6 hours and 30 minutes",
        "5 % of the budget of 30 days goes in six hours",
    ),
    _burn(
        "budget_burn", "Error budget will not last", Severity.TICKET, 1, "both 3 days and 6 hours",
        "the budget is spent before its 30 days are over",
    ),
    Alert(
        name="success_rate_low",
        title="Success rate low",
        signal=SUCCESS_RATE,
        severity=Severity.PAGE,
        threshold=_threshold_of(SUCCESS_RATE),
        no_data=NoData.NO_DATA,
        condition=(
            "less than 95 % of at least 20 requests got their tables, not counting those a full restaurant refused; "
            "it recovers at 97 %"
        ),
        consequence="Guests are turned away although there are tables.",
    ),
    Alert(
        name="latency_p95_high",
        title="Latency P95 high",
        signal=LATENCY,
        severity=Severity.PAGE,
        threshold=_threshold_of(LATENCY),
        no_data=NoData.NO_DATA,
        condition="the P95 of at least 20 requests is above 3 s; it recovers at 2.5 s",
        consequence="Guests wait, give up, and book again.",
    ),
    Alert(
        name="retry_exhaustion",
        title="Retry exhaustion",
        signal=RETRY_EXHAUSTION,
        severity=Severity.TICKET,
        threshold=_threshold_of(RETRY_EXHAUSTION),
        condition="more than 1 % of at least 20 requests ran out of retries",
        consequence="Some guests are refused for contention alone.",
    ),
    Alert(
        name="cutoff_spike",
        title="Cutoff spike",
        signal=CUTOFFS,
        severity=Severity.TICKET,
        # The least it takes; its own rows say 3 times the usual where that is more.
        threshold=_above(4),
        condition=(
            "the cutoffs and manual steps of an hour are above 3 times the median of this hour over 4 weeks, "
            "and at least 5"
        ),
        consequence="Staff book by hand what the system should.",
    ),
    Alert(
        name="unclassified_errors",
        title="Unclassified errors",
        signal=ERRORS,
        severity=Severity.TICKET,
        threshold=_above(0.1, MINIMUM_SAMPLE),
        condition="more than 10 % of at least 20 errors are of no known class",
        consequence="Something fails that nobody has a name, or a runbook, for.",
    ),
    Alert(
        name="unattributed_share",
        title="Requests without a restaurant",
        signal=UNATTRIBUTED,
        severity=Severity.TICKET,
        threshold=_above(0.1, MINIMUM_SAMPLE),
        condition="more than 10 % of at least 20 requests name no restaurant",
        consequence="Some restaurant's figures are too good, and nobody can tell whose.",
    ),
    Alert(
        name="telemetry_stale",
        title="Telemetry stale",
        signal=FRESHNESS,
        severity=Severity.PAGE,
        threshold=_threshold_of(FRESHNESS),
        no_data=NoData.ALERTING,
        condition="holds are newer than the newest event by 5 minutes, or no pipeline run has ended for 15 minutes",
        consequence="Nobody can see whether guests are hurt; every other alert is blind.",
    ),
    Alert(
        name="unsafe_flag_combination",
        title="Unsafe flag combination",
        signal=FLAGS,
        severity=Severity.TICKET,
        threshold=_threshold_of(FLAGS),
        condition="flags are set so that one defeats another",
        consequence="The system does something that no one has asked for, or tested.",
    ),
)  # fmt: skip
