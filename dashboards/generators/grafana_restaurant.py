"""One restaurant: its requests, what stands in their way, its double bookings, and its last 90 days."""

from __future__ import annotations

from dashboards.catalogue import (
    CUTOFFS,
    DOUBLE_BOOKINGS,
    ERRORS,
    HISTORY_DAYS,
    HOLDS,
    LATENCY,
    RETRY_EXHAUSTION,
    SUCCESS_RATE,
)
from dashboards.generators import grafana_queries as queries
from dashboards.generators import grafana_queries_holds as holds
from dashboards.generators import grafana_states as states
from dashboards.generators.grafana_page import row
from dashboards.generators.grafana_parts import (
    GOOD,
    Frame,
    bars_on_the_right,
    coloured,
    dashed,
    lines_panel,
    stacked_bars_panel,
    stat_panel,
    table_panel,
    with_threshold_line,
)
from dashboards.generators.grafana_sdk import dashboard_builder


def add_restaurant(built: dashboard_builder.Dashboard) -> None:
    """Add the panels, row by row; identifiers stay with their panels for ever."""
    built.with_row(row(100, "At a glance"))
    _add_glance(built)
    built.with_row(row(101, "Requests"))
    _add_requests(built)
    built.with_row(row(102, "What stands in the way"))
    _add_obstacles(built)
    built.with_row(row(103, "Holds"))
    _add_holds(built)
    built.with_row(row(104, f"The last {HISTORY_DAYS} days, whatever the time range above"))
    _add_history(built)


def _add_glance(built: dashboard_builder.Dashboard) -> None:
    success = Frame(
        id=1,
        title="Success (95 % or more)",
        signal=SUCCESS_RATE,
        about="Share of the requests in the time range that got their tables.",
        size=(4, 4),
    )
    requests = Frame(
        id=2,
        title="Requests",
        signal=SUCCESS_RATE,
        about="Requests for tables in the time range.",
        size=(4, 4),
        unit="locale",
        good="about as many as on other days at this time.",
        steps=((None, GOOD),),
    )
    latency = Frame(
        id=3,
        title="P95, newest hour (under 3 s)",
        signal=LATENCY,
        about="P95 of the total time of the requests in the newest hour of the time range that has any.",
        size=(4, 4),
    )
    exhausted = Frame(
        id=4,
        title="Out of retries (at most 1 %)",
        signal=RETRY_EXHAUSTION,
        about="Share of the requests in the time range that ran out of retries.",
        size=(4, 4),
    )
    refused = Frame(
        id=5,
        title="Conflicts refused",
        signal=HOLDS,
        about="Attempts in the time range to hold a table that another booking holds.",
        size=(4, 4),
        unit="locale",
        good="few beside the requests. Each was refused as it should be; many mean that guests compete for few tables.",
        steps=((None, GOOD),),
    )
    double = Frame(
        id=6,
        title="Double bookings (only 0 is right)",
        signal=DOUBLE_BOOKINGS,
        about="Overlapping pairs of live windows of different bookings in this restaurant, now.",
        size=(4, 4),
    )
    built.with_panel(stat_panel(success, queries.SUCCESS, decimals=1))
    built.with_panel(stat_panel(requests, queries.REQUESTS))
    built.with_panel(stat_panel(latency, queries.P95_NEWEST_HOUR, result="time_series", decimals=1))
    built.with_panel(stat_panel(exhausted, queries.EXHAUSTION, decimals=2))
    built.with_panel(stat_panel(refused, holds.activity_count(holds.REFUSED)))
    built.with_panel(stat_panel(double, holds.DOUBLE_BOOKING_COUNT_OF_CHOSEN))


def _add_requests(built: dashboard_builder.Dashboard) -> None:
    success = Frame(
        id=7,
        title="Success over time, beside all restaurants",
        signal=SUCCESS_RATE,
        about="Share of requests that got their tables; dashed: all restaurants together, and the objective.",
        size=(12, 8),
    )
    requests = Frame(
        id=8,
        title="Requests over time",
        signal=SUCCESS_RATE,
        about="Requests for tables, served or not.",
        size=(12, 8),
        unit="short",
        good="the restaurant's usual day.",
    )
    total = Frame(
        id=9,
        title="Latency, total: P50, P95, P99 (P95 under 3 s)",
        signal=LATENCY,
        about="Time from request to answer. Dashed: where the P95 is bad, and where it is good again.",
        size=(12, 8),
    )
    planner = Frame(
        id=10,
        title="Latency, planner: P50, P95, P99",
        signal=LATENCY,
        about="The part of the total that went into choosing tables.",
        size=(12, 8),
    )
    panel = coloured(
        lines_panel(success, queries.SUCCESS_OVER_TIME, queries.ALL_RESTAURANTS_SUCCESS, queries.OBJECTIVE),
        states.SUCCESS,
    )
    built.with_panel(dashed(dashed(panel, "objective"), "all restaurants").max(1).decimals(1))
    built.with_panel(coloured(stacked_bars_panel(requests, queries.REQUESTS_OVER_TIME), states.SUCCESS))
    total_panel = coloured(lines_panel(total, queries.latency("total")), states.PERCENTILES)
    built.with_panel(with_threshold_line(total_panel, total))
    built.with_panel(coloured(lines_panel(planner, queries.latency("planner")), states.PERCENTILES))


def _add_obstacles(built: dashboard_builder.Dashboard) -> None:
    exhausted = Frame(
        id=11,
        title="Retry exhaustion (at most 1 %)",
        signal=RETRY_EXHAUSTION,
        about="Lines: share of requests that ran out of retries. Bars: events of any type that say so.",
        size=(12, 8),
    )
    cutoffs = Frame(
        id=12,
        title="Cutoffs and manual steps, by kind",
        signal=CUTOFFS,
        about="How often a limit (HOLD_RATE_LIMIT) or a timeout (CUTOFF) struck, or staff stepped in (MANUAL).",
        size=(12, 8),
    )
    taxonomy = Frame(
        id=13,
        title="Error taxonomy",
        signal=ERRORS,
        about="Every kind of error in the days of the time range, most frequent first.",
        size=(24, 8),
    )
    exhaustion = coloured(
        lines_panel(exhausted, queries.EXHAUSTION_OVER_TIME, queries.EXHAUSTION_EVENTS), states.EXHAUSTION
    )
    built.with_panel(bars_on_the_right(with_threshold_line(exhaustion, exhausted), "B"))
    built.with_panel(coloured(stacked_bars_panel(cutoffs, queries.CUTOFFS_OVER_TIME), states.CUTOFFS))
    built.with_panel(
        table_panel(taxonomy, queries.ERRORS_TABLE, {"share": "percentunit", "newest bucket": "dateTimeAsIso"})
    )


def _add_holds(built: dashboard_builder.Dashboard) -> None:
    conflicts = Frame(
        id=14,
        title="Conflicts: refused, and let through",
        signal=HOLDS,
        about="Attempts to hold a table that another booking holds. Let through: strict conflicts are off for it.",
        size=(24, 7),
    )
    pairs = Frame(
        id=15,
        title="Double bookings",
        signal=DOUBLE_BOOKINGS,
        about="Which bookings hold which table of the restaurant at the same time, now.",
        size=(24, 5),
    )
    built.with_panel(
        coloured(
            stacked_bars_panel(conflicts, holds.activities_over_time(holds.REFUSED, holds.LET_THROUGH)),
            states.CONFLICTS,
        )
    )
    built.with_panel(
        table_panel(pairs, holds.DOUBLE_BOOKINGS_OF_CHOSEN, dict.fromkeys(("from", "until", "since"), "dateTimeAsIso"))
    )


def _add_history(built: dashboard_builder.Dashboard) -> None:
    daily = Frame(
        id=16,
        title="Success and requests by day",
        signal=SUCCESS_RATE,
        about="Lines: success by UTC day; dashed: the objective. Bars: requests.",
        size=(12, 9),
    )
    latency = Frame(
        id=17,
        title="Latency by day: P50, P95 (P95 under 3 s)",
        signal=LATENCY,
        about="Time from request to answer, by UTC day. Dashed: where the P95 is bad, and where it is good again.",
        size=(12, 9),
    )
    errors = Frame(
        id=18,
        title="Errors by day, by class",
        signal=ERRORS,
        about="Errors by what went wrong, by UTC day.",
        size=(12, 9),
    )
    whole = Frame(
        id=19,
        title="Beside all restaurants",
        signal=SUCCESS_RATE,
        about="The restaurant over all 90 days, and all restaurants together, as of the pipeline's last pass.",
        size=(12, 9),
    )
    panel = coloured(
        lines_panel(daily, queries.DAILY_SUCCESS, queries.DAILY_REQUESTS, queries.OBJECTIVE), states.SUCCESS
    )
    built.with_panel(
        bars_on_the_right(dashed(panel, "objective"), "B").max(1).decimals(1).time_from(queries.HISTORY_RANGE)
    )
    built.with_panel(
        with_threshold_line(
            coloured(lines_panel(latency, queries.DAILY_LATENCY), states.PERCENTILES), latency
        ).time_from(queries.HISTORY_RANGE)
    )
    built.with_panel(
        coloured(stacked_bars_panel(errors, queries.ERRORS_BY_DAY), states.ERRORS).time_from(queries.HISTORY_RANGE)
    )
    units = dict.fromkeys(("requests", "refused", "out of retries"), "locale")
    units |= dict.fromkeys(("P50", "P95", "P99"), "ms") | {"as of": "dateTimeAsIso"}
    built.with_panel(table_panel(whole, queries.NINETY_DAYS, units))
