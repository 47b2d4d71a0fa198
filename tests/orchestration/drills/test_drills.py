"""Drills on real databases: what they inject is noticed as it should be, and nothing of it stays behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from holds_core.database.connections import connect
from orchestration.drills.monitoring import missing_tool

PERIOD = 5
PROGRAM = "from orchestration.cli import main; main()"

# What a release with a mistake in it would judge by.
SPOILT_RULES = """
create or replace view analytics.alert_rules as
select alert, severity, breach, recovery, is_bad_above, minimum_sample, minimum_faults, {periods} as periods_to_fire,
    periods_kept_firing, {muted} as is_muted_by_maintenance
from ({rules}) as rules
"""


@dataclass
class Drilling:
    """One ``holdwatch drill`` at work on a database of its own."""

    url: str
    process: subprocess.Popen[str]

    @classmethod
    def start(cls, url: str, *arguments: str, **variables: str) -> Drilling:
        environment = os.environ | {"HOLDWATCH_DATABASE_URL": url} | variables
        command = [sys.executable, "-c", PROGRAM, "drill", *arguments]
        process = subprocess.Popen(
            command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        return cls(url, process)

    def end(self) -> tuple[int, str, str]:
        """Wait for it; return its exit status, and what it printed on standard output and error."""
        out, err = self.process.communicate(timeout=280)
        return self.process.returncode, out, err

    def report(self, *, status: int = 0) -> dict[str, Any]:
        """Wait for it, and return its report."""
        returned, out, err = self.end()
        assert returned == status, out + err
        report: dict[str, Any] = json.loads(out)
        return report


def spoil(url: str, *, periods: str = "periods_to_fire", muted: str = "is_muted_by_maintenance") -> None:
    with connect(url) as connection:
        row = connection.execute("select pg_get_viewdef('analytics.alert_rules'::regclass)").fetchone()
        assert row is not None
        rules = str(row[0]).rstrip().removesuffix(";")
        connection.execute(SPOILT_RULES.format(periods=periods, muted=muted, rules=rules))


@pytest.fixture(scope="module")
def drillings(small_views_template: Callable[[], str]) -> dict[str, Drilling]:
    """All at once, each on a database of its own: what takes time is waiting for periods to end."""
    urls = {
        name: small_views_template()
        for name in ("double booking", "dip", "dip muted", "flags", "hasty dip", "loud flags")
    }
    spoil(urls["hasty dip"], periods="1")
    spoil(urls["loud flags"], muted="false")
    arguments = {
        "double booking": ("double-booking",),
        "dip": ("success-dip",),
        "dip muted": ("success-dip", "--maintenance"),
        "flags": ("flag-contradiction",),
        "hasty dip": ("success-dip",),
        "loud flags": ("flag-contradiction", "--maintenance"),
    }
    return {
        name: Drilling.start(url, *arguments[name], "--period", str(PERIOD), "--json") for name, url in urls.items()
    }


@pytest.fixture(scope="module")
def reports(drillings: dict[str, Drilling]) -> dict[str, dict[str, Any]]:
    """What the drills said; those on spoilt databases fall short."""
    return {
        name: drilling.report(status=1 if name in ("hasty dip", "loud flags") else 0)
        for name, drilling in drillings.items()
    }


def one(url: str, statement: str) -> Any:
    with connect(url) as connection:
        row = connection.execute(statement).fetchone()
    assert row is not None
    return row[0] if len(row) == 1 else row


def verdict(url: str, alert: str) -> Any:
    """The value and whether it fires, by the usual period."""
    return one(url, f"select value, is_firing from analytics.alert_evaluations where alert = '{alert}'")


def test_a_double_booking_is_noticed_at_once_and_released(
    reports: dict[str, dict[str, Any]], drillings: dict[str, Drilling]
) -> None:
    """Without waiting for a period to end; holds, override and period are as they were."""
    report, url = reports["double booking"], drillings["double booking"].url

    assert report["seconds"]["view"] <= report["seconds"]["firing"] < PERIOD
    assert report["evaluations"] == 1
    assert one(url, "select count(*), count(*) filter (where status = 'released') from holds.table_holds") == (2, 2)
    assert one(url, "select is_strict from holds.restaurant_settings") is None
    assert one(url, "select alert_period_seconds from holds.settings") == 300
    assert verdict(url, "double_booking") == (0, False)
    marked = "select bool_and(context ? 'drillId') from holds.observability_events where event_type like '%.hold.%'"
    assert one(url, marked) is True


def test_a_dip_fires_after_exactly_two_evaluations_and_is_over_after_its_time(
    reports: dict[str, dict[str, Any]], drillings: dict[str, Drilling]
) -> None:
    """A period apart; and by the usual period nobody is called for what the drill did."""
    report, url = reports["dip"], drillings["dip"].url
    seconds = report["seconds"]

    assert report["evaluations"] == 2
    assert list(seconds) == ["view", "breaching", "firing", "ended", "over"]
    assert seconds["firing"] - seconds["breaching"] == pytest.approx(PERIOD, abs=2)
    assert seconds["over"] - seconds["firing"] == pytest.approx(3 * PERIOD, abs=2), "a quiet period, and two kept"
    assert one(url, "select count(*) from holds.observability_events where context ? 'drillId'") == 44
    assert verdict(url, "success_rate_low") == (None, False)
    assert verdict(url, "fast_burn") == (0, False)


def test_two_flags_are_noticed_after_two_evaluations_and_forgotten(
    reports: dict[str, dict[str, Any]], drillings: dict[str, Drilling]
) -> None:
    """What stands for an hour otherwise ends with the drill; that it was counted stays."""
    report, url = reports["flags"], drillings["flags"].url

    assert report["evaluations"] == 2
    assert verdict(url, "unsafe_flag_combination") == (0, False)
    assert one(url, "select total from analytics.metric_totals where metric = 'flag_contradictions'") == 1


def test_maintenance_keeps_a_dip_quiet(reports: dict[str, dict[str, Any]], drillings: dict[str, Drilling]) -> None:
    """For as many periods as would have fired three times over; the maintenance ends with the drill."""
    report, url = reports["dip muted"], drillings["dip muted"].url

    assert list(report["seconds"]) == ["view", "ended"]
    assert report["seconds"]["ended"] > 6 * PERIOD - 1
    assert report["problems"] == []
    running = "select count(*) from holds.list_maintenance_windows() where restaurant_id is null"
    assert one(url, running) == 0


def test_a_drill_finds_rules_that_are_wrong(reports: dict[str, dict[str, Any]]) -> None:
    """A drill that cannot fall short shows nothing."""
    assert reports["hasty dip"]["problems"] == ["It fired after 1 evaluations, not 2."]
    assert reports["loud flags"]["problems"] == ["It fired, in known maintenance."]


def test_an_interrupted_drill_puts_everything_back(small_views_template: Callable[[], str]) -> None:
    """A Ctrl-C while the regression stands."""
    url = small_views_template()
    drilling = Drilling.start(url, "success-dip", "--period", "60")
    assert drilling.process.stderr is not None
    assert "view" in drilling.process.stderr.readline()
    assert one(url, "select alert_period_seconds from holds.settings") == 60
    drilling.process.send_signal(signal.SIGINT)
    status, _, err = drilling.end()

    assert (status, err.strip().splitlines()[-1]) == (130, "holdwatch: Interrupted.")
    assert one(url, "select alert_period_seconds from holds.settings") == 300
    window = "select reason, restaurant_id is not null, lasts < interval '1 minute' from holds.maintenance_windows"
    assert one(url, window) == ("drill success-dip", True, True)


def test_a_drill_that_cannot_begin_says_why_and_changes_nothing(
    small_views_template: Callable[[], str], new_database: Callable[..., str], small_template: str
) -> None:
    """Views that are not built, prod, a period that is none, another drill, an alert that is real."""
    url, bare = small_views_template(), new_database(small_template)
    with connect(url) as connection:
        connection.execute("select pg_advisory_lock(hashtextextended('holdwatch.drill', 0))")
        refused = {
            "the views are not built": Drilling.start(bare, "double-booking"),
            "does not run in prod unless you add --allow-prod": Drilling.start(
                url, "double-booking", HOLDWATCH_ENVIRONMENT="prod"
            ),
            "7 seconds are no part of a minute": Drilling.start(url, "double-booking", "--period", "7"),
            "at least so many with --prometheus": Drilling.start(url, "success-dip", "--period", "5", "--prometheus"),
            "Another drill is at work": Drilling.start(url, "double-booking"),
        }
        for said, drilling in refused.items():
            status, out, err = drilling.end()
            assert status in (1, 2), said
            assert said in " ".join(err.replace("│", " ").split()), err
            assert out == ""
        connection.execute("select pg_advisory_unlock_all()")
        double_book(connection)
        status, _, err = Drilling.start(url, "double-booking").end()
        assert (status, "is firing already" in err) == (1, True)
        assert connection.execute("select count(*) from holds.table_holds").fetchone() == (2,)
        assert connection.execute("select alert_period_seconds from holds.settings").fetchone() == (300,)


def double_book(connection: psycopg.Connection) -> None:
    restaurant = "'00000000-0000-4000-8000-000000000001'"
    connection.execute(f"select holds.set_restaurant_enforcement({restaurant}, false, 'test')")
    for key in ("one", "two"):
        connection.execute(
            f"select holds.create_table_hold({restaurant}, array[{restaurant}::uuid], now() + interval '1 day',"
            f" now() + interval '26 hours', '{key}')"
        )


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(missing_tool() is not None, reason=f"Prometheus is missing: {missing_tool()}")
def test_prometheus_and_alertmanager_tell_of_it_and_that_it_is_over(small_views_template: Callable[[], str]) -> None:
    """The committed rules and routes, over what is scraped: told within a minute, and in maintenance not at all."""
    drillings = {
        name: Drilling.start(small_views_template(), *name.split(), "--prometheus", "--json")
        for name in ("double-booking", "success-dip", "success-dip --maintenance", "double-booking --maintenance")
    }
    reports = {name: drilling.report() for name, drilling in drillings.items()}

    for name in ("double-booking", "double-booking --maintenance"):
        assert reports[name]["seconds"]["notified"] < 60
        assert "resolved" in reports[name]["seconds"]
    assert reports["double-booking --maintenance"]["also_notified"] == []
    assert reports["success-dip"]["evaluations"] == 2
    assert list(reports["success-dip"]["seconds"])[-2:] == ["over", "resolved"]
    assert list(reports["success-dip --maintenance"]["seconds"]) == ["view", "ended"]
    assert reports["success-dip --maintenance"]["also_notified"] == []
