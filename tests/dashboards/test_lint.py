"""The checks say where a fault is, and find none in what is generated; what each catches is in test_mutations.py."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

import dashboards
from dashboards.checks.lint import lint_dashboard, place_of, relations
from dashboards.checks.runbooks import anchors
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


def test_finding_names_its_panel(overview: Json) -> None:
    """A reader finds the panel by its number and title."""
    broken = copy.deepcopy(overview)
    _panel(broken, 9).pop("description")

    (finding,) = lint_dashboard("overview.json", broken)

    assert finding.place == place_of(_panel(overview, 9))
    assert "Latency, total" in str(finding)


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
