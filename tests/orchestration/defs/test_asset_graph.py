"""The asset graph as it is meant to be: a change of it shows in a review."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from dagster import AssetCheckKey, AssetKey, Definitions

from expectations.model import Severity
from expectations.suites.events import events_suite
from expectations.suites.views import views_suite

SNAPSHOT = Path(__file__).with_name("asset_graph.txt")


GATES = {
    (AssetKey(rule.asset.split(".")), rule.name)
    for suite in (events_suite(datetime.now(UTC)), views_suite())
    for rule in suite.expectations
    if rule.severity is Severity.CRITICAL
}


def describe(definitions: Definitions) -> str:
    """One paragraph for each asset: group and owners, what it is built from, the expectations that block others."""
    graph = definitions.resolve_asset_graph()
    paragraphs = []
    for key in sorted(graph.get_all_asset_keys()):
        node = graph.get(key)
        checks = sorted(graph.get_check_keys_for_assets({key}))
        blocking = [check.name for check in checks if (key, check.name) in GATES]
        lines = [
            f"{key.to_user_string()} ({node.group_name}; {', '.join(node.owners)})",
            *(f"  from {parent.to_user_string()}" for parent in sorted(node.parent_keys)),
            *(f"  blocked by {name}" for name in blocking),
        ]
        paragraphs.append("\n".join(lines))
    return "\n\n".join(paragraphs) + "\n"


def test_asset_graph_is_as_it_was_reviewed(definitions: Definitions) -> None:
    """Run with UPDATE_SNAPSHOTS=1 to accept a change."""
    described = describe(definitions)
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOT.write_text(described, "utf-8")
    assert described == SNAPSHOT.read_text("utf-8")


def test_a_code_server_takes_all_of_it(definitions: Definitions) -> None:
    """It loads what a single job or asset does not: two things of one name are refused there."""
    definitions.get_repository_def().load_all_definitions()


def test_critical_expectations_block_and_warnings_do_not(definitions: Definitions) -> None:
    """Of the checks of both gates, exactly the critical ones are blocking."""
    graph = definitions.resolve_asset_graph()
    for suite in (events_suite(datetime.now(UTC)), views_suite()):
        for rule in suite.expectations:
            check = graph.get(AssetCheckKey(AssetKey(rule.asset.split(".")), rule.name))
            assert check.blocking is (rule.severity is Severity.CRITICAL), rule.name


def test_job_holds_every_asset_and_every_check(definitions: Definitions) -> None:
    """The pipeline builds all that can be built, and checks all that can be checked; but for what goes day by day."""
    graph = definitions.resolve_asset_graph()
    layer = definitions.resolve_job_def("pipeline").asset_layer
    days = AssetKey(["analytics", "rollup_days"])
    assert set(layer.selected_asset_keys) == set(graph.materializable_asset_keys) - {days}
    checks = {key for key in graph.asset_check_keys if key.asset_key != days}
    assert set(layer.asset_graph.asset_check_keys) == checks
    assert AssetKey(["dashboards", "grafana"]) in layer.selected_asset_keys


def test_no_password_stands_in_the_definitions(definitions: Definitions) -> None:
    """The database is named by an environment variable: what Dagster stores and shows has no secret in it."""
    fields = definitions.resolve_job_def("pipeline").run_config_schema.config_type
    assert "postgresql://" not in repr(fields)
