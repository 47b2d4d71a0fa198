"""The overview: whether bookings work, at a glance, over the time range, and over 90 days."""

from __future__ import annotations

from dashboards.catalogue import (
    ALERT_VERDICTS,
    BUDGET_DAYS,
    CUTOFFS,
    DOUBLE_BOOKINGS,
    ERROR_BUDGET,
    ERRORS,
    FRESHNESS,
    HISTORY_DAYS,
    LATENCY,
    RETRY_EXHAUSTION,
    SUCCESS_RATE,
    UNATTRIBUTED,
)
from dashboards.generators import grafana_queries as queries
from dashboards.generators import grafana_queries_holds as holds
from dashboards.generators import grafana_queries_operations as operations
from dashboards.generators import grafana_states as states
from dashboards.generators.grafana_page import restaurant_url, row
from dashboards.generators.grafana_parts import (
    BAD,
    GOOD,
    WARN,
    WORSE,
    Frame,
    bars_on_the_right,
    coloured,
    dashed,
    lines_panel,
    stacked_bars_panel,
    stat_panel,
    state_panel,
    table_panel,
    with_column_link,
    with_states,
    with_threshold_line,
)
from dashboards.generators.grafana_sdk import dashboard_builder

_BUDGET_STEPS = ((None, BAD), (0.0, WARN), (0.25, GOOD))
_BUDGET_GOOD = "above 0 %; below 25 % is the time to be careful with changes."


def add_overview(built: dashboard_builder.Dashboard) -> None:
    """Add the panels, row by row; identifiers stay with their panels for ever."""
    built.with_row(row(105, "What fires now"))
    _add_alerts(built)
    built.with_row(row(100, "At a glance"))
    _add_glance(built)
    built.with_row(row(101, "Requests"))
    _add_requests(built)
    built.with_row(row(106, f"Error budget of {BUDGET_DAYS} days"))
    _add_budget(built)
    built.with_row(row(102, "What stands in the way"))
    _add_obstacles(built)
    built.with_row(row(103, "Double bookings, and whether telemetry can be trusted"))
    _add_trust(built)
    built.with_row(row(104, f"The last {HISTORY_DAYS} days"))
    _add_history(built)


def _add_alerts(built: dashboard_builder.Dashboard) -> None:
    alerts = Frame(
        id=19,
        title="Alerts, as judged now",
        signal=ALERT_VERDICTS,
        about="Every alert and its newest verdict, whatever the time range and restaurant.",
        size=(24, 5),
    )
    built.with_panel(state_panel(alerts, operations.ALERT_STATES, states.ALERT))


def _add_glance(built: dashboard_builder.Dashboard) -> None:
    success = Frame(
        id=1,
        title="Success (95 % or more)",
        signal=SUCCESS_RATE,
        about="Share of the requests in the time range that got their tables; full restaurants count as refusals here.",
        size=(6, 4),
    )
    budget = Frame(
        id=20,
        title=f"Error budget left, {BUDGET_DAYS} days",
        signal=ERROR_BUDGET,
        about=(
            f"Share of the faults allowed in {BUDGET_DAYS} days that is left at the end of the time range, whatever "
            "the restaurant. A full restaurant is no fault."
        ),
        size=(6, 4),
        unit="percentunit",
        good=_BUDGET_GOOD,
        steps=_BUDGET_STEPS,
    )
    latency = Frame(
        id=2,
        title="P95, newest hour (under 3 s)",
        signal=LATENCY,
        about="P95 of the total time of the requests in the newest hour of the time range that has any.",
        size=(6, 4),
    )
    fresh = Frame(
        id=6,
        title="Newest event (under 300 s old)",
        signal=FRESHNESS,
        about="Time since the newest event was recorded, whatever the time range and restaurant.",
        size=(6, 4),
    )
    exhausted = Frame(
        id=3,
        title="Out of retries (at most 1 %)",
        signal=RETRY_EXHAUSTION,
        about="Share of the requests in the time range that ran out of retries.",
        size=(6, 4),
    )
    double = Frame(
        id=4,
        title="Double bookings (only 0 is right)",
        signal=DOUBLE_BOOKINGS,
        about="Overlapping pairs of live windows of different bookings, now, whatever the time range and restaurant.",
        size=(6, 4),
    )
    unattributed = Frame(
        id=5,
        title="No restaurant named (at most 10 %)",
        signal=UNATTRIBUTED,
        about="Share of all requests in the time range that name no restaurant, whatever restaurant is chosen.",
        size=(6, 4),
    )
    requests = Frame(
        id=21,
        title="Requests",
        signal=SUCCESS_RATE,
        about="Requests for tables in the time range.",
        size=(6, 4),
        unit="locale",
        good="about as many as on other days; none at all means that nobody can book, or that nobody is heard.",
        steps=((None, GOOD),),
    )
    built.with_panel(stat_panel(success, queries.SUCCESS, decimals=1))
    built.with_panel(stat_panel(budget, queries.BUDGET_LEFT, decimals=1))
    built.with_panel(stat_panel(latency, queries.P95_NEWEST_HOUR, result="time_series", decimals=1))
    built.with_panel(stat_panel(fresh, operations.FRESHNESS))
    built.with_panel(stat_panel(exhausted, queries.EXHAUSTION, decimals=2))
    built.with_panel(stat_panel(double, holds.DOUBLE_BOOKING_COUNT))
    built.with_panel(stat_panel(unattributed, queries.UNATTRIBUTED, decimals=1))
    built.with_panel(stat_panel(requests, queries.REQUESTS))


def _add_requests(built: dashboard_builder.Dashboard) -> None:
    success = Frame(
        id=7,
        title="Success over time, against the objective (95 %)",
        signal=SUCCESS_RATE,
        about="Share of requests that got their tables, by five minutes at least; the dashed line is the objective.",
        size=(12, 8),
    )
    worst = Frame(
        id=8,
        title="Worst restaurants",
        signal=SUCCESS_RATE,
        about="The 20 restaurants with the lowest success in the time range; those with few requests come last.",
        size=(12, 8),
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
    panel = coloured(lines_panel(success, queries.SUCCESS_OVER_TIME, queries.OBJECTIVE), states.SUCCESS)
    built.with_panel(dashed(panel, "objective").max(1).decimals(1))
    table = table_panel(worst, queries.WORST_RESTAURANTS, {"requests": "locale", "refused": "locale"})
    built.with_panel(
        with_column_link(
            with_states(table, "state", states.JUDGED), "restaurant", "Open the restaurant's page", restaurant_url()
        )
    )
    total_panel = coloured(lines_panel(total, queries.latency("total")), states.PERCENTILES)
    built.with_panel(with_threshold_line(total_panel, total))
    built.with_panel(coloured(lines_panel(planner, queries.latency("planner")), states.PERCENTILES))


def _add_budget(built: dashboard_builder.Dashboard) -> None:
    burn = Frame(
        id=22,
        title="Burn of the error budget, by window",
        signal=ERROR_BUDGET,
        about=(
            "How many times too fast the budget is spent, over the hour, 6 hours, 3 days and 30 days up to each point, "
            "whatever the restaurant. Dashed: where an alert needs it over its window (1, 6 and 14.4)."
        ),
        size=(12, 8),
        steps=((None, GOOD), (1.0, WARN), (6.0, WORSE), (14.4, BAD)),
    )
    left = Frame(
        id=23,
        title="Error budget left",
        signal=ERROR_BUDGET,
        about="Share of the faults allowed in the 30 days up to each point that was left, whatever the restaurant.",
        size=(12, 8),
        unit="percentunit",
        good=_BUDGET_GOOD,
        steps=_BUDGET_STEPS,
    )
    burn_panel = coloured(lines_panel(burn, queries.BURN_OVER_TIME), states.BURN)
    built.with_panel(with_threshold_line(burn_panel, burn).decimals(1))
    # Overspent is below 0, and shown so.
    left_panel = with_threshold_line(lines_panel(left, queries.BUDGET_LEFT_OVER_TIME), left)
    built.with_panel(left_panel.min(-1).max(1).decimals(1))


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
    errors = Frame(
        id=13,
        title="Errors, by class",
        signal=ERRORS,
        about="Errors by what went wrong. With restaurants chosen they are counted by whole days.",
        size=(12, 8),
    )
    by_restaurant = Frame(
        id=14,
        title="Cutoffs and manual steps, by restaurant",
        signal=CUTOFFS,
        about="The 50 restaurants with the most in the time range.",
        size=(12, 8),
    )
    taxonomy = Frame(
        id=15,
        title="Error taxonomy",
        signal=ERRORS,
        about="Every kind of error in the time range, most frequent first. With restaurants chosen: whole days.",
        size=(16, 8),
    )
    unattributed = Frame(
        id=24,
        title="No restaurant named (at most 10 %)",
        signal=UNATTRIBUTED,
        about="Share of all requests that name no restaurant, over time, whatever restaurant is chosen.",
        size=(8, 8),
    )
    exhaustion = coloured(
        lines_panel(exhausted, queries.EXHAUSTION_OVER_TIME, queries.EXHAUSTION_EVENTS), states.EXHAUSTION
    )
    built.with_panel(bars_on_the_right(with_threshold_line(exhaustion, exhausted), "B"))
    built.with_panel(coloured(stacked_bars_panel(cutoffs, queries.CUTOFFS_OVER_TIME), states.CUTOFFS))
    built.with_panel(coloured(stacked_bars_panel(errors, queries.ERRORS_OVER_TIME), states.ERRORS))
    built.with_panel(
        with_column_link(
            table_panel(by_restaurant, queries.CUTOFFS_BY_RESTAURANT),
            "restaurant",
            "Open the restaurant's page",
            restaurant_url(),
        )
    )
    built.with_panel(
        table_panel(taxonomy, queries.ERRORS_TABLE, {"share": "percentunit", "newest bucket": "dateTimeAsIso"})
    )
    built.with_panel(
        with_threshold_line(lines_panel(unattributed, queries.UNATTRIBUTED_OVER_TIME), unattributed).decimals(1)
    )


def _add_trust(built: dashboard_builder.Dashboard) -> None:
    pairs = Frame(
        id=16,
        title="Double bookings",
        signal=DOUBLE_BOOKINGS,
        about="Which bookings hold which table at the same time, now, whatever the time range and restaurant.",
        size=(24, 6),
    )
    pipeline = Frame(
        id=17,
        title="Freshness, and whether the pipeline is blocked",
        signal=FRESHNESS,
        about="The newest event, the newest pipeline runs, and whether and why the pipeline's gate is blocked.",
        size=(24, 4),
    )
    pair_times = dict.fromkeys(("from", "until", "since"), "dateTimeAsIso")
    run_times = dict.fromkeys(("newest event", "last good run", "last failed run"), "dateTimeAsIso")
    built.with_panel(table_panel(pairs, holds.DOUBLE_BOOKINGS, pair_times))
    built.with_panel(table_panel(pipeline, operations.PIPELINE, run_times))


def _add_history(built: dashboard_builder.Dashboard) -> None:
    daily = Frame(
        id=18,
        title=f"Success and requests by day, {HISTORY_DAYS} days",
        signal=SUCCESS_RATE,
        about="Lines: success by UTC day; dashed: the objective. Bars: requests. Whatever the time range above.",
        size=(24, 9),
    )
    panel = coloured(
        lines_panel(daily, queries.DAILY_SUCCESS, queries.DAILY_REQUESTS, queries.OBJECTIVE), states.SUCCESS
    )
    built.with_panel(
        bars_on_the_right(dashed(panel, "objective"), "B").max(1).decimals(1).time_from(queries.HISTORY_RANGE)
    )
