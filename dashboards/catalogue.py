"""What is watched, said once: signals, their units, thresholds, windows, alerts and runbooks.

Every generator and every check reads it from here. A new signal is one :class:`Signal` and its page in docs/runbooks.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

ANALYTICS_SCHEMA = "analytics"
READER_ROLE = "analytics_reader"
"""The role that Grafana connects as; it reads the schema ``analytics`` and nothing else."""

VIEWS = (
    "assignment_success_rate",
    "cutoff_triggers",
    "double_bookings",
    "error_taxonomy",
    "hold_retry_exhaustion",
    "pipeline_freshness",
    "reservation_latency_ms",
)
"""The views of the schema ``analytics`` that dashboards may read."""

RUNBOOK_BASE_URL = "https://holdwatch.example/docs/runbooks"
"""Where docs/runbooks is published. Grafana has it as a variable, so that it can be changed there as well."""

EVALUATION_MINUTES = 5
"""How often alerts are evaluated; a period of "two periods in a row" is this long."""

MINUTE_GRAIN_HOURS = 48
"""History that the views keep by the minute."""

HOUR_GRAIN_MAX_DAYS = 14
"""Longest time range drawn by the hour (336 points a series); longer ones are drawn by the day."""

HISTORY_DAYS = 90
"""History that the views keep by the hour and by the day."""


CUTOFF_KINDS = ("CUTOFF", "HOLD_RATE_LIMIT", "MANUAL")
"""The values of ``cutoff_triggers.cutoff_kind``."""


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
class Threshold:
    """Where a signal turns bad, and where it is good again.

    Attributes:
        breach: In the signal's unit; reaching past it is bad.
        recovery: On the good side of ``breach``, so that a value that wavers around one number does not flap.
        is_bad_above: Whether high values are the bad ones.
        minimum_sample: Requests below which nothing is concluded.
    """

    breach: float
    recovery: float
    is_bad_above: bool
    minimum_sample: int = 0

    def __post_init__(self) -> None:
        if self.breach != self.recovery and (self.recovery < self.breach) is not self.is_bad_above:
            raise ValueError(f"The recovery {self.recovery} is on the bad side of the breach {self.breach}.")


@dataclass(frozen=True)
class Signal:
    """One thing that is watched.

    Attributes:
        name: Stable, as the views and the alerts name it.
        title: As people read it.
        view: In the schema ``analytics``.
        unit: Grafana's identifier of the unit of the values.
        good: One sentence that says what good looks like; shown on every panel.
        runbook: The page in docs/runbooks, without its suffix.
        threshold: None where only people can judge.
    """

    name: str
    title: str
    view: str
    unit: str
    good: str
    runbook: str
    threshold: Threshold | None = None


@dataclass(frozen=True)
class Alert:
    """A rule that tells somebody.

    Attributes:
        name: As ``analytics.alert_evaluations.alert`` has it.
        title: As the one who is woken reads it.
        signal: What it watches.
        severity: Who is told.
        periods: Evaluations in a row that must breach before it fires.
        no_data: What missing data means.
        condition: When it fires, in words.
        consequence: Who is hurt, in words.
    """

    name: str
    title: str
    signal: Signal
    severity: Severity
    periods: int
    no_data: NoData
    condition: str
    consequence: str


SUCCESS_OBJECTIVE = 0.95
"""Share of requests that must get their tables, over 30 days."""

MINIMUM_SAMPLE = 20
"""Requests below which a ratio or a percentile says nothing."""

SUCCESS_RATE = Signal(
    name="assignment_success_rate",
    title="Success rate",
    view="assignment_success_rate",
    unit="percentunit",
    good="at least 95 % of requests get their tables. Below that guests are turned away; 97 % ends an alert.",
    runbook="success-rate",
    threshold=Threshold(breach=SUCCESS_OBJECTIVE, recovery=0.97, is_bad_above=False, minimum_sample=MINIMUM_SAMPLE),
)

LATENCY = Signal(
    name="reservation_latency_ms",
    title="Latency",
    view="reservation_latency_ms",
    unit="ms",
    good="P95 of the total stays under 3 s (3000 ms); 2.5 s ends an alert. Most of it should not be the planner.",
    runbook="latency",
    threshold=Threshold(breach=3000.0, recovery=2500.0, is_bad_above=True, minimum_sample=MINIMUM_SAMPLE),
)

RETRY_EXHAUSTION = Signal(
    name="hold_retry_exhaustion",
    title="Retry exhaustion",
    view="hold_retry_exhaustion",
    unit="percentunit",
    good="at most 1 % of requests run out of retries; usually none does.",
    runbook="retry-exhaustion",
    threshold=Threshold(breach=0.01, recovery=0.01, is_bad_above=True, minimum_sample=MINIMUM_SAMPLE),
)

CUTOFFS = Signal(
    name="cutoff_triggers",
    title="Cutoffs and manual steps",
    view="cutoff_triggers",
    unit="short",
    good="few, and no more than at this hour in other weeks (an alert needs 3 times the usual, and at least 5).",
    runbook="cutoffs",
)

ERRORS = Signal(
    name="error_taxonomy",
    title="Errors",
    view="error_taxonomy",
    unit="short",
    good="mostly conflicts, which are the guard at work; unclassified and connection errors are rare.",
    runbook="errors",
)

DOUBLE_BOOKINGS = Signal(
    name="double_bookings",
    title="Double bookings",
    view="double_bookings",
    unit="short",
    good="0. Anything else means that two bookings hold one table at the same time.",
    runbook="double-booking",
    threshold=Threshold(breach=0.0, recovery=0.0, is_bad_above=True),
)

UNATTRIBUTED = Signal(
    name="unattributed_share",
    title="Requests without a restaurant",
    view="assignment_success_rate",
    unit="percentunit",
    good="0 %, and never above 10 %: those requests are counted, but nobody is called about them.",
    runbook="unattributed",
    threshold=Threshold(breach=0.1, recovery=0.1, is_bad_above=True),
)

FRESHNESS = Signal(
    name="pipeline_freshness",
    title="Lag of telemetry",
    view="pipeline_freshness",
    unit="s",
    good="under 300 s while bookings come in. Older than that, everything else here is history.",
    runbook="telemetry-stale",
    threshold=Threshold(breach=300.0, recovery=300.0, is_bad_above=True),
)

SIGNALS = (
    SUCCESS_RATE,
    LATENCY,
    RETRY_EXHAUSTION,
    CUTOFFS,
    ERRORS,
    DOUBLE_BOOKINGS,
    UNATTRIBUTED,
    FRESHNESS,
)

ALERTS = (
    Alert(
        name="double_booking",
        title="Double booking",
        signal=DOUBLE_BOOKINGS,
        severity=Severity.PAGE,
        periods=1,
        no_data=NoData.OK,
        condition="two bookings hold one table at the same time",
        consequence="Two parties will stand at one table.",
    ),
    Alert(
        name="success_rate_low",
        title="Success rate low",
        signal=SUCCESS_RATE,
        severity=Severity.PAGE,
        periods=2,
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
        periods=2,
        no_data=NoData.NO_DATA,
        condition="the P95 of at least 20 requests is above 3 s; it recovers at 2.5 s",
        consequence="Guests wait, give up, and book again.",
    ),
    Alert(
        name="retry_exhaustion",
        title="Retry exhaustion",
        signal=RETRY_EXHAUSTION,
        severity=Severity.TICKET,
        periods=2,
        no_data=NoData.OK,
        condition="more than 1 % of at least 20 requests ran out of retries",
        consequence="Some guests are refused for contention alone.",
    ),
    Alert(
        name="cutoff_spike",
        title="Cutoff spike",
        signal=CUTOFFS,
        severity=Severity.TICKET,
        periods=2,
        no_data=NoData.OK,
        condition="cutoffs and manual steps are above 3 times the median of this hour over 4 weeks, and at least 5",
        consequence="Staff book by hand what the system should.",
    ),
    Alert(
        name="telemetry_stale",
        title="Telemetry stale",
        signal=FRESHNESS,
        severity=Severity.PAGE,
        periods=2,
        no_data=NoData.ALERTING,
        condition="holds are newer than the newest event by 5 minutes, or no pipeline run has ended for 15 minutes",
        consequence="Nobody can see whether guests are hurt; every other alert is blind.",
    ),
)
