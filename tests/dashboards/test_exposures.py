"""What dbt says of the dashboards is what they read, so that who changes a view sees whom it concerns."""

from __future__ import annotations

from typing import Any

import yaml

from dashboards.checks.lint import relations, variables_in
from dashboards.checks.queries import alert_queries_of, queries_of
from dashboards.report import queries as report_queries
from orchestration.paths import DBT_PROJECT_DIR

EXPOSURES = DBT_PROJECT_DIR / "models" / "views" / "_views__exposures.yml"


def _exposed() -> dict[str, set[str]]:
    exposures = yaml.safe_load(EXPOSURES.read_text("utf-8"))["exposures"]
    return {
        exposure["name"]: {ref.removeprefix("ref('").removesuffix("')") for ref in exposure["depends_on"]}
        for exposure in exposures
    }


def _read(statements: list[str]) -> set[str]:
    return {name.removeprefix("analytics.") for statement in statements for name in relations(statement)}


def test_exposures_of_pages_are_what_they_read(boards: dict[str, dict[str, Any]]) -> None:
    """Panels, annotations and variables alike; no page without its exposure, and none without its page."""
    exposed = _exposed()
    pages = {board["uid"].replace("holdwatch-", "operations_"): board for board in boards.values()}

    assert set(pages) == {name for name in exposed if name.startswith("operations_")}
    for name, board in pages.items():
        variables = [one["query"] for one in variables_in(board) if one["type"] == "query"]
        assert _read([*(query.sql for query in queries_of(name, board)), *variables]) == exposed[name], name


def test_exposure_of_the_alert_rules_is_what_they_read(alerting: dict[str, dict[str, Any]]) -> None:
    """They read the verdicts alone."""
    statements = [query.sql for file, content in alerting.items() for query in alert_queries_of(file, content)]

    assert _read(statements) == _exposed()["grafana_alerts"]


def test_exposure_of_the_report_is_what_it_reads() -> None:
    """All of its statements are in one module."""
    statements = [text for name, text in vars(report_queries).items() if name.isupper()]

    assert len(statements) > 5
    assert _read(statements) == _exposed()["report"]
