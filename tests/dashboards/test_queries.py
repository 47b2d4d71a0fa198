"""Every panel's SQL runs on the real views, for every kind of choice, as the role that Grafana uses."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from dashboards.alerts import ALERTS
from dashboards.catalogue import SUCCESS_OBJECTIVE
from dashboards.checks.queries import QueryReport, QueryRun, queries_of, run_queries
from dashboards.errors import ReaderRoleError
from dashboards.generators import grafana_queries_operations as operations
from dashboards.generators import grafana_states as states
from holds_core.database.connections import connect
from tests.conftest import with_database
from tests.dashboards.seed import RESTAURANTS

Json = dict[str, Any]

# All queries of all pages are run once, on one of the workers.
pytestmark = pytest.mark.xdist_group("dashboard queries")

CASES = {
    "All",
    "(none) alone",
    "two restaurants",
    "an unknown name",
    "a name with a quote",
    "an injection attempt",
    "an unknown environment",
    "an injection as an environment",
}
HERE = CASES - {"an unknown environment", "an injection as an environment"}


def _run(
    report: QueryReport, place: str, case: str = "All", time_range: str = "24 hours", page: str = "overview"
) -> QueryRun:
    """The run of what stands at a place: ``7A`` is the query A of the panel 7."""
    (run,) = (
        run
        for run in report.runs
        if run.query.file == f"grafana/{page}.json"
        and (run.case, run.time_range) == (case, time_range)
        and place in (run.query.place, f"{run.query.place.removeprefix('panel ').split()[0]}{run.query.ref_id}")
    )
    return run


def _only(boards: dict[str, Json], *panel_ids: int) -> dict[str, Json]:
    """The overview with some of its panels, and no annotations."""
    board = copy.deepcopy(boards["grafana/overview.json"]) | {"annotations": {"list": []}}
    return {"grafana/overview.json": board | {"panels": [one for one in board["panels"] if one["id"] in panel_ids]}}


def _only_success(boards: dict[str, Json], change: Callable[[str], str]) -> dict[str, Json]:
    """The overview with one panel of one query, changed."""
    only = _only(boards, 7)
    (panel,) = only["grafana/overview.json"]["panels"]
    panel["targets"] = panel["targets"][:1]
    panel["targets"][0]["rawSql"] = change(panel["targets"][0]["rawSql"])
    return only


def test_every_query_runs_for_every_case(report: QueryReport, boards: dict[str, Json]) -> None:
    """No query fails or gives what Grafana cannot draw, whatever is chosen, in the range of each grain."""
    assert report.findings == ()
    for query in (query for file, board in boards.items() for query in queries_of(file, board)):
        runs = [run for run in report.runs if run.query == query]
        assert {run.case for run in runs} == CASES
        ranges = {run.time_range for run in runs if run.case == "All"}
        assert ranges == ({"24 hours", "7 days", "90 days"} if query.time_from is None else {query.time_from})


def test_every_query_shows_something_under_all(report: QueryReport) -> None:
    """On data of every kind each panel and variable shows a value, in the range of each grain."""
    # It is as of the pipeline's last pass, which was before anything was seeded.
    assert report.empty_under_all == ["grafana/restaurant.json, panel 19 'Beside all restaurants', query A"]
    # An alert that has nothing to compare has no value.
    for run in (run for run in report.runs if run.case == "All" and run.query.result != "alert"):
        is_filled = any(value is not None for row in run.rows for value in row[-1:])
        assert is_filled or "Beside all restaurants" in run.query.place, run.query.place


def test_all_is_one_series_and_restaurants_are_one_each(report: QueryReport) -> None:
    """The row for all restaurants is never mixed with the rows of single ones."""
    labels = {case: {row[1] for row in _run(report, "7A", case).rows} for case in CASES}

    assert labels["All"] == {"success"}
    assert labels["(none) alone"] == {"(none) success"}
    assert labels["two restaurants"] == {f"{restaurant} success" for restaurant in RESTAURANTS[:2]}
    assert labels["an injection attempt"] == labels["an injection as an environment"] == set()


@pytest.mark.parametrize(
    ("time_range", "seconds", "coarser"),
    [("24 hours", 60, 3600), ("7 days", 3600, 86400), ("90 days", 86400, 7 * 86400)],
)
def test_grain_follows_the_time_range(report: QueryReport, time_range: str, seconds: int, coarser: int) -> None:
    """Minutes within 48 hours, hours over a week, days over a quarter."""
    times = [row[0] for row in _run(report, "7A", time_range=time_range).rows]

    assert all(at.timestamp() % seconds == 0 for at in times)
    assert any(at.timestamp() % coarser for at in times)


def test_success_counts_each_request_once(report: QueryReport, seeded: psycopg.Connection) -> None:
    """The stat over 90 days is what plain counting over the events gives, and (none) is a part of it."""
    row = seeded.execute(
        "select (count(*) filter (where event_type like '%.assignment'))::float8 / count(*)"
        " from holds.observability_events where event_type like 'capacity.selector.%'"
        " and occurred_at >= date_trunc('day', now() - interval '90 days')"
    ).fetchone()

    assert row is not None
    assert _run(report, "1A", time_range="90 days").rows[0][0] == pytest.approx(row[0])


def test_cutoffs_are_zero_where_requests_came_in_and_none_struck(report: QueryReport) -> None:
    """Nothing happened, and nothing is known, look different."""
    by_restaurant = {row[0]: row[1:] for row in _run(report, "14A").rows}

    assert set(by_restaurant) == {*RESTAURANTS, "(none)"}
    assert by_restaurant["(none)"][:2] == (0, 0)
    assert by_restaurant["(none)"][2] == by_restaurant["(none)"][3] > 0
    assert by_restaurant[RESTAURANTS[0]][2] == 0


def test_shares_of_errors_add_up_to_one(report: QueryReport) -> None:
    """The taxonomy's shares are of what is shown."""
    for case in ("All", "two restaurants"):
        shares = [row[5] for row in _run(report, "15A", case).rows]
        assert sum(shares) == pytest.approx(1.0)


def test_double_booking_is_shown_whatever_is_chosen(report: QueryReport) -> None:
    """A choice of restaurants never hides one."""
    for case in HERE:
        assert _run(report, "4A", case).rows == ((1,),)
        assert [row[0] for row in _run(report, "16A", case).rows] == ["overlap"]


def test_double_bookings_of_a_restaurant_are_on_its_page(report: QueryReport) -> None:
    """There a choice does hide those of others."""
    of_two, of_none = (
        _run(report, "15A", case, page="restaurant").rows for case in ("two restaurants", "(none) alone")
    )

    assert [row[1] for row in of_two] == [RESTAURANTS[0]]
    assert [row[0] for row in of_none] == ["none: every table has one booking at a time"]


def test_alerts_have_a_tile_each_and_the_worst_come_first_in_their_table(report: QueryReport) -> None:
    """The seeded double booking fires at once, and is told of by state, not by colour alone."""
    tiles = dict(_run(report, "19A").rows)
    table = _run(report, "8A", page="pipeline").rows

    assert list(tiles) == [alert.title for alert in ALERTS]
    assert tiles["Double booking"] == operations.FIRING
    assert set(tiles.values()) <= set(states.ALERT)
    assert sorted(row[0] for row in table) == sorted(tiles)
    firing = [row[1] == operations.FIRING for row in table]
    assert firing == sorted(firing, reverse=True)


def test_an_environment_without_verdicts_says_so(report: QueryReport) -> None:
    """No verdict is another thing than all is well."""
    assert {row[1] for row in _run(report, "19A", "an unknown environment").rows} == {operations.UNKNOWN}


def test_conflicts_that_were_let_through_are_told_from_those_refused(
    report: QueryReport, seeded: psycopg.Connection
) -> None:
    """By restaurant they add up to the events."""
    row = seeded.execute(
        "select count(*) filter (where context ->> 'isShadow' is null), count(context ->> 'isShadow')"
        " from holds.observability_events where event_type = 'capacity.hold.strict_conflict'"
        " and occurred_at >= date_trunc('day', now() - interval '90 days')"
    ).fetchone()
    table = _run(report, "9A", time_range="90 days", page="holds").rows

    assert {row[0] for row in table} == set(RESTAURANTS)
    assert (sum(row[2] for row in table), sum(row[3] for row in table)) == row
    assert _run(report, "6A", time_range="90 days", page="holds").rows == ((sum(row[3] for row in table),),)


def test_error_budget_left_is_what_the_faults_of_30_days_leave(report: QueryReport, seeded: psycopg.Connection) -> None:
    """It is a share of what is allowed, so more faults than allowed are below 0."""
    left = _run(report, "20A").rows[0][0]
    row = seeded.execute(
        "select 1 - burn_rate from analytics.error_budget_burn where window_hours = 720 order by bucket_at desc limit 1"
    ).fetchone()

    assert row == (left,)
    assert left < 0
    assert [row[2] for row in _run(report, "23A").rows][-1] == left


def test_annotations_mark_what_people_did(report: QueryReport) -> None:
    """A deployment is a line, maintenance a region; what is for all concerns each restaurant."""
    for case in HERE:
        ((_, text, tags),) = _run(report, "annotation Deployments", case).rows
        assert text == "selector 2026.11.3 was deployed"
        assert tags == "deploy,release job"
        ((starts_at, ends_at, reason, _),) = _run(report, "annotation Maintenance", case).rows
        assert (ends_at - starts_at).total_seconds() == 300
        assert reason == "new disks"
    assert _run(report, "annotation Deployments", "an unknown environment").rows == ()


def test_alert_rules_ask_for_the_verdicts_of_sql(report: QueryReport, seeded: psycopg.Connection) -> None:
    """Each rule has one row for each environment: 1 where the alert fires, 0 otherwise."""
    firing: dict[str, int] = dict(
        seeded.execute("select alert, is_firing::integer from analytics.alert_evaluations").fetchall()
    )
    asked = {
        run.query.place.removeprefix("rule holdwatch-").replace("-", "_"): run.rows
        for run in report.runs
        if (run.query.result, run.query.ref_id) == ("alert", "firing")
    }

    assert set(asked) == {alert.name for alert in ALERTS}
    assert asked["double_booking"] == (("dev", 1),)
    for alert in ("success_rate_low", "unsafe_flag_combination"):
        assert asked[alert] == (("dev", firing[alert]),)


@pytest.mark.parametrize(
    ("sql", "check"),
    [
        ("select environment, value, threshold from analytics.alert_evaluations", "query-shape"),
        ("select environment, is_firing from analytics.alert_evaluations", "query-shape"),
        ("select environment, 1 as firing from analytics.alert_evaluations", "query-shape"),
        ("select environment, 1 as firing from analytics.alert_evaluations where alert = 'gone'", "alert-no-row"),
        ("select environment, 1 as firing from analytics.alert_verdicts", "missing-views"),
    ],
)
def test_rule_that_grafana_could_not_judge_by_is_found(
    seeded: psycopg.Connection, alerting: dict[str, Json], sql: str, check: str
) -> None:
    """Two numbers, none, two alerts under one name, no alert at all, no such view."""
    broken = copy.deepcopy(alerting["grafana-alerting/rules.yaml"])
    broken["groups"][0]["rules"] = broken["groups"][0]["rules"][:1]
    broken["groups"][0]["rules"][0]["data"][0]["model"]["rawSql"] = sql

    findings = run_queries(seeded, {}, {"rules.yaml": broken}).findings

    assert [finding.check for finding in findings] == [check]


@pytest.mark.parametrize(
    ("old", "new"),
    [("as text", "as words"), ('occurred_at as "time"', '1 as "time"'), ("concat_ws(': ', title, reason)", "1")],
)
def test_annotation_that_grafana_could_not_draw_is_found(
    seeded: psycopg.Connection, boards: dict[str, Json], old: str, new: str
) -> None:
    """It needs a time and a text."""
    (file, board), *_ = _only(boards).items()
    board["annotations"]["list"] = copy.deepcopy(boards[file]["annotations"]["list"][:1])
    target = board["annotations"]["list"][0]["target"]
    target["rawSql"] = target["rawSql"].replace(old, new)

    findings = run_queries(seeded, {file: board}).findings

    assert {(finding.check, finding.place) for finding in findings} == {("query-shape", "annotation Deployments")}


def test_empty_database_is_no_finding(
    views_template: Callable[[], str], boards: dict[str, Json], alerting: dict[str, Json]
) -> None:
    """Before the first event every query runs, what shows nothing is listed, and the best news is no empty table."""
    with connect(views_template()) as connection:
        empty = run_queries(connection, _only(boards, 1, 5, 7, 12, 15, 16, 17, 19, 20), alerting)

    assert empty.findings == ()
    assert any("panel 7 " in place for place in empty.empty_under_all)
    assert [row[0] for row in _run(empty, "16A").rows] == ["none: every table has one booking at a time"]


def test_worst_restaurants_are_judged_in_words(report: QueryReport) -> None:
    """Colour is not needed to tell good from bad."""
    rows = _run(report, "8A").rows

    assert {row[1] for row in rows} == {"below objective"}
    assert all(row[2] < SUCCESS_OBJECTIVE for row in rows)


BROKEN: dict[str, tuple[str, Callable[[str], str]]] = {
    "syntax": ("query-fails", lambda sql: sql.replace("select", "selekt", 1)),
    "forbidden table": ("query-fails", lambda sql: "select count(*) from holds.observability_events"),
    "writing": ("query-fails", lambda sql: "create temporary table x (a int)"),
    "mixed rows": (
        "query-shape",
        lambda sql: re.sub(r"case restaurant_key.*?end as metric", "'success' as metric", sql),
    ),
    "no order": ("query-shape", lambda sql: sql.replace("order by 1", "order by 1 desc")),
    "no time": ("query-shape", lambda sql: sql.replace('as "time"', 'as "at"')),
    "no numbers": ("query-shape", lambda sql: sql.replace("0) as value", "0) || '' as value")),
    "open to injection": (
        "query-injection",
        lambda sql: sql.replace("'__all__' in", "'x'') or true --' in"),
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_query_is_found(seeded: psycopg.Connection, boards: dict[str, Json], name: str) -> None:
    """The check names the panel and the case in which its query does not hold."""
    check, change = BROKEN[name]

    findings = run_queries(seeded, _only_success(boards, change)).findings

    assert {finding.check for finding in findings} == {check}
    assert all(finding.place.startswith("panel 7 ") for finding in findings)


def test_missing_views_are_one_finding(connection: psycopg.Connection, boards: dict[str, Json]) -> None:
    """A database without views is told once for each page, with the remedy, not once for each panel."""
    findings = run_queries(connection, boards).findings

    assert [finding.check for finding in findings] == ["missing-views"] * len(boards)
    assert any("analytics.double_bookings" in finding.problem for finding in findings)
    assert all("holdwatch pipeline run" in finding.remedy for finding in findings)


def test_login_that_may_not_act_as_reader_is_told_what_to_grant(
    seeded_url: str, seeded: psycopg.Connection, boards: dict[str, Json]
) -> None:
    """A login of few rights gets one line that says what is missing."""
    # Roles belong to the server, which other test runs may share.
    name = f"nobody_{uuid4().hex}"
    seeded.execute(f"create role {name}")
    try:
        with connect(with_database(seeded_url, seeded.info.dbname)) as connection:
            connection.execute(f"set session authorization {name}")
            with pytest.raises(ReaderRoleError, match="may not act as analytics_reader"):
                run_queries(connection, boards)
    finally:
        seeded.execute(f"drop role {name}")


def test_nothing_stays_changed(seeded: psycopg.Connection, boards: dict[str, Json]) -> None:
    """Afterwards the connection has its own role and may write again."""
    run_queries(seeded, _only_success(boards, str))

    row = seeded.execute("select current_user = session_user, current_setting('transaction_read_only')").fetchone()
    assert row == (True, "off")
