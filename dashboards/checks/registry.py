"""The checks, in the order in which they run: what is quick, and needs nothing, first."""

from __future__ import annotations

from dashboards.checks.alerting import check_alerting
from dashboards.checks.check import Check
from dashboards.checks.datadog import check_datadog
from dashboards.checks.generated import check_generated
from dashboards.checks.grafana_schema import check_schema
from dashboards.checks.grafana_types import check_types
from dashboards.checks.lint import check_dashboards
from dashboards.checks.openapi import check_openapi
from dashboards.checks.promtool import check_routes, check_rules
from dashboards.checks.queries import check_queries
from dashboards.checks.runbooks import check_runbooks

CHECKS = (
    Check("generated", "every file is what the catalogue generates", check_generated),
    Check("grafana", "dashboards have what Grafana would not miss and people would", check_dashboards),
    Check("grafana-types", "dashboards are what Grafana's own TypeScript types allow", check_types),
    Check("grafana-schema", "dashboards, rules and policies fit the JSON Schemas of Grafana's SDK", check_schema),
    Check("grafana-alerting", "rules are what Grafana takes, and tell somebody", check_alerting),
    Check("prometheus", "Prometheus reads the rules, and they do what the examples say", check_rules),
    Check("alertmanager", "Alertmanager reads the routes", check_routes),
    Check("runbooks", "every runbook link leads to a heading that exists", check_runbooks),
    Check(
        "datadog", "monitors, dashboard and objective ask for what is pushed, and say what people need", check_datadog
    ),
    Check("datadog-api", "every body is one that Datadog's API has a schema for", check_openapi),
    Check("queries", "every query runs, for every choice, as the role that Grafana uses", check_queries, True),
)
