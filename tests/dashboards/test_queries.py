"""Every panel's SQL runs on the real views, for every kind of choice, as the role that Grafana uses."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import psycopg
import pytest

import dashboards
from dashboards.catalogue import SUCCESS_OBJECTIVE
from dashboards.checks.queries import QueryReport, QueryRun, queries_of, run_queries
from dashboards.errors import ReaderRoleError
from holds_core.database.connections import connect
from tests.conftest import with_database
from tests.dashboards.seed import RESTAURANTS

Json = dict[str, Any]

CASES = {
    "All",
    "(none) alone",
    "two restaurants",
    "an unknown name",
    "a name with a quote",
    "an injection attempt",
}


@pytest.fixture(scope="module")
def boards() -> dict[str, Json]:
    """The generated dashboards."""
    return {file: json.loads(text) for file, text in dashboards.generate().items() if file.startswith("grafana/")}


@pytest.fixture(scope="module")
def report(seeded_url: str, boards: dict[str, Json]) -> QueryReport:
    """All queries, run once on the seeded database."""
    with connect(seeded_url) as connection:
        return run_queries(connection, boards)


def _runs(report: QueryReport, panel_id: int, ref_id: str, case: str, time_range: str = "24 hours") -> QueryRun:
    (run,) = (
        run
        for run in report.runs
        if run.query.place.startswith(f"panel {panel_id} ")
        and (run.query.ref_id, run.case, run.time_range) == (ref_id, case, time_range)
    )
    return run


def _only(boards: dict[str, Json], *panel_ids: int) -> dict[str, Json]:
    """The overview with some of its panels."""
    board = copy.deepcopy(boards["grafana/overview.json"])
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
        assert ranges == ({"24 hours", "7 days", "90 days"} if query.time_from is None else {"90d"})


def test_every_query_shows_something_under_all(report: QueryReport) -> None:
    """On data of every kind each panel and variable shows a value, in the range of each grain."""
    assert report.empty_under_all == []
    for run in (run for run in report.runs if run.case == "All"):
        assert any(value is not None for row in run.rows for value in row[-1:]), run.query.place


def test_all_is_one_series_and_restaurants_are_one_each(report: QueryReport) -> None:
    """The row for all restaurants is never mixed with the rows of single ones."""
    labels = {case: {row[1] for row in _runs(report, 7, "A", case).rows} for case in CASES}

    assert labels["All"] == {"success"}
    assert labels["(none) alone"] == {"(none) success"}
    assert labels["two restaurants"] == {f"{restaurant} success" for restaurant in RESTAURANTS[:2]}
    assert labels["an injection attempt"] == set()


@pytest.mark.parametrize(
    ("time_range", "seconds", "coarser"),
    [("24 hours", 60, 3600), ("7 days", 3600, 86400), ("90 days", 86400, 7 * 86400)],
)
def test_grain_follows_the_time_range(report: QueryReport, time_range: str, seconds: int, coarser: int) -> None:
    """Minutes within 48 hours, hours over a week, days over a quarter."""
    times = [row[0] for row in _runs(report, 7, "A", "All", time_range).rows]

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
    assert _runs(report, 1, "A", "All", "90 days").rows[0][0] == pytest.approx(row[0])


def test_cutoffs_are_zero_where_requests_came_in_and_none_struck(report: QueryReport) -> None:
    """Nothing happened, and nothing is known, look different."""
    by_restaurant = {row[0]: row[1:] for row in _runs(report, 14, "A", "All").rows}

    assert set(by_restaurant) == {*RESTAURANTS, "(none)"}
    assert by_restaurant["(none)"][:2] == (0, 0)
    assert by_restaurant["(none)"][2] == by_restaurant["(none)"][3] > 0
    assert by_restaurant[RESTAURANTS[0]][2] == 0


def test_shares_of_errors_add_up_to_one(report: QueryReport) -> None:
    """The taxonomy's shares are of what is shown."""
    for case in ("All", "two restaurants"):
        shares = [row[5] for row in _runs(report, 15, "A", case).rows]
        assert sum(shares) == pytest.approx(1.0)


def test_double_booking_is_shown_whatever_is_chosen(report: QueryReport) -> None:
    """A choice of restaurants never hides one."""
    for case in CASES:
        assert _runs(report, 4, "A", case).rows == ((1,),)
        assert [row[0] for row in _runs(report, 16, "A", case).rows] == ["overlap"]


def test_empty_database_is_no_finding(views_template: Callable[[], str], boards: dict[str, Json]) -> None:
    """Before the first event every query runs, what shows nothing is listed, and the best news is no empty table."""
    with connect(views_template()) as connection:
        empty = run_queries(connection, _only(boards, 1, 5, 7, 12, 15, 16, 17))

    assert empty.findings == ()
    assert any("panel 7 " in place for place in empty.empty_under_all)
    assert [row[0] for row in _runs(empty, 16, "A", "All").rows] == ["none: every table has one booking at a time"]


def test_worst_restaurants_are_judged_in_words(report: QueryReport) -> None:
    """Colour is not needed to tell good from bad."""
    rows = _runs(report, 8, "A", "All").rows

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
    "no order": ("query-shape", lambda sql: sql.replace("order by bucket_at", "order by bucket_at desc")),
    "no time": ("query-shape", lambda sql: sql.replace('as "time"', 'as "at"')),
    "no numbers": ("query-shape", lambda sql: sql.replace("success_ratio::float8", "success_ratio::text")),
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
    """A database without views is told once, with the remedy, not once for each panel."""
    (finding,) = run_queries(connection, boards).findings

    assert finding.check == "missing-views"
    assert "analytics.double_bookings" in finding.problem
    assert "holdwatch pipeline run" in finding.remedy


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
