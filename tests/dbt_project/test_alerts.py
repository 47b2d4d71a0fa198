"""What alerts go by, worked out from real events and hold tables; how they behave over time is in alert_cases.

Each test is one transaction, in which now() stands still: events can be put into the very period that is judged.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row

from dashboards.alerts import ALERTS

RESTAURANT, OTHER = UUID(int=1), UUID(int=2)
PERIOD = timedelta(minutes=5)

ASSIGNMENT, SKIPPED = "capacity.selector.assignment", "capacity.selector.skipped"


@dataclass
class Story:
    """Events told into one database, and what the alerts make of them."""

    connection: psycopg.Connection
    environment: str = "prod"
    period: timedelta = PERIOD
    newest: datetime = field(init=False)  # start of the period that has just ended

    def __post_init__(self) -> None:
        self.read_clock()

    def read_clock(self) -> None:
        row = self.connection.execute("select period_starts_at, period from analytics.int_alert_clock").fetchone()
        assert row is not None
        self.period, self.newest = row[1], row[0] - row[1]

    def tell(
        self,
        event_type: str,
        count: int = 1,
        *,
        at: datetime | None = None,
        restaurant: UUID | None = RESTAURANT,
        severity: str = "info",
        **context: object,
    ) -> None:
        """Record so many events, at the start of the newest period unless told otherwise."""
        at = self.newest if at is None else at
        # A partition of its day: in the template there are those of the whole history.
        self.connection.execute(
            "insert into holds.observability_events"
            " (occurred_at, environment, source, event_type, severity, restaurant_id, context)"
            " select %s, %s, 'test', %s, %s, %s, %s::jsonb from generate_series(1, %s)",
            (at, self.environment, event_type, severity, restaurant, json.dumps(context), count),
        )

    def verdict(self, alert: str, *, ago: int = 0) -> dict[str, object]:
        """Return the row of an alert: of the newest period that it is judged by, or of so many before that."""
        with self.connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(
                "select * from analytics.alert_history where alert = %s and environment = %s order by bucket_at desc",
                (alert, self.environment),
            ).fetchall()
            newest = cursor.execute(
                "select * from analytics.alert_evaluations where alert = %s and environment = %s",
                (alert, self.environment),
            ).fetchall()
        assert newest == rows[:1]
        return rows[ago]

    def value(self, alert: str) -> tuple[object, object]:
        """Return what an alert compares, and its sample."""
        row = self.verdict(alert)
        return row["value"], row["sample_count"]


@pytest.fixture
def story(views: psycopg.Connection) -> Story:
    """An empty database's story, in prod."""
    return Story(views)


def test_every_alert_has_a_verdict_before_there_is_any_event(views: psycopg.Connection) -> None:
    """A missing row says that the pipeline is broken, so none may be missing for want of events.

    Where the first run is under way (it has refreshed the rollups, and not ended) nothing fires; where none ever came
    so far, the silence does.
    """
    views.execute("update analytics.rollup_positions set refreshed_at = now() - interval '1 minute'")
    rows = views.execute(
        "select environment, alert, is_firing from analytics.alert_evaluations order by alert"
    ).fetchall()

    assert [row[:2] for row in rows] == sorted(("dev", alert.name) for alert in ALERTS)
    assert [alert for _, alert, is_firing in rows if is_firing] == []
    views.execute("delete from analytics.rollup_positions")
    firing = views.execute("select alert from analytics.alert_evaluations where is_firing").fetchall()
    assert firing == [("telemetry_stale",)]


def test_success_counts_neither_full_restaurants_nor_synthetic_load(story: Story) -> None:
    """A full house is no fault; a soak in prod wakes nobody; requests without a restaurant count."""
    for at in (story.newest - PERIOD, story.newest, story.newest + PERIOD):
        story.tell(ASSIGNMENT, 17, at=at)
        story.tell(ASSIGNMENT, 1, at=at, restaurant=None)
        story.tell(SKIPPED, 1, at=at, skipReason="attempts_exhausted")
        story.tell(SKIPPED, 1, at=at)
        story.tell(SKIPPED, 30, at=at, skipReason="no_capacity")
        story.tell(SKIPPED, 50, at=at, skipReason="error", soakId="one")
    before, newest = story.verdict("success_rate_low", ago=1), story.verdict("success_rate_low")

    assert newest["bucket_at"] == story.newest, "the period that is not over is not judged"
    assert (newest["value"], newest["sample_count"], newest["threshold"]) == (0.9, 20, 0.95)
    assert (before["consecutive_breaches"], before["is_firing"]) == (1, False)
    assert (newest["consecutive_breaches"], newest["is_firing"]) == (2, True)


def test_synthetic_load_counts_in_dev(views: psycopg.Connection) -> None:
    """There it is what one looks at."""
    story = Story(views, environment="dev")
    story.tell(ASSIGNMENT, 10, soakId="one")
    story.tell(SKIPPED, 10, soakId="one", skipReason="error")

    assert story.value("success_rate_low") == (0.5, 20)


def test_shares_are_of_what_they_say(story: Story) -> None:
    """Exhaustion and missing restaurants are of requests, unclassified errors of errors."""
    story.tell(ASSIGNMENT, 24, timing={"totalMs": 10})
    story.tell(ASSIGNMENT, 8, restaurant=None)
    story.tell(SKIPPED, 8, skipReason="no_capacity", retryExhausted=True)
    story.tell("capacity.rpc.conflict", 30, severity="warning", code="23P01")
    story.tell("something.new", 10, severity="error")

    assert story.value("retry_exhaustion") == (0.2, 40)
    assert story.value("unattributed_share") == (0.2, 40)
    assert story.value("unclassified_errors") == (0.25, 40)


@pytest.mark.parametrize("period_seconds", [300, 15])
def test_latency_is_the_nearest_rank_of_all_restaurants_together(story: Story, period_seconds: int) -> None:
    """From the rollups' sketches, and from the newest events where the period is too short for those."""
    story.connection.execute("update holds.settings set alert_period_seconds = %s", (period_seconds,))
    story.read_clock()
    latencies = [1.05**n for n in range(40)]
    for number, latency in enumerate(latencies):
        story.tell(ASSIGNMENT, restaurant=(RESTAURANT, OTHER, None)[number % 3], timing={"totalMs": latency})
    story.tell(ASSIGNMENT, 100, timing={"totalMs": 90_000}, soakId="one")
    value, sample = story.value("latency_p95_high")

    assert value == pytest.approx(latencies[ceil(0.95 * 40) - 1], rel=0.01)
    assert sample == 40


def test_a_short_period_is_counted_from_the_newest_events(story: Story) -> None:
    """As drills have it: a quarter of a minute, with the same meaning."""
    story.connection.execute("update holds.settings set alert_period_seconds = 15")
    story.read_clock()
    for number in range(2):
        at = story.newest - number * story.period
        story.tell(ASSIGNMENT, 10, at=at)
        story.tell(SKIPPED, 10, at=at + story.period - timedelta(microseconds=1), restaurant=None)
    verdict = story.verdict("success_rate_low")

    assert (verdict["value"], verdict["sample_count"], verdict["is_firing"]) == (0.5, 20, True)
    assert story.value("unattributed_share") == (0.5, 20)


def test_maintenance_of_a_restaurant_takes_its_share_away(story: Story) -> None:
    """The others are judged as if it were not there."""
    story.tell(ASSIGNMENT, 30, timing={"totalMs": 100})
    story.tell(SKIPPED, 30, restaurant=OTHER, skipReason="error", timing={"totalMs": 9000})
    assert story.value("success_rate_low") == (0.5, 60)
    story.connection.execute(
        "select holds.add_maintenance_window('prod', %s, '1 hour', 'new kitchen', %s)", (story.newest, OTHER)
    )
    verdict = story.verdict("success_rate_low")

    assert (verdict["value"], verdict["sample_count"], verdict["is_in_maintenance"]) == (1.0, 30, False)
    value, sample = story.value("latency_p95_high")
    assert (value, sample) == (pytest.approx(100, rel=0.01), 30)


def test_maintenance_of_another_time_environment_or_restaurant_changes_nothing(story: Story) -> None:
    """Only what it is of, while it lasts, is left out of what alerts judge by."""
    story.tell(ASSIGNMENT, 15, timing={"totalMs": 100})
    story.tell(SKIPPED, 15, restaurant=None, skipReason="error", timing={"totalMs": 9000})
    long_ago, elsewhere = story.newest - timedelta(days=2), UUID(int=3)
    for environment, starts_at, restaurant in (
        ("prod", long_ago, None),
        ("dev", story.newest, None),
        ("prod", story.newest, elsewhere),
        ("dev", story.newest, OTHER),
    ):
        story.connection.execute(
            "select holds.add_maintenance_window(%s, %s, '1 hour', 'upgrade', %s)", (environment, starts_at, restaurant)
        )
    latency, sample = story.value("latency_p95_high")

    assert story.value("success_rate_low") == (0.5, 30)
    assert (latency, sample) == (pytest.approx(9000, rel=0.01), 30)


def test_maintenance_of_everything_mutes_all_but_double_bookings(story: Story) -> None:
    """And what went wrong within it spends no error budget afterwards."""
    story.tell(SKIPPED, 100, skipReason="error")
    story.tell("capacity.hold.double_booking", severity="critical")
    assert story.verdict("fast_burn")["value"] == pytest.approx(20)
    story.connection.execute("select holds.add_maintenance_window('prod', %s, '5 minutes', 'upgrade')", (story.newest,))
    success, pair = story.verdict("success_rate_low"), story.verdict("double_booking", ago=1)

    assert success["is_in_maintenance"]
    assert story.value("success_rate_low") == (None, 0)
    assert story.value("fast_burn") == (0, 0)
    assert (pair["value"], pair["is_in_maintenance"], pair["is_firing"]) == (1, True, True)


def test_budgets_burn_by_both_of_their_windows(story: Story) -> None:
    """A long window that is bad, and a short one that is bad still: 5 % of faults are allowed."""
    ends_at = story.newest + PERIOD
    for hours in (1, 5, 60):
        story.tell(ASSIGNMENT, 90, at=ends_at - timedelta(hours=hours))
        story.tell(SKIPPED, 10, at=ends_at - timedelta(hours=hours), skipReason="error")
    assert story.value("fast_burn") == (0, 100), "nothing happened in the last five minutes"
    story.tell(SKIPPED, 100, skipReason="error")

    assert story.value("fast_burn") == (pytest.approx(110 / 200 / 0.05), 200)
    assert story.value("slow_burn") == (pytest.approx(120 / 300 / 0.05), 300)
    assert story.value("budget_burn") == (pytest.approx(130 / 400 / 0.05), 400)


def test_cutoffs_are_beside_the_usual_of_their_hour(story: Story) -> None:
    """Three times the median of this hour on the days before; nothing is usual within the first week."""
    ends_at = story.newest + PERIOD
    this_hour = (ends_at - timedelta(minutes=30)).replace(minute=0, second=0, microsecond=0)
    story.tell("capacity.manual.validate", 7, at=ends_at - timedelta(minutes=40))
    for days in range(1, 7):
        story.tell("capacity.manual.validate", 2, at=this_hour - timedelta(days=days))
    assert story.value("cutoff_spike") == (None, 7)
    for days, count in ((7, 2), (8, 2), (9, 400)):
        story.tell("capacity.manual.validate", count, at=this_hour - timedelta(days=days))
    verdict = story.verdict("cutoff_spike")

    assert (verdict["value"], verdict["threshold"], verdict["is_breaching"]) == (7, 6, True)


def test_holds_without_events_are_a_silence(views: psycopg.Connection) -> None:
    """The hold tables say what the events should have."""
    story = Story(views, environment="dev")
    now = datetime.now(UTC)
    story.tell("pipeline.run.succeeded", at=now - timedelta(minutes=1), restaurant=None)
    story.tell(ASSIGNMENT, at=now - timedelta(minutes=20))
    assert story.value("telemetry_stale") == (0, None)
    views.execute(
        "select holds.create_table_hold(%s, array[gen_random_uuid()], now() + interval '1 day',"
        " now() + interval '26 hours', 'key')",
        (RESTAURANT,),
    )
    assert story.value("telemetry_stale") == (0, None), "its own event is there"
    views.execute("delete from holds.observability_events where event_type = 'capacity.hold.created'")

    assert story.value("telemetry_stale")[0] == pytest.approx(20 * 60, abs=60)
    assert story.verdict("telemetry_stale")["consecutive_breaches"] == 1


def test_a_pipeline_that_does_not_run_is_a_silence(views: psycopg.Connection) -> None:
    """After a quarter of an hour, in every period since; a run that failed was a run."""
    story = Story(views, environment="dev")
    views.execute("update analytics.rollup_positions set refreshed_at = now() - interval '16 minutes'")
    assert story.value("telemetry_stale")[0] == pytest.approx(16 * 60, abs=60), "a first run that never ended"
    story.tell("pipeline.run.failed", at=datetime.now(UTC) - timedelta(minutes=26), restaurant=None)
    verdict = story.verdict("telemetry_stale")
    assert verdict["value"] == pytest.approx(26 * 60, abs=60)
    # 11 minutes too long: the period at hand, and those two that ended since.
    assert verdict["consecutive_breaches"] in (3, 4)
    assert verdict["is_firing"]
    story.tell("pipeline.run.succeeded", at=datetime.now(UTC), restaurant=None)

    assert story.value("telemetry_stale") == (0, None)


def test_double_bookings_are_judged_at_once_and_from_the_hold_tables(views: psycopg.Connection) -> None:
    """No event has to say so, and no period to end."""
    story = Story(views, environment="dev")
    views.execute("select holds.set_restaurant_enforcement(%s, false, 'drill')", (RESTAURANT,))
    table, hold = (
        UUID(int=7),
        "holds.create_table_hold(%s, array[%s], now() + interval '1 day', now() + interval '26 hours', %s)",
    )
    first, second = (
        views.execute(
            f"select (made).hold_id from (select {hold} as made) as held", (RESTAURANT, table, key)
        ).fetchone()
        for key in ("one", "two")
    )
    assert first is not None
    assert second is not None
    verdict = story.verdict("double_booking")

    assert (verdict["value"], verdict["is_firing"]) == (1, True)
    views.execute("select holds.detect_double_bookings()")
    views.execute("select holds.release_table_hold(%s)", second)
    assert story.verdict("double_booking")["is_firing"], "it was found in this period, and goes on firing"


def test_flag_contradictions_stand_for_an_hour(story: Story) -> None:
    """They are recorded once, when something meets them."""
    ends_at = story.newest + PERIOD
    story.tell("capacity.flags.contradiction", at=ends_at - timedelta(minutes=59), restaurant=None, severity="warning")
    story.tell("capacity.flags.contradiction", at=ends_at - timedelta(minutes=61), restaurant=None, severity="warning")
    verdict = story.verdict("unsafe_flag_combination")

    assert (verdict["value"], verdict["is_firing"]) == (1, True)


def test_a_flag_contradiction_needs_two_periods_however_short(story: Story) -> None:
    """Those before it do not see it; a restaurant's own leaves with its maintenance, as a drill's does."""
    story.connection.execute("update holds.settings set alert_period_seconds = 15")
    story.read_clock()
    story.tell("capacity.flags.contradiction", at=story.newest + timedelta(seconds=14), severity="warning")
    verdict, before = (story.verdict("unsafe_flag_combination", ago=ago) for ago in (0, 1))
    assert (verdict["value"], verdict["consecutive_breaches"], verdict["is_firing"]) == (1, 1, False)
    assert (before["value"], before["is_breaching"]) == (0, False)
    story.connection.execute(
        "select holds.add_maintenance_window('prod', %s, '1 minute', 'drill', %s)", (story.newest, RESTAURANT)
    )

    assert story.value("unsafe_flag_combination") == (0, None)
