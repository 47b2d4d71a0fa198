"""The Grafana dashboards: the classic schema, for file provisioning, import in the UI, and the HTTP API."""

from __future__ import annotations

import json

from dashboards.catalogue import RUNBOOK_BASE_URL
from dashboards.generators import grafana_queries as queries
from dashboards.generators.grafana_overview import add_overview
from dashboards.generators.grafana_parts import DATASOURCE, DATASOURCE_TYPE
from dashboards.generators.grafana_sdk import JSONEncoder, dashboard, dashboard_builder

ALL_VALUE = "'__all__'"
"""What the variable ``restaurant`` is replaced with under All: as it stands, so it brings its own quotes."""


def files() -> dict[str, str]:
    """Return the dashboards as paths below ``dashboards/`` and their texts."""
    return {"grafana/overview.json": _text(_overview())}


def _text(built: dashboard_builder.Dashboard) -> str:
    return json.dumps(built.build(), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _overview() -> dashboard_builder.Dashboard:
    built = (
        dashboard_builder.Dashboard("Holdwatch overview")
        .uid("holdwatch-overview")
        .description(
            "Whether guests get their tables, how long that takes, and what stands in the way. By the minute within "
            "the last 48 hours, by the hour up to 14 days, by the day beyond. All times and days are UTC."
        )
        .tags(["holdwatch"])
        # Buckets are UTC: in another zone a day's bar would begin in the middle of a day.
        .timezone("utc")
        .time("now-24h", "now")
        .refresh("1m")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .readonly()
        .annotations([])
    )
    built.with_variable(
        dashboard_builder.DatasourceVariable("datasource")
        .label("Data source")
        .description("A PostgreSQL data source that logs in with the role analytics_reader.")
        .type(DATASOURCE_TYPE)
    )
    built.with_variable(
        _query_variable("environment", "Environment", queries.ENVIRONMENTS).description(
            "One deployment at a time: they share no guests, so no sum over them means anything."
        )
    )
    built.with_variable(
        _query_variable("restaurant", "Restaurant", queries.RESTAURANTS)
        .description("All draws one series for all of them; otherwise each has its own. (none): no restaurant named.")
        .multi(True)
        .include_all(True)
        .all_value(ALL_VALUE)
        .current(dashboard.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )
    built.with_variable(
        dashboard_builder.TextBoxVariable("runbooks")
        .label("Runbooks")
        .description("Where docs/runbooks is published; the panels' runbook links begin with it.")
        .default_value(RUNBOOK_BASE_URL)
        .current(dashboard.VariableOption(selected=True, text=RUNBOOK_BASE_URL, value=RUNBOOK_BASE_URL))
    )
    add_overview(built)
    return built


def _query_variable(name: str, label: str, sql: str) -> dashboard_builder.QueryVariable:
    return (
        dashboard_builder.QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query(sql)
        .definition(sql)
        .refresh(dashboard.VariableRefresh.ON_DASHBOARD_LOAD)
        .sort(dashboard.VariableSort.DISABLED)
    )
