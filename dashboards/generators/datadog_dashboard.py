"""The Datadog dashboard: the same signals as Grafana's overview, over the series that are pushed.

Ratios are made of counts, so that they are right over any time; percentiles cannot be added up, and are those of the
newest hour, or as judged.
"""

from __future__ import annotations

from dashboards import datadog_metrics as metrics
from dashboards.alerts import ALERTS
from dashboards.catalogue import (
    CUTOFFS,
    DOUBLE_BOOKINGS,
    ERROR_BUDGET,
    ERRORS,
    FLAGS,
    FRESHNESS,
    LATENCY,
    RETRY_EXHAUSTION,
    SUCCESS_RATE,
    UNATTRIBUTED,
    Signal,
)
from dashboards.datadog_metrics import Metric
from dashboards.generators.datadog_monitors import MANAGED_TAG
from dashboards.generators.datadog_parts import (
    Json,
    Limit,
    Line,
    bars,
    group,
    lines,
    note,
    number,
    stacked,
    toplist,
)

MARK = "dashboard:overview"
"""Dashboards have no tags of one's own: this one is found again by this in its description."""


def dashboard() -> Json:
    """Return the body."""
    return {
        "title": "[holdwatch] Overview",
        "description": (
            "Whether bookings get their tables, and whether two get the same one. Generated; a push overwrites what is "
            f"changed here. {MANAGED_TAG} {MARK}"
        ),
        "layout_type": "ordered",
        "reflow_type": "fixed",
        "template_variables": [
            {"name": "env", "prefix": "env", "available_values": ["dev", "staging", "prod"], "defaults": ["*"]}
        ],
        "widgets": stacked([_glance(), _requests(), _budget(), _obstacles(), _trust(), _restaurants()]),
    }


def _of(
    metric: Metric, *where: str, by: tuple[str, ...] = ("env",), together: str = "avg", restaurant: str = "all"
) -> str:
    """Return a query over one metric: in the environment that is chosen, of all restaurants together where it has them.

    Args:
        metric: What is asked for.
        where: More tags.
        by: Tags whose values are series of their own.
        together: How series that fall together are made one.
        restaurant: Whose; with ``restaurant`` among ``by``, all but the rows of all together.
    """
    scope = ["$env", *where]
    if "restaurant" in metric.tags:
        scope.append("!restaurant:all" if "restaurant" in by else f"restaurant:{restaurant}")
    grouped = f" by {{{','.join(by)}}}" if by else ""
    counted = ".as_count()" if metric.kind is metrics.Kind.COUNT else ""
    function = "sum" if metric.kind is metrics.Kind.COUNT else together
    return f"{function}:{metric.name}{{{','.join(scope)}}}{grouped}{counted}"


def _success(by: tuple[str, ...] = ("env",)) -> dict[str, str]:
    return {
        "assigned": _of(metrics.REQUESTS, "outcome:assigned", by=by),
        "requests": _of(metrics.REQUESTS, by=by),
    }


def _percent(signal: Signal) -> Limit:
    threshold = signal.threshold
    assert threshold is not None
    return Limit(100 * threshold.breach, 100 * threshold.recovery, threshold.is_bad_above)


def _limit(signal: Signal) -> Limit:
    threshold = signal.threshold
    assert threshold is not None
    return Limit(threshold.breach, threshold.recovery, threshold.is_bad_above)


def _judged(alert: str, metric: Metric = metrics.ALERT_VALUE) -> str:
    assert alert in {one.name for one in ALERTS}
    return _of(metric, f"alert:{alert}", together="max")


def _glance() -> Json:
    firing: Json = {
        "type": "manage_status",
        "title": "Alerts",
        "query": f"tag:({MANAGED_TAG})",
        "summary_type": "monitors",
        "display_format": "countsAndList",
        "color_preference": "background",
        "sort": "status,asc",
        "hide_zero_counts": True,
        "show_last_triggered": True,
        "show_priority": True,
    }
    objective: Json = {
        "type": "slo_list",
        "title": "Objective, over 30 days",
        "requests": [{"request_type": "slo_list", "query": {"query_string": MANAGED_TAG, "limit": 10}}],
    }
    everywhere: tuple[str, ...] = ()
    success = Line("", "100 * assigned / requests", _success(everywhere), aggregator="sum")
    p95 = _of(metrics.LATENCY, "percentile:0.95", "phase:total", by=everywhere, together="max")
    exhausted = {
        "exhausted": _of(metrics.EXHAUSTED, by=everywhere),
        "requests": _of(metrics.REQUESTS, by=everywhere),
    }
    nameless = {
        "nameless": _of(metrics.REQUESTS, by=everywhere, restaurant="none"),
        "requests": _of(metrics.REQUESTS, by=everywhere),
    }
    pairs = _of(metrics.DOUBLE_BOOKINGS, by=everywhere, together="sum")
    lag = _of(metrics.LAG, by=everywhere, together="max")
    return group(
        "At a glance",
        [firing, objective],
        [
            number("Success (95 % or more)", SUCCESS_RATE, success, _percent(SUCCESS_RATE), unit="%"),
            number("P95, newest hour (under 3 s)", LATENCY, Line("", "p95", {"p95": p95}), _limit(LATENCY), unit="ms"),
            number(
                "Out of retries (at most 1 %)",
                RETRY_EXHAUSTION,
                Line("", "100 * exhausted / requests", exhausted, aggregator="sum"),
                _percent(RETRY_EXHAUSTION),
                unit="%",
                precision=2,
            ),
            number(
                "Double bookings (only 0 is right)",
                DOUBLE_BOOKINGS,
                Line("", "pairs", {"pairs": pairs}),
                _limit(DOUBLE_BOOKINGS),
                precision=0,
            ),
            number(
                "No restaurant named (at most 10 %)",
                UNATTRIBUTED,
                Line("", "100 * default_zero(nameless) / requests", nameless, aggregator="sum"),
                _percent(UNATTRIBUTED),
                unit="%",
            ),
            number(
                "Newest event (under 300 s old)",
                FRESHNESS,
                Line("", "lag", {"lag": lag}),
                _limit(FRESHNESS),
                unit="s",
                precision=0,
            ),
        ],
        heights=(4, 2),
    )


def _percentiles(phase: str) -> list[Line]:
    names = {0.5: "p50", 0.95: "p95", 0.99: "p99"}
    return [
        Line(name.upper(), name, {name: _of(metrics.LATENCY, f"percentile:{share:g}", f"phase:{phase}")})
        for share, name in names.items()
    ]


def _requests() -> Json:
    total, planner = (_percentiles(phase) for phase in ("total", "planner"))
    judged = Line("P95 as judged, 5 minutes", "judged", {"judged": _judged("latency_p95_high")})
    return group(
        "Requests",
        [
            lines(
                "Success over time, against the objective (95 %)",
                SUCCESS_RATE,
                Line("success", "100 * assigned / requests", _success()),
                limit=_percent(SUCCESS_RATE),
                unit="%",
            ),
            bars(
                "Requests, by outcome",
                SUCCESS_RATE,
                Line("", "requests", {"requests": _of(metrics.REQUESTS, by=("env", "outcome"))}),
            ),
        ],
        [
            lines(
                "Latency, total: P50, P95, P99 of the newest hour (P95 under 3 s)",
                LATENCY,
                *total,
                judged,
                limit=_limit(LATENCY),
                unit="ms",
            ),
            lines("Latency, planner: P50, P95, P99 of the newest hour", LATENCY, *planner, unit="ms"),
        ],
        heights=(3, 3),
    )


def _budget() -> Json:
    burns = [
        Line(name, f"burn_{window}", {f"burn_{window}": _of(metrics.BURN_RATE, f"window:{window}")})
        for window, name in (("1h", "1 hour"), ("6h", "6 hours"), ("72h", "3 days"))
    ]
    spent = Line("left of 30 days", "100 * (1 - spent)", {"spent": _of(metrics.BURN_RATE, "window:720h")})
    return group(
        "Error budget",
        [
            lines(
                "Burn, by window (1 lasts the 30 days; 14.4 over an hour pages)",
                ERROR_BUDGET,
                *burns,
                limit=_limit(ERROR_BUDGET),
            ),
            lines("Error budget left", ERROR_BUDGET, spent, limit=Limit(0, 0, is_bad_above=False), unit="%"),
        ],
        heights=(3,),
    )


def _obstacles() -> Json:
    exhausted = {"exhausted": _of(metrics.EXHAUSTED), "requests": _of(metrics.REQUESTS)}
    return group(
        "What stands in the way",
        [
            lines(
                "Retry exhaustion (at most 1 %)",
                RETRY_EXHAUSTION,
                Line("out of retries", "100 * exhausted / requests", exhausted),
                limit=_percent(RETRY_EXHAUSTION),
                unit="%",
            ),
            bars(
                "Cutoffs and manual steps, by kind",
                CUTOFFS,
                Line("", "cutoffs", {"cutoffs": _of(metrics.CUTOFFS, by=("kind",))}),
            ),
        ],
        [
            bars("Errors, by class", ERRORS, Line("", "errors", {"errors": _of(metrics.ERRORS, by=("class",))})),
            toplist(
                "Error taxonomy",
                ERRORS,
                Line(
                    "",
                    "errors",
                    {"errors": _of(metrics.ERRORS, by=("class", "code", "source", "severity"))},
                    limit=50,
                    aggregator="sum",
                ),
            ),
        ],
        heights=(3, 3),
    )


def _trust() -> Json:
    return group(
        "Double bookings, flags, and whether telemetry can be trusted",
        [
            lines(
                "Double bookings (only 0 is right)",
                DOUBLE_BOOKINGS,
                Line("pairs", "pairs", {"pairs": _of(metrics.DOUBLE_BOOKINGS)}),
            ),
            lines(
                "Unsafe flag combinations, found within the hour (only 0 is right)",
                FLAGS,
                Line("found", "found", {"found": _judged("unsafe_flag_combination")}),
            ),
        ],
        [
            lines(
                "Lag of telemetry (under 300 s while bookings come in)",
                FRESHNESS,
                Line("newest event", "lag", {"lag": _of(metrics.LAG)}),
                Line("rollups", "refresh", {"refresh": _of(metrics.REFRESH_LAG)}),
                limit=_limit(FRESHNESS),
                unit="s",
            ),
            lines(
                "Pipeline: time since a good run, and whether it is blocked",
                FRESHNESS,
                Line("last good run", "age", {"age": _of(metrics.RUN_AGE)}),
                Line("blocked (1)", "blocked", {"blocked": _of(metrics.IS_BLOCKED)}),
                unit="s",
            ),
        ],
        heights=(3, 3),
    )


def _restaurants() -> Json:
    each = ("env", "restaurant")
    return group(
        "Restaurants",
        [
            note(
                "These need the restaurants' own series: `holdwatch metrics push --restaurants`, or "
                "`HOLDWATCH_DATADOG_RESTAURANTS=1` for the schedule. Datadog charges by the number of series. "
                "Without them, `none` stands for requests that name no restaurant."
            )
        ],
        [
            toplist(
                "Worst restaurants: success, lowest first",
                SUCCESS_RATE,
                Line("success, %", "100 * assigned / requests", _success(each), limit=-20, aggregator="sum"),
            ),
            toplist(
                "Cutoffs and manual steps, by restaurant",
                CUTOFFS,
                Line("", "cutoffs", {"cutoffs": _of(metrics.CUTOFFS, by=each)}, limit=50, aggregator="sum"),
            ),
        ],
        heights=(1, 4),
    )
