"""What is watched, said once: signals, their units, thresholds, windows and runbooks.

Every generator and every check reads it from here. A new signal is one :class:`Signal` and its page in docs/runbooks;
what tells somebody of it is in :mod:`dashboards.alerts`.
"""

from __future__ import annotations

from dataclasses import dataclass

ANALYTICS_SCHEMA = "analytics"
READER_ROLE = "analytics_reader"
"""The role that Grafana connects as; it reads the schema ``analytics`` and nothing else."""

VIEWS = (
    "alert_evaluations",
    "alert_history",
    "assignment_success_rate",
    "cutoff_triggers",
    "double_bookings",
    "error_budget_burn",
    "error_taxonomy",
    "hold_activity",
    "hold_enforcement",
    "hold_retry_exhaustion",
    "maintenance_periods",
    "metric_totals",
    "objective_counts",
    "open_flag_changes",
    "operational_changes",
    "pipeline_freshness",
    "pipeline_runs",
    "prometheus_series",
    "recent_latency_ms",
    "reservation_latency_ms",
    "restaurants_over_90_days",
    "unsafe_flag_combinations",
)
"""The views of the schema ``analytics`` that dashboards may read."""

RUNBOOK_BASE_URL = "https://holdwatch.example/docs/runbooks"
"""Where docs/runbooks is published, until HOLDWATCH_RUNBOOKS_URL says so: a placeholder, as in the committed files."""

EVALUATION_MINUTES = 5
"""How often alerts are evaluated unless a database says otherwise; a period of "two periods in a row" is this long."""

MINUTE_GRAIN_HOURS = 48
"""History that the views keep by the minute."""

HOUR_GRAIN_MAX_DAYS = 14
"""Longest time range drawn by the hour (336 points a series); longer ones are drawn by the day."""

HISTORY_DAYS = 90
"""History that the views keep by the hour and by the day."""


BUDGET_DAYS = 30
"""Over which the objective of success holds, and its error budget lasts."""

CUTOFF_KINDS = ("CUTOFF", "HOLD_RATE_LIMIT", "MANUAL")
"""The values of ``cutoff_triggers.cutoff_kind``."""


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
        heading: The anchor on that page that a panel links to.
        threshold: None where only people can judge.
    """

    name: str
    title: str
    view: str
    unit: str
    good: str
    runbook: str
    threshold: Threshold | None = None
    heading: str = "what-it-means"


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

ERROR_BUDGET = Signal(
    name="error_budget_burn",
    title="Error budget",
    view="error_budget_burn",
    unit="short",
    good="a burn of at most 1: at that pace the budget (5 % of the requests of 30 days) lasts the 30 days.",
    runbook="error-budget",
    threshold=Threshold(breach=1.0, recovery=1.0, is_bad_above=True),
)

FLAGS = Signal(
    name="flag_contradictions",
    title="Unsafe flag combinations",
    view="operational_changes",
    unit="short",
    good="0. Anything else means that two flags are set so that one defeats the other.",
    runbook="unsafe-flags",
    threshold=Threshold(breach=0.0, recovery=0.0, is_bad_above=True),
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

HOLDS = Signal(
    name="hold_activity",
    title="Holds and conflicts",
    view="hold_activity",
    unit="short",
    good="conflicts are refused, which is the guard at work; none is let through.",
    runbook="double-booking",
)

ENFORCEMENT = Signal(
    name="hold_enforcement",
    title="Strict conflicts",
    view="hold_enforcement",
    unit="short",
    good="on, for 100 % of the restaurants, and no live window beside the constraint.",
    runbook="double-booking",
)

CHANGES = Signal(
    name="operational_changes",
    title="Changes",
    view="operational_changes",
    unit="short",
    good="each has a reason, and somebody was told before.",
    runbook="unsafe-flags",
)

PIPELINE_RUNS = Signal(
    name="pipeline_runs",
    title="Pipeline runs",
    view="pipeline_runs",
    unit="s",
    good="the newest run of each job has succeeded; one that was blocked says by which rule, and what to do.",
    runbook="telemetry-stale",
)

ALERT_VERDICTS = Signal(
    name="alert_evaluations",
    title="Alerts",
    view="alert_evaluations",
    unit="short",
    good="nothing fires. What breaches has not yet done so often enough; each alert has its own page.",
    runbook="README",
    heading="runbooks",
)
"""All alerts together, which are no signal of their own: the index of the runbooks leads to the page of each."""

SIGNALS = (
    SUCCESS_RATE,
    LATENCY,
    RETRY_EXHAUSTION,
    CUTOFFS,
    ERRORS,
    DOUBLE_BOOKINGS,
    UNATTRIBUTED,
    ERROR_BUDGET,
    FLAGS,
    FRESHNESS,
    HOLDS,
    ENFORCEMENT,
    CHANGES,
    PIPELINE_RUNS,
)
