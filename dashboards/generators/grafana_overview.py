"""The overview: whether bookings work, at a glance, over the time range, and over 90 days."""

from __future__ import annotations

from dashboards.catalogue import (
    CUTOFFS,
    DOUBLE_BOOKINGS,
    ERRORS,
    FRESHNESS,
    HISTORY_DAYS,
    LATENCY,
    RETRY_EXHAUSTION,
    SUCCESS_RATE,
    UNATTRIBUTED,
)
from dashboards.generators import grafana_queries as queries
from dashboards.generators.grafana_parts import (
    Frame,
    bars_on_the_right,
    dashed,
    lines_panel,
    stacked_bars_panel,
    stat_panel,
    table_panel,
    with_threshold_line,
)
from dashboards.generators.grafana_sdk import dashboard, dashboard_builder


def add_overview(built: dashboard_builder.Dashboard) -> None:
    """Add the panels, row by row; identifiers stay with their panels for ever."""
    built.with_row(_row(100, "At a glance", 0))
    _add_glance(built)
    built.with_row(_row(101, "Requests", 6))
    _add_requests(built)
    built.with_row(_row(102, "What stands in the way", 23))
    _add_obstacles(built)
    built.with_row(_row(103, "Double bookings, and whether telemetry can be trusted", 48))
    _add_trust(built)
    built.with_row(_row(104, f"The last {HISTORY_DAYS} days", 57))
    _add_history(built)


def _row(panel_id: int, title: str, y: int) -> dashboard_builder.Row:
    return dashboard_builder.Row(title).id(panel_id).collapsed(False).grid_pos(dashboard.GridPos(x=0, y=y, w=24, h=1))


def _add_glance(built: dashboard_builder.Dashboard) -> None:
    success = Frame(
        id=1,
        title="Success (95 % or more)",
        signal=SUCCESS_RATE,
        about="Share of the requests in the time range that got their tables.",
        at=(0, 1, 4, 5),
    )
    latency = Frame(
        id=2,
        title="P95, newest hour (under 3 s)",
        signal=LATENCY,
        about="P95 of the total time of the requests in the newest hour of the time range that has any.",
        at=(4, 1, 4, 5),
    )
    exhausted = Frame(
        id=3,
        title="Out of retries (at most 1 %)",
        signal=RETRY_EXHAUSTION,
        about="Share of the requests in the time range that ran out of retries.",
        at=(8, 1, 4, 5),
    )
    double = Frame(
        id=4,
        title="Double bookings (only 0 is right)",
        signal=DOUBLE_BOOKINGS,
        about="Overlapping pairs of live windows of different bookings, now, whatever the time range and restaurant.",
        at=(12, 1, 4, 5),
    )
    unattributed = Frame(
        id=5,
        title="No restaurant named (at most 10 %)",
        signal=UNATTRIBUTED,
        about="Share of all requests in the time range that name no restaurant, whatever restaurant is chosen.",
        at=(16, 1, 4, 5),
    )
    fresh = Frame(
        id=6,
        title="Newest event (under 300 s old)",
        signal=FRESHNESS,
        about="Time since the newest event was recorded, whatever the time range and restaurant.",
        at=(20, 1, 4, 5),
    )
    built.with_panel(stat_panel(success, queries.SUCCESS, decimals=1))
    built.with_panel(stat_panel(latency, queries.P95_NEWEST_HOUR, result="time_series"))
    built.with_panel(stat_panel(exhausted, queries.EXHAUSTION, decimals=2))
    built.with_panel(stat_panel(double, queries.DOUBLE_BOOKING_COUNT))
    built.with_panel(stat_panel(unattributed, queries.UNATTRIBUTED, decimals=1))
    built.with_panel(stat_panel(fresh, queries.FRESHNESS))


def _add_requests(built: dashboard_builder.Dashboard) -> None:
    success = Frame(
        id=7,
        title="Success over time, against the objective (95 %)",
        signal=SUCCESS_RATE,
        about="Share of requests that got their tables; the dashed line is the objective.",
        at=(0, 7, 12, 8),
    )
    worst = Frame(
        id=8,
        title="Worst restaurants",
        signal=SUCCESS_RATE,
        about="The 20 restaurants with the lowest success in the time range; those with few requests come last.",
        at=(12, 7, 12, 8),
    )
    total = Frame(
        id=9,
        title="Latency, total: P50, P95, P99 (P95 under 3 s)",
        signal=LATENCY,
        about="Time from request to answer. Dashed: where the P95 is bad, and where it is good again.",
        at=(0, 15, 12, 8),
    )
    planner = Frame(
        id=10,
        title="Latency, planner: P50, P95, P99",
        signal=LATENCY,
        about="The part of the total that went into choosing tables.",
        at=(12, 15, 12, 8),
    )
    built.with_panel(
        dashed(lines_panel(success, queries.SUCCESS_OVER_TIME, queries.OBJECTIVE), "objective").max(1).decimals(1)
    )
    built.with_panel(
        table_panel(worst, queries.WORST_RESTAURANTS, {"requests": "short", "refused": "short"}).decimals(1)
    )
    built.with_panel(with_threshold_line(lines_panel(total, queries.latency("total")), LATENCY))
    built.with_panel(lines_panel(planner, queries.latency("planner")))


def _add_obstacles(built: dashboard_builder.Dashboard) -> None:
    exhausted = Frame(
        id=11,
        title="Retry exhaustion (at most 1 %)",
        signal=RETRY_EXHAUSTION,
        about="Lines: share of requests that ran out of retries. Bars: events of any type that say so.",
        at=(0, 24, 12, 8),
    )
    cutoffs = Frame(
        id=12,
        title="Cutoffs and manual steps, by kind",
        signal=CUTOFFS,
        about="How often a limit (HOLD_RATE_LIMIT) or a timeout (CUTOFF) struck, or staff stepped in (MANUAL).",
        at=(12, 24, 12, 8),
    )
    errors = Frame(
        id=13,
        title="Errors, by class",
        signal=ERRORS,
        about="Errors by what went wrong. With restaurants chosen they are counted by whole days.",
        at=(0, 32, 12, 8),
    )
    by_restaurant = Frame(
        id=14,
        title="Cutoffs and manual steps, by restaurant",
        signal=CUTOFFS,
        about="The 50 restaurants with the most in the time range.",
        at=(12, 32, 12, 8),
    )
    taxonomy = Frame(
        id=15,
        title="Error taxonomy",
        signal=ERRORS,
        about="Every kind of error in the time range, most frequent first. With restaurants chosen: whole days.",
        at=(0, 40, 24, 8),
    )
    built.with_panel(
        bars_on_the_right(
            with_threshold_line(
                lines_panel(exhausted, queries.EXHAUSTION_OVER_TIME, queries.EXHAUSTION_EVENTS), RETRY_EXHAUSTION
            ),
            "B",
        )
    )
    built.with_panel(stacked_bars_panel(cutoffs, queries.CUTOFFS_OVER_TIME))
    built.with_panel(stacked_bars_panel(errors, queries.ERRORS_OVER_TIME))
    built.with_panel(table_panel(by_restaurant, queries.CUTOFFS_BY_RESTAURANT))
    built.with_panel(
        table_panel(taxonomy, queries.ERRORS_TABLE, {"share": "percentunit", "newest bucket": "dateTimeAsIso"})
    )


def _add_trust(built: dashboard_builder.Dashboard) -> None:
    pairs = Frame(
        id=16,
        title="Double bookings",
        signal=DOUBLE_BOOKINGS,
        about="Which bookings hold which table at the same time, now, whatever the time range and restaurant.",
        at=(0, 49, 12, 8),
    )
    pipeline = Frame(
        id=17,
        title="Freshness, and whether the pipeline is blocked",
        signal=FRESHNESS,
        about="The newest event, the newest pipeline runs, and whether and why the pipeline's gate is blocked.",
        at=(12, 49, 12, 8),
    )
    pair_times = dict.fromkeys(("from", "until"), "dateTimeAsIso")
    run_times = dict.fromkeys(("newest event", "last good run", "last failed run"), "dateTimeAsIso")
    built.with_panel(table_panel(pairs, queries.DOUBLE_BOOKINGS, pair_times))
    built.with_panel(table_panel(pipeline, queries.PIPELINE, run_times))


def _add_history(built: dashboard_builder.Dashboard) -> None:
    daily = Frame(
        id=18,
        title=f"Success and requests by day, {HISTORY_DAYS} days",
        signal=SUCCESS_RATE,
        about="Lines: success by UTC day; dashed: the objective. Bars: requests. Whatever the time range above.",
        at=(0, 58, 24, 9),
    )
    panel = lines_panel(daily, queries.DAILY_SUCCESS, queries.DAILY_REQUESTS, queries.OBJECTIVE)
    built.with_panel(
        bars_on_the_right(dashed(panel, "objective"), "B").max(1).decimals(1).time_from(queries.HISTORY_RANGE)
    )
