"""What the Grafana pages have in common: who they are, variables, annotations, and the links between them."""

from __future__ import annotations

from dataclasses import dataclass

from dashboards.catalogue import RUNBOOK_BASE_URL
from dashboards.generators import grafana_queries as queries
from dashboards.generators import grafana_queries_operations as operations
from dashboards.generators import grafana_states as states
from dashboards.generators.grafana_parts import DATASOURCE, DATASOURCE_TYPE, Query
from dashboards.generators.grafana_sdk import dashboard, dashboard_builder

ALL_VALUE = "'__all__'"
"""What the variable ``restaurant`` is replaced with under All: as it stands, so it brings its own quotes."""

KEEPS_RANGE_AND_ENVIRONMENT = (
    "${datasource:queryparam}&${environment:queryparam}&${runbooks:queryparam}&${__url_time_range}"
)
"""What a link in a cell takes along; those of the pages take everything along by themselves."""


@dataclass(frozen=True)
class Page:
    """A dashboard.

    Attributes:
        name: Of its file; its uid is the same with ``holdwatch-`` before it. Both stay for ever: links hold them.
        title: As people read it.
        about: What it answers.
        time_from: Where its time range begins when it is opened.
        restaurant: How it takes the variable ``restaurant``: ``many``, ``one``, or ``hidden`` where nothing on it is of
            a restaurant. It is there all the same, so that the choice survives the way over such a page.
    """

    name: str
    title: str
    about: str
    time_from: str = "now-24h"
    restaurant: str = "many"

    @property
    def uid(self) -> str:
        """Its identifier in Grafana."""
        return f"holdwatch-{self.name}"


OVERVIEW = Page(
    "overview",
    "Holdwatch overview",
    "Whether guests get their tables, how long that takes, and what stands in the way.",
)
RESTAURANT = Page(
    "restaurant",
    "Holdwatch restaurant",
    "One restaurant: its requests, its conflicts and errors, and its last 90 days.",
    restaurant="one",
)
HOLDS = Page(
    "holds",
    "Holdwatch holds and conflicts",
    "What holds do, what is refused and what is let through, and whether strict conflicts are in force.",
)
FLAGS = Page(
    "flags",
    "Holdwatch feature flags",
    "What was changed, by whom and why, and whether flags defeat one another.",
    time_from="now-30d",
    restaurant="hidden",
)
PIPELINE = Page(
    "pipeline",
    "Holdwatch pipeline health",
    "Whether what the other pages say is of now, what is blocked and why, and how alerts have been judged.",
    restaurant="hidden",
)
PAGES = (OVERVIEW, RESTAURANT, HOLDS, FLAGS, PIPELINE)

_MARKS = {
    "deploy": "Deployments",
    "flag": "Flag changes",
    "enforcement": "Strict conflicts switched",
    "rollout": "Rollouts",
}


def new_page(page: Page) -> dashboard_builder.Dashboard:
    """Return the page with everything but its panels."""
    built = (
        dashboard_builder.Dashboard(page.title)
        .uid(page.uid)
        .description(
            f"{page.about} By the minute within the last 48 hours, by the hour up to 14 days, by the day beyond. All "
            "times and days are UTC."
        )
        .tags(["holdwatch"])
        # Buckets are UTC: in another zone a day's bar would begin in the middle of a day.
        .timezone("utc")
        .time(page.time_from, "now")
        .refresh("1m")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .readonly()
    )
    _add_variables(built, page)
    for kind, name in _MARKS.items():
        built.annotation(_annotation(name, states.CHANGES[kind], operations.change_annotations(kind)))
    built.annotation(_annotation("Maintenance", "rgba(120, 120, 120, 1)", operations.MAINTENANCE_ANNOTATIONS))
    for other in PAGES:
        if other is not page:
            built.link(_link(other))
    return built


def row(panel_id: int, title: str) -> dashboard_builder.Row:
    """A heading, behind what is on the page already."""
    return dashboard_builder.Row(title).id(panel_id).collapsed(False)


def restaurant_url() -> str:
    """Where a cell with a restaurant leads: its own page, with the same environment and time range."""
    return f"/d/{RESTAURANT.uid}?var-restaurant=${{__value.raw:percentencode}}&{KEEPS_RANGE_AND_ENVIRONMENT}"


def _add_variables(built: dashboard_builder.Dashboard, page: Page) -> None:
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
    restaurant = (
        _query_variable("restaurant", "Restaurant", queries.RESTAURANTS)
        .multi(page.restaurant == "many")
        .include_all(True)
        .all_value(ALL_VALUE)
        .current(_all_chosen(is_list=page.restaurant == "many"))
        .description("All draws one series for all of them; otherwise each has its own. (none): no restaurant named.")
    )
    if page.restaurant == "hidden":
        restaurant.hide(dashboard.VariableHide.HIDE_VARIABLE)
    built.with_variable(restaurant)
    built.with_variable(
        dashboard_builder.TextBoxVariable("runbooks")
        .label("Runbooks")
        .description("Where docs/runbooks is published; the panels' runbook links begin with it.")
        .default_value(RUNBOOK_BASE_URL)
        .current(dashboard.VariableOption(selected=True, text=RUNBOOK_BASE_URL, value=RUNBOOK_BASE_URL))
    )


def _all_chosen(*, is_list: bool) -> dashboard.VariableOption:
    if is_list:
        return dashboard.VariableOption(selected=True, text=["All"], value=["$__all"])
    return dashboard.VariableOption(selected=True, text="All", value="$__all")


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


def _annotation(name: str, colour: str, sql: str) -> dashboard_builder.AnnotationQuery:
    return (
        dashboard_builder.AnnotationQuery()
        .name(name)
        .datasource(DATASOURCE)
        .enable(True)
        .icon_color(colour)
        .target(Query(sql, "table", "Anno"))
    )


def _link(other: Page) -> dashboard_builder.DashboardLink:
    return (
        dashboard_builder.DashboardLink(other.title.removeprefix("Holdwatch ").capitalize())
        .type(dashboard.DashboardLinkType.LINK)
        .icon("dashboard")
        .tooltip(other.about)
        .url(f"/d/{other.uid}")
        .include_vars(True)
        .keep_time(True)
    )
