"""One drill from beginning to end: inject, wait until it is noticed, end it, wait until that is noticed too."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import psycopg

from holds_core.database.connections import connect
from holds_core.errors import HoldsError
from orchestration.drills.monitoring import Monitoring, monitoring
from orchestration.drills.regressions import DoubleBooking, FlagContradiction, Regression, SuccessDip

Drill = Literal["double-booking", "success-dip", "flag-contradiction"]

NOTIFIED_WITHIN_SECONDS = {"double-booking": 60.0}
"""From the commit to the notification, with Prometheus; of the others the periods decide."""

SILENT_PERIODS = 6
"""Periods for which an alert is watched that maintenance is to keep quiet."""

_POLL_SECONDS = 0.2
_PATIENCE_SECONDS = 90.0
"""Beyond the periods that something takes: for scrapes, groups, and a machine that is busy."""

Step = Literal["view", "breaching", "firing", "notified", "ended", "over", "resolved"]
STEPS: dict[Step, str] = {
    "view": "The view shows it",
    "breaching": "An evaluation breaches",
    "firing": "The alert fires",
    "notified": "Somebody is told",
    "ended": "The drill ends it",
    "over": "The alert is over",
    "resolved": "Somebody is told that it is over",
}
"""What each says of a drill, in words."""

OnStep = Callable[[Step, float], None]


class DrillError(HoldsError):
    """A drill cannot begin."""


@dataclass
class DrillReport:
    """What came of a drill.

    Attributes:
        drill: Its name.
        alert: The alert that was to notice.
        environment: Whose.
        period_seconds: The evaluation period meanwhile.
        is_in_maintenance: Whether it took place in known maintenance.
        with_prometheus: Whether Prometheus and Alertmanager took part.
        seconds: From the commit to each step.
        evaluations: Evaluations in a row that had breached when it fired; None where it did not.
        also_notified: Other alerts that were told of meanwhile.
        problems: What fell short.
    """

    drill: Drill
    alert: str
    environment: str
    period_seconds: int
    is_in_maintenance: bool
    with_prometheus: bool
    seconds: dict[Step, float] = field(default_factory=dict)
    evaluations: int | None = None
    also_notified: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON has it."""
        return asdict(self) | {"seconds": {step: round(seconds, 2) for step, seconds in self.seconds.items()}}


def run_drill(
    url: str,
    drill: Drill,
    *,
    period_seconds: int = 15,
    in_maintenance: bool = False,
    with_prometheus: bool = False,
    on_step: OnStep = lambda step, seconds: None,
    on_stage: Callable[[str], None] = lambda stage: None,
) -> DrillReport:
    """Run a drill on the database at ``url``, and put back what it changed, whatever happens.

    Args:
        url: As the owner, with the views built.
        drill: Which one.
        period_seconds: The evaluation period meanwhile.
        in_maintenance: Have the whole environment in known maintenance meanwhile.
        with_prometheus: Have Prometheus and Alertmanager notify, as in dashboards/prometheus/.
        on_step: Told of each step, and how many seconds after the commit it came.
        on_stage: Told what is being waited for.

    Raises:
        DrillError: It cannot begin; nothing was injected.
        ServiceError: Prometheus or Alertmanager does not run.
    """
    with ExitStack() as stack:
        connection = stack.enter_context(connect(url, application_name="holdwatch-drill"))
        # The verdict is asked for several times a second: planned once, it is read in a few milliseconds.
        connection.execute("set plan_cache_mode = force_generic_plan")
        regression = _regression(drill, connection, url, timedelta(seconds=period_seconds))
        environment = _require_ready(connection, regression.alert.name)
        report = DrillReport(drill, regression.alert.name, environment, period_seconds, in_maintenance, with_prometheus)
        run = _Run(connection, regression, report, on_step, on_stage)
        stack.enter_context(_alert_period(connection, period_seconds))
        if in_maintenance:
            stack.enter_context(_maintenance(connection))
            on_stage("the maintenance to cover a whole period")
            run.wait_for_maintenance()
        if with_prometheus:
            on_stage("Prometheus and Alertmanager to start")
            run.monitoring = stack.enter_context(monitoring(url))
        with ExitStack() as afterwards:
            afterwards.callback(regression.forget)
            afterwards.callback(regression.end)
            if in_maintenance and regression.alert.is_muted_by_maintenance:
                run.watch_silence()
            else:
                run.watch_detection()
                run.watch_recovery()
        run.judge()
    return report


def _regression(drill: Drill, connection: psycopg.Connection, url: str, period: timedelta) -> Regression:
    match drill:
        case "double-booking":
            return DoubleBooking(connection, url)
        case "success-dip":
            return SuccessDip(connection, period)
        case "flag-contradiction":
            return FlagContradiction(connection)


def _require_ready(connection: psycopg.Connection, alert: str) -> str:
    """Return the environment that the database serves, once it is made sure that the drill can begin."""
    if connection.execute("select to_regclass('analytics.alert_evaluations')").fetchone() == (None,):
        raise DrillError("There are no alerts to drill: the views are not built. Run: holdwatch pipeline run")
    require_alone(connection)
    row = connection.execute(
        "select settings.environment, evaluations.is_firing from holds.settings as settings"
        " inner join analytics.alert_evaluations as evaluations"
        " on evaluations.environment = settings.environment and evaluations.alert = %s",
        (alert,),
    ).fetchone()
    if row is None:
        raise DrillError(f"The alert {alert} has no verdict; is the schema up to date? Run: holdwatch db migrate")
    environment, is_firing = row
    if is_firing:
        raise DrillError(f"The alert {alert} is firing already: what it says is real. See docs/runbooks, then drill.")
    return str(environment)


def require_alone(connection: psycopg.Connection) -> None:
    """Keep other drills away for as long as the connection lasts.

    Raises:
        DrillError: One is at work.
    """
    if connection.execute("select pg_try_advisory_lock(hashtextextended('holdwatch.drill', 0))").fetchone() == (False,):
        raise DrillError("Another drill is at work on this database; wait until it is over.")


@contextmanager
def _alert_period(connection: psycopg.Connection, seconds: int) -> Iterator[None]:
    row = connection.execute("select alert_period_seconds from holds.settings").fetchone()
    assert row is not None
    connection.execute("select holds.set_alert_period(%s)", (seconds,))
    try:
        yield
    finally:
        connection.execute("select holds.set_alert_period(%s)", row)


@contextmanager
def _maintenance(connection: psycopg.Connection) -> Iterator[None]:
    window = connection.execute(
        "select holds.add_maintenance_window(null, clock_timestamp(), interval '1 hour', 'drill')"
    ).fetchone()
    try:
        yield
    finally:
        connection.execute("select holds.end_maintenance_window(%s)", window)


@dataclass
class _Run:
    """The run of one drill."""

    connection: psycopg.Connection
    regression: Regression
    report: DrillReport
    on_step: OnStep
    on_stage: Callable[[str], None]
    monitoring: Monitoring | None = None
    committed: float = 0.0
    since: datetime | None = None

    def wait_for_maintenance(self) -> None:
        """Wait until the newest period of every alert is in maintenance."""
        statement = "select from analytics.alert_evaluations where environment = %s and not is_in_maintenance"

        def is_covered() -> bool:
            return self.connection.execute(statement, (self.report.environment,)).fetchone() is None

        if not self._wait(is_covered, 3 * self.report.period_seconds + _PATIENCE_SECONDS):
            raise DrillError("The maintenance that the drill added does not show; nothing was injected.")

    def watch_detection(self) -> None:
        """Inject, and wait until somebody is told."""
        self._inject()
        alert = self.regression.alert
        self.on_stage("somebody to be told")
        patience = (alert.periods + 2) * self.report.period_seconds + _PATIENCE_SECONDS
        last: Step = "firing" if self.monitoring is None else "notified"
        self._wait(lambda: self._notice() and last in self.report.seconds, patience)
        if "firing" in self.report.seconds:
            self.report.evaluations = self._evaluations()

    def watch_recovery(self) -> None:
        """End it, and wait until that is noticed."""
        self.regression.end()
        self._step("ended")
        self.on_stage("the alert to be over")
        last: Step = "over" if self.monitoring is None else "resolved"
        patience = 5 * self.report.period_seconds + _PATIENCE_SECONDS
        self._wait(lambda: self._notice_the_end() and last in self.report.seconds, patience)

    def watch_silence(self) -> None:
        """Inject, and see that nobody is told for some periods."""
        self._inject()
        self.on_stage("nothing to happen")
        self._wait(
            lambda: self._notice() and "firing" in self.report.seconds, SILENT_PERIODS * self.report.period_seconds
        )
        self.regression.end()
        self._step("ended")

    def judge(self) -> None:
        """Say what fell short."""
        report, alert = self.report, self.regression.alert
        told = [] if self.monitoring is None else self.monitoring.told_firing()
        report.also_notified = sorted({one for one in told if one != self._rule()})
        is_muted = report.is_in_maintenance and alert.is_muted_by_maintenance
        expected: list[Step] = ["view"] if is_muted else ["view", "firing", "over"]
        if self.monitoring is not None and not is_muted:
            expected += ["notified", "resolved"]
        report.problems += [
            f"{STEPS[step]}: it did not come to that." for step in expected if step not in report.seconds
        ]
        if is_muted and "firing" in report.seconds:
            report.problems.append("It fired, in known maintenance.")
        if report.is_in_maintenance and report.also_notified:
            report.problems.append(f"In known maintenance these were told of: {', '.join(report.also_notified)}.")
        if is_muted and self._rule() in told:
            report.problems.append("Somebody was told, in known maintenance.")
        if report.evaluations is not None and report.evaluations != alert.periods:
            report.problems.append(f"It fired after {report.evaluations} evaluations, not {alert.periods}.")
        limit = NOTIFIED_WITHIN_SECONDS.get(report.drill)
        if limit is not None and report.seconds.get("notified", 0) > limit:
            report.problems.append(f"It took {report.seconds['notified']:.0f} s to notify, more than {limit:.0f} s.")

    def _inject(self) -> None:
        self.on_stage("the regression to be committed")
        row = self.connection.execute("select clock_timestamp()").fetchone()
        assert row is not None
        self.since = row[0] - timedelta(seconds=self.report.period_seconds)
        self.regression.inject()
        self.committed = time.monotonic()

    def _notice(self) -> bool:
        """Take note of each step that has come; return True."""
        seconds = self.report.seconds
        if "view" not in seconds and self.regression.is_in_view():
            self._step("view")
        if "firing" not in seconds:
            is_breaching, is_firing = self._verdict()
            if is_breaching and "breaching" not in seconds:
                self._step("breaching")
            if is_firing:
                self._step("firing")
            else:
                self.regression.keep_up()
        if "notified" not in seconds and self._is_told("firing"):
            self._step("notified")
        return True

    def _notice_the_end(self) -> bool:
        if "over" not in self.report.seconds and not self._verdict()[1]:
            self._step("over")
        if "resolved" not in self.report.seconds and self._is_told("resolved"):
            self._step("resolved")
        return True

    def _verdict(self) -> tuple[bool, bool]:
        row = self.connection.execute(
            "select is_breaching, is_firing from analytics.alert_evaluations where alert = %s and environment = %s",
            (self.report.alert, self.report.environment),
            prepare=True,
        ).fetchone()
        assert row is not None
        return bool(row[0]), bool(row[1])

    def _evaluations(self) -> int:
        """Return how many in a row had breached when it first fired."""
        row = self.connection.execute(
            "select consecutive_breaches from analytics.alert_history"
            " where alert = %s and environment = %s and is_firing and bucket_at > %s order by bucket_at limit 1",
            (self.report.alert, self.report.environment, self.since),
        ).fetchone()
        assert row is not None
        return int(row[0])

    def _is_told(self, status: Literal["firing", "resolved"]) -> bool:
        if self.monitoring is None:
            return False
        return self.monitoring.is_told(self._rule(), self.report.environment, status, since=self.committed)

    def _rule(self) -> str:
        from dashboards.generators.prometheus import rule_name  # noqa: PLC0415  optional

        return rule_name(self.regression.alert)

    def _step(self, step: Step) -> None:
        self.report.seconds[step] = time.monotonic() - self.committed
        self.on_step(step, self.report.seconds[step])

    def _wait(self, is_done: Callable[[], bool], seconds: float) -> bool:
        """Ask again and again, for a time at most; return whether it came true."""
        deadline = time.monotonic() + seconds
        while not is_done():
            if time.monotonic() > deadline:
                return False
            if self.monitoring is not None:
                self.monitoring.require_running()
            time.sleep(_POLL_SECONDS)  # a view tells nobody that it has changed
        return True
