"""Each rule of the dashboards' lint fires on what it is for, and on nothing that is generated."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dashboards
from dashboards.checks import CHECKS, Finding, Material
from dashboards.checks.lint import lint_dashboard, place_of, relations
from dashboards.checks.runbooks import anchors
from dashboards.files import DASHBOARDS_DIR
from dashboards.generators.grafana_page import PAGES
from orchestration.paths import PROJECT_ROOT

RUNBOOKS = PROJECT_ROOT / "docs" / "runbooks"

Json = dict[str, Any]


@pytest.fixture(scope="module")
def overview() -> Json:
    """The generated overview."""
    parsed: Json = json.loads(dashboards.generate()["grafana/overview.json"])
    return parsed


def _panel(dashboard: Json, panel_id: int) -> Json:
    panel: Json = next(panel for panel in dashboard["panels"] if panel["id"] == panel_id)
    return panel


def _set_sql(sql: str) -> Callable[[Json], None]:
    def mutate(dashboard: Json) -> None:
        _panel(dashboard, 1)["targets"][0]["rawSql"] = sql

    return mutate


def _annotation(dashboard: Json) -> Json:
    annotation: Json = dashboard["annotations"]["list"][0]
    return annotation


def _change_cell_link(dashboard: Json, old: str, new: str) -> None:
    """Of the worst restaurants, whose names lead to their page."""
    for override in _panel(dashboard, 8)["fieldConfig"]["overrides"]:
        for setting in override["properties"]:
            if setting["id"] == "links":
                assert old in setting["value"][0]["url"]
                setting["value"][0]["url"] = setting["value"][0]["url"].replace(old, new)


def _set_variable_sql(dashboard: Json) -> None:
    next(one for one in dashboard["templating"]["list"] if one["name"] == "restaurant")["query"] = (
        "select 1 from holds.x"
    )


def _set_override_unit(dashboard: Json) -> None:
    _panel(dashboard, 15)["fieldConfig"]["overrides"][0]["properties"][0]["value"] = "furlongs"


MUTATIONS: dict[str, tuple[str, Callable[[Json], object]]] = {
    "no uid": ("missing-uid", lambda board: board.pop("uid")),
    "old schema": ("schema-version", lambda board: board.update(schemaVersion=36)),
    "same id": ("duplicate-id", lambda board: _panel(board, 2).update(id=1)),
    "no id": ("duplicate-id", lambda board: _panel(board, 2).pop("id")),
    "too wide": ("off-grid", lambda board: _panel(board, 6)["gridPos"].update(w=7)),
    "no place": ("off-grid", lambda board: _panel(board, 6).pop("gridPos")),
    "overlap": ("overlapping-panels", lambda board: _panel(board, 2)["gridPos"].update(x=3)),
    "no title": ("missing-title", lambda board: _panel(board, 1).update(title="")),
    "no description": ("missing-description", lambda board: _panel(board, 1).pop("description")),
    "no word on what is good": ("missing-description", lambda board: _panel(board, 1).update(description="A ratio.")),
    "fixed data source": ("fixed-datasource", lambda board: _panel(board, 1)["datasource"].update(uid="abc")),
    "fixed data source of a query": (
        "fixed-datasource",
        lambda board: _panel(board, 1)["targets"][0]["datasource"].update(uid="abc"),
    ),
    "no unit": ("missing-unit", lambda board: _panel(board, 1)["fieldConfig"]["defaults"].pop("unit")),
    "unknown unit": (
        "unknown-unit",
        lambda board: _panel(board, 1)["fieldConfig"]["defaults"].update(unit="percent01"),
    ),
    "unknown unit of a column": ("unknown-unit", _set_override_unit),
    "no link": ("missing-runbook", lambda board: _panel(board, 1).pop("links")),
    "link to elsewhere": (
        "fixed-runbook",
        lambda board: _panel(board, 1)["links"][0].update(url="https://x.example/a"),
    ),
    "no query": ("missing-query", lambda board: _panel(board, 1).update(targets=[])),
    "raw events": ("foreign-relation", _set_sql("select 1 from holds.observability_events")),
    "unknown view": ("foreign-relation", _set_sql("select 1 from analytics.stg_holds__events")),
    "no schema": ("foreign-relation", _set_sql("select 1 from double_bookings")),
    "second relation": (
        "foreign-relation",
        _set_sql("select 1 from analytics.double_bookings join pg_authid on true"),
    ),
    "variable reads elsewhere": ("foreign-relation", _set_variable_sql),
    "unknown variable": ("unknown-variable", _set_sql("select ${city:sqlstring}")),
    "unquoted variable": ("unknown-macro", _set_sql("select '${restaurant}'")),
    "unknown macro": ("unknown-macro", _set_sql("select $__timeFiltre(x)")),
    "fixed data source of an annotation": (
        "fixed-datasource",
        lambda board: _annotation(board)["target"]["datasource"].update(uid="abc"),
    ),
    "silent annotation": ("missing-query", lambda board: _annotation(board)["target"].pop("rawSql")),
    "annotation reads elsewhere": (
        "foreign-relation",
        lambda board: _annotation(board)["target"].update(rawSql="select 1 from holds.observability_events"),
    ),
    "unquoted variable of an annotation": (
        "unknown-macro",
        lambda board: _annotation(board)["target"].update(rawSql="select '$environment'"),
    ),
    "link to no dashboard": ("dead-link", lambda board: board["links"][0].update(url="/d/holdwatch-gone")),
    "link that loses the time range": ("forgetful-link", lambda board: board["links"][0].update(keepTime=False)),
    "link that loses what is chosen": ("forgetful-link", lambda board: board["links"][0].update(includeVars=False)),
    "cell that leads nowhere": ("dead-link", lambda board: _change_cell_link(board, "holdwatch-restaurant", "gone")),
    "cell that loses the time range": (
        "forgetful-link",
        lambda board: _change_cell_link(board, "&${__url_time_range}", ""),
    ),
    "cell that loses the environment": (
        "forgetful-link",
        lambda board: _change_cell_link(board, "${environment:queryparam}&", ""),
    ),
}


def _findings(directory: Path, runbooks: Path | None = None) -> list[Finding]:
    material = Material(directory=directory, runbooks=runbooks)
    return [finding for check in CHECKS for finding in check.run(material).findings]


def test_generated_dashboards_and_monitors_are_sound() -> None:
    """What is committed passes every check that needs no database, links to runbooks included."""
    assert _findings(DASHBOARDS_DIR, RUNBOOKS) == []


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_rule_fires(overview: Json, mutation: str) -> None:
    """One thing made wrong is found, by its own rule alone, and the remedy is named."""
    check, mutate = MUTATIONS[mutation]
    broken = copy.deepcopy(overview)
    mutate(broken)

    findings = lint_dashboard("overview.json", broken, {f"holdwatch-{page.name}" for page in PAGES})

    assert {finding.check for finding in findings} == {check}
    assert all(finding.remedy and finding.file == "overview.json" for finding in findings)


def test_finding_names_its_panel(overview: Json) -> None:
    """A reader finds the panel by its number and title."""
    broken = copy.deepcopy(overview)
    _panel(broken, 9).pop("description")

    (finding,) = lint_dashboard("overview.json", broken)

    assert finding.place == place_of(_panel(overview, 9))
    assert "Latency, total" in str(finding)


def test_same_uid_in_two_files_is_found(tmp_path: Path) -> None:
    """The second import would overwrite the first."""
    dashboards.write(tmp_path)
    text = (tmp_path / "grafana" / "overview.json").read_text(encoding="utf-8")
    (tmp_path / "grafana" / "zz.json").write_text(text, encoding="utf-8")

    checks = {(finding.check, finding.file) for finding in _findings(tmp_path)}

    assert checks == {("duplicate-uid", "grafana/zz.json"), ("not-regenerated", "grafana/zz.json")}


def test_unreadable_file_is_found(tmp_path: Path) -> None:
    """Half a file is a finding, not a traceback; what leads to it leads nowhere."""
    dashboards.write(tmp_path)
    (tmp_path / "grafana" / "overview.json").write_text('{"uid": ', encoding="utf-8")

    assert {finding.check for finding in _findings(tmp_path)} == {"dead-link", "not-regenerated", "unreadable"}


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("select a from analytics.x join analytics.y on true", {"analytics.x", "analytics.y"}),
        (
            "with w as (select 1 from analytics.x), v as (select 2) select * from w, lateral (select 1 from v) q",
            {"analytics.x"},
        ),
        ("select extract(epoch from at) from analytics.x -- from nowhere", {"analytics.x"}),
        ("select 'from here' from analytics.x where a = 'it''s from there'", {"analytics.x"}),
        ("select n from generate_series(1, 3) as n", set()),
        ('SELECT 1 FROM "Odd"', set()),
    ],
)
def test_relations_are_found(sql: str, names: set[str]) -> None:
    """Tables and views, not words in strings, comments, functions or the statement's own names."""
    assert relations(sql) == names


def test_anchors_are_those_of_the_headings() -> None:
    """Lower case, hyphens, no punctuation; what is in a code block is no heading."""
    page = "# One: two (three)\n\ntext\n\n```sh\n# not this\n```\n## First five minutes\n"

    assert anchors(page) == {"one-two-three", "first-five-minutes"}
