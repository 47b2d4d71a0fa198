"""Pipeline health: whether the pages are of now, what is blocked and why, and how alerts have been judged."""

from __future__ import annotations

from dashboards.catalogue import ALERT_VERDICTS, ERRORS, FRESHNESS, PIPELINE_RUNS
from dashboards.generators import grafana_queries_operations as operations
from dashboards.generators import grafana_states as states
from dashboards.generators.grafana_page import row
from dashboards.generators.grafana_parts import (
    BAD,
    GOOD,
    WARN,
    Frame,
    coloured,
    lines_panel,
    stacked_bars_panel,
    stat_panel,
    state_history_panel,
    state_panel,
    table_panel,
    with_column_link,
    with_states,
)
from dashboards.generators.grafana_sdk import common, dashboard_builder

_RUNBOOK_OF_ALERT = "${runbooks}/${__value.raw}.md#first-five-minutes"


def add_pipeline(built: dashboard_builder.Dashboard) -> None:
    """Add the panels, row by row; identifiers stay with their panels for ever."""
    built.with_row(row(100, "Is this page of now"))
    _add_now(built)
    built.with_row(row(101, "Alerts"))
    _add_alerts(built)
    built.with_row(row(102, "Runs"))
    _add_runs(built)
    built.with_row(row(103, "Maintenance"))
    _add_maintenance(built)


def _add_now(built: dashboard_builder.Dashboard) -> None:
    fresh = Frame(
        id=1,
        title="Newest event (under 300 s old)",
        signal=FRESHNESS,
        about="Time since the newest event was recorded.",
        size=(5, 4),
    )
    run = Frame(
        id=2,
        title="Last good run (under 15 min ago)",
        signal=PIPELINE_RUNS,
        about="Time since a run of the pipeline last succeeded, of any job.",
        size=(5, 4),
        good="under 15 minutes: rollups are refreshed every five.",
        steps=((None, GOOD), (600.0, WARN), (900.0, BAD)),
    )
    rollups = Frame(
        id=3,
        title="Rollups refreshed (under 15 min ago)",
        signal=FRESHNESS,
        about="Time since the rollup that was refreshed least recently was. The views stay live, and grow slow.",
        size=(5, 4),
        good="under 15 minutes.",
        steps=((None, GOOD), (600.0, WARN), (900.0, BAD)),
    )
    gate = Frame(
        id=4,
        title="Gate",
        signal=PIPELINE_RUNS,
        about="Whether a data-quality gate has stopped a job that has not succeeded since.",
        size=(4, 4),
        good="open. A blocked pipeline leaves the views live, and whatever else it makes as it was.",
    )
    failed = Frame(
        id=5,
        title="Failed or blocked runs (0)",
        signal=PIPELINE_RUNS,
        about="Runs in the time range that did not succeed.",
        size=(5, 4),
        unit="short",
        good="0.",
        steps=((None, GOOD), (1.0, WARN)),
    )
    whole = Frame(
        id=6,
        title="What is blocked, and why",
        signal=FRESHNESS,
        about="The newest event, the newest pipeline runs, and what the gate said.",
        size=(16, 5),
    )
    each = Frame(
        id=7,
        title="Rollups, each",
        signal=FRESHNESS,
        about="When each rollup was refreshed.",
        size=(8, 5),
        good="each under 15 minutes ago.",
    )
    built.with_panel(stat_panel(fresh, operations.FRESHNESS))
    built.with_panel(stat_panel(run, operations.GOOD_RUN_AGE))
    built.with_panel(stat_panel(rollups, operations.REFRESH_LAG))
    built.with_panel(state_panel(gate, operations.IS_BLOCKED, states.GATE))
    built.with_panel(stat_panel(failed, operations.FAILED_RUNS))
    times = dict.fromkeys(("newest event", "last good run", "last failed run"), "dateTimeAsIso")
    built.with_panel(table_panel(whole, operations.PIPELINE, times))
    built.with_panel(table_panel(each, operations.ROLLUPS, {"refreshed": "dateTimeAsIso"}))


def _add_alerts(built: dashboard_builder.Dashboard) -> None:
    now = Frame(
        id=8,
        title="Alerts, as judged now",
        signal=ALERT_VERDICTS,
        about="Every alert: what it goes by, where it breaches, how often it has in a row, and its runbook.",
        size=(24, 13),
    )
    history = Frame(
        id=9,
        title="Alerts over the last 2 hours",
        signal=ALERT_VERDICTS,
        about="The verdict of each evaluation period. Breaching turns to firing after two in a row.",
        size=(24, 10),
    )
    table = with_states(table_panel(now, operations.ALERT_TABLE, {"period": "dateTimeAsIso"}), "state", states.ALERT)
    built.with_panel(with_column_link(table, "runbook", "First five minutes", _RUNBOOK_OF_ALERT))
    built.with_panel(state_history_panel(history, operations.ALERT_HISTORY, states.ALERT).time_from("2h"))


def _add_runs(built: dashboard_builder.Dashboard) -> None:
    runs = Frame(
        id=10,
        title="Last runs",
        signal=PIPELINE_RUNS,
        about="The last 100 runs, whatever the time range: how each ended, and why it did not succeed.",
        size=(12, 9),
    )
    durations = Frame(
        id=11,
        title="How long runs take",
        signal=PIPELINE_RUNS,
        about="Each run by its end, its job and its outcome.",
        size=(12, 9),
        good="seconds for a refresh, a minute or two for the whole pipeline, and no slow growth.",
    )
    errors = Frame(
        id=12,
        title="Errors of the pipeline",
        signal=ERRORS,
        about="Errors of class pipeline, by the component that reports them.",
        size=(24, 7),
        good="none: each is a run that failed.",
    )
    built.with_panel(
        with_states(table_panel(runs, operations.RUNS, {"ended": "dateTimeAsIso", "took": "s"}), "outcome", states.RUN)
    )
    built.with_panel(
        coloured(lines_panel(durations, operations.RUN_DURATIONS), states.RUN_DURATIONS)
        .draw_style(common.GraphDrawStyle.POINTS)
        .show_points(common.VisibilityMode.ALWAYS)
        .point_size(6)
    )
    built.with_panel(stacked_bars_panel(errors, operations.PIPELINE_ERRORS_OVER_TIME))


def _add_maintenance(built: dashboard_builder.Dashboard) -> None:
    windows = Frame(
        id=13,
        title="Known maintenance",
        signal=ALERT_VERDICTS,
        about="Now, in the last 7 days and the next 14. It mutes every alert but double bookings.",
        size=(24, 6),
        good="none while guests book, and none that nobody can explain.",
    )
    times = dict.fromkeys(("from", "until"), "dateTimeAsIso")
    built.with_panel(with_states(table_panel(windows, operations.MAINTENANCE, times), "state", states.MAINTENANCE))
