"""Holds and conflicts: what holds do, what is refused and let through, and whether strict conflicts are in force."""

from __future__ import annotations

from dashboards.catalogue import CUTOFFS, DOUBLE_BOOKINGS, ENFORCEMENT, HOLDS
from dashboards.generators import grafana_queries as queries
from dashboards.generators import grafana_queries_holds as holds
from dashboards.generators import grafana_queries_operations as operations
from dashboards.generators import grafana_states as states
from dashboards.generators.grafana_page import restaurant_url, row
from dashboards.generators.grafana_parts import (
    BAD,
    GOOD,
    WARN,
    Frame,
    coloured,
    lines_panel,
    stacked_bars_panel,
    stat_panel,
    state_panel,
    table_panel,
    with_column_link,
)
from dashboards.generators.grafana_sdk import dashboard_builder

_ANY_IS_BAD = ((None, GOOD), (1.0, BAD))
_PLAIN = ((None, GOOD),)


def add_holds(built: dashboard_builder.Dashboard) -> None:
    """Add the panels, row by row; identifiers stay with their panels for ever."""
    built.with_row(row(100, "Is the guard on, and does it hold"))
    _add_guard(built)
    built.with_row(row(101, "What holds do"))
    _add_activity(built)
    built.with_row(row(102, "Double bookings"))
    _add_pairs(built)
    built.with_row(row(103, "Cutoffs and manual steps"))
    _add_cutoffs(built)
    built.with_row(row(104, "The switch of strict conflicts"))
    _add_switch(built)


def _add_guard(built: dashboard_builder.Dashboard) -> None:
    switch = Frame(
        id=1,
        title="Strict conflicts",
        signal=ENFORCEMENT,
        about="The kill switch, now: whether overlapping holds are refused at all.",
        size=(4, 4),
        good="on.",
    )
    share = Frame(
        id=2,
        title="Strict restaurants (100 %)",
        signal=ENFORCEMENT,
        about="Share of the restaurants that are strict by the rollout while the switch is on, now.",
        size=(4, 4),
        unit="percentunit",
        good="100 %, unless a rollout is under way.",
        steps=((None, WARN), (1.0, GOOD)),
    )
    beside = Frame(
        id=3,
        title="Beside the constraint (only 0 is safe)",
        signal=ENFORCEMENT,
        about="Live windows that the constraint does not watch, made while strict conflicts were off for them.",
        size=(4, 4),
        good="0: what is not watched can be double booked.",
        steps=((None, GOOD), (1.0, WARN)),
    )
    double = Frame(
        id=4,
        title="Double bookings (only 0 is right)",
        signal=DOUBLE_BOOKINGS,
        about="Overlapping pairs of live windows of different bookings, now, whatever the time range and restaurant.",
        size=(4, 4),
    )
    refused = Frame(
        id=5,
        title="Conflicts refused",
        signal=HOLDS,
        about="Attempts in the time range to hold a table that another booking holds.",
        size=(4, 4),
        unit="locale",
        good="few beside the holds that are placed. Each was refused as it should be.",
        steps=_PLAIN,
    )
    let_through = Frame(
        id=6,
        title="Conflicts let through (only 0 is right)",
        signal=HOLDS,
        about="Holds in the time range that strict mode would have refused.",
        size=(4, 4),
        good="0 where strict conflicts are on. Before a restaurant's rollout: what it will refuse.",
        steps=_ANY_IS_BAD,
    )
    built.with_panel(state_panel(switch, holds.SWITCH, states.SWITCH))
    built.with_panel(stat_panel(share, holds.STRICT_SHARE))
    built.with_panel(stat_panel(beside, holds.UNENFORCED))
    built.with_panel(stat_panel(double, holds.DOUBLE_BOOKING_COUNT))
    built.with_panel(stat_panel(refused, holds.activity_count(holds.REFUSED)))
    built.with_panel(stat_panel(let_through, holds.activity_count(holds.LET_THROUGH)))


def _add_activity(built: dashboard_builder.Dashboard) -> None:
    life = Frame(
        id=7,
        title="Holds placed, confirmed, released, expired",
        signal=HOLDS,
        about="What became of holds, over time.",
        size=(12, 8),
        good="about as many are confirmed as are placed; those that expire are guests who gave up.",
    )
    conflicts = Frame(
        id=8,
        title="Conflicts: refused, and let through",
        signal=HOLDS,
        about="Attempts to hold a table that another booking holds. Let through: strict conflicts were off for it.",
        size=(12, 8),
    )
    by_restaurant = Frame(
        id=9,
        title="Conflicts, by restaurant",
        signal=HOLDS,
        about="The 50 restaurants with the most in the time range, those that let any through first.",
        size=(24, 8),
    )
    activities = holds.activities_over_time("created", "confirmed", "released", "expired")
    built.with_panel(coloured(lines_panel(life, activities), states.LIFE))
    built.with_panel(
        coloured(
            stacked_bars_panel(conflicts, holds.activities_over_time(holds.REFUSED, holds.LET_THROUGH)),
            states.CONFLICTS,
        )
    )
    built.with_panel(
        with_column_link(
            table_panel(
                by_restaurant, holds.CONFLICTS_BY_RESTAURANT, {"refused share": "percentunit", "created": "locale"}
            ),
            "restaurant",
            "Open the restaurant's page",
            restaurant_url(),
        )
    )


def _add_pairs(built: dashboard_builder.Dashboard) -> None:
    pairs = Frame(
        id=10,
        title="Double bookings",
        signal=DOUBLE_BOOKINGS,
        about="Which bookings hold which table at the same time, now, whatever the time range and restaurant.",
        size=(24, 6),
    )
    times = dict.fromkeys(("from", "until", "since"), "dateTimeAsIso")
    built.with_panel(table_panel(pairs, holds.DOUBLE_BOOKINGS, times))


def _add_cutoffs(built: dashboard_builder.Dashboard) -> None:
    cutoffs = Frame(
        id=11,
        title="Cutoffs and manual steps, by kind",
        signal=CUTOFFS,
        about="How often a limit (HOLD_RATE_LIMIT) or a timeout (CUTOFF) struck, or staff stepped in (MANUAL).",
        size=(12, 8),
    )
    by_restaurant = Frame(
        id=12,
        title="Cutoffs and manual steps, by restaurant",
        signal=CUTOFFS,
        about="The 50 restaurants with the most in the time range.",
        size=(12, 8),
    )
    built.with_panel(coloured(stacked_bars_panel(cutoffs, queries.CUTOFFS_OVER_TIME), states.CUTOFFS))
    built.with_panel(
        with_column_link(
            table_panel(by_restaurant, queries.CUTOFFS_BY_RESTAURANT),
            "restaurant",
            "Open the restaurant's page",
            restaurant_url(),
        )
    )


def _add_switch(built: dashboard_builder.Dashboard) -> None:
    state = Frame(
        id=13,
        title="As it is",
        signal=ENFORCEMENT,
        about="The switch, the rollout, the restaurants that differ by name, and who changed it last and why.",
        size=(24, 3),
    )
    changes = Frame(
        id=14,
        title="Changes in the time range",
        signal=ENFORCEMENT,
        good="each has a reason, and somebody was told before.",
        about="Each time that strict conflicts were switched, for all, for a share, or for one restaurant.",
        size=(24, 6),
    )
    units = {"of the restaurants": "percentunit", "changed": "dateTimeAsIso"}
    built.with_panel(table_panel(state, holds.ENFORCEMENT, units))
    built.with_panel(table_panel(changes, operations.changes("enforcement", "rollout"), {"when": "dateTimeAsIso"}))
