"""The checks, in the order in which they run: what is quick, and needs nothing, first."""

from __future__ import annotations

from dashboards.checks.check import Check
from dashboards.checks.datadog import check_datadog
from dashboards.checks.generated import check_generated
from dashboards.checks.lint import check_dashboards
from dashboards.checks.openapi import check_openapi
from dashboards.checks.queries import check_queries

CHECKS = (
    Check("generated", "every file is what the catalogue generates", check_generated),
    Check("grafana", "dashboards have what Grafana would not miss and people would", check_dashboards),
    Check(
        "datadog", "monitors, dashboard and objective ask for what is pushed, and say what people need", check_datadog
    ),
    Check("datadog-api", "every body is one that Datadog's API has a schema for", check_openapi),
    Check("queries", "every query runs, for every choice, as the role that Grafana uses", check_queries, True),
)
