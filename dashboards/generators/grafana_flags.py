"""Feature flags: what was changed, by whom and why, and whether flags defeat one another."""

from __future__ import annotations

from dashboards.catalogue import CHANGES, ENFORCEMENT, FLAGS
from dashboards.generators import grafana_queries_holds as holds
from dashboards.generators import grafana_queries_operations as operations
from dashboards.generators import grafana_states as states
from dashboards.generators.grafana_page import row
from dashboards.generators.grafana_parts import (
    GOOD,
    WARN,
    Frame,
    coloured,
    stacked_bars_panel,
    stat_panel,
    state_panel,
    table_panel,
)
from dashboards.generators.grafana_sdk import dashboard_builder

_UNSAFE = "unsafe_flag_combination"


def add_flags(built: dashboard_builder.Dashboard) -> None:
    """Add the panels, row by row; identifiers stay with their panels for ever."""
    built.with_row(row(100, "Now"))
    _add_now(built)
    built.with_row(row(101, "Changes"))
    _add_changes(built)
    built.with_row(row(102, "Stages of rollouts"))
    _add_stages(built)


def _add_now(built: dashboard_builder.Dashboard) -> None:
    unsafe = Frame(
        id=1,
        title="Unsafe combinations",
        signal=FLAGS,
        about="The verdict of the alert: whether any was found live within the last hour.",
        size=(6, 5),
    )
    found = Frame(
        id=2,
        title="Unsafe combinations found, last 2 hours",
        signal=FLAGS,
        about="Found within the hour up to each evaluation.",
        size=(6, 5),
    )
    switch = Frame(
        id=3,
        title="holds.strictConflicts",
        signal=ENFORCEMENT,
        about="The kill switch of strict conflicts, which is above every flag.",
        size=(4, 5),
        good="on.",
    )
    share = Frame(
        id=4,
        title="Strict restaurants (100 %)",
        signal=ENFORCEMENT,
        about="The stage of the rollout of strict conflicts: share of the restaurants that are strict, now.",
        size=(4, 5),
        unit="percentunit",
        good="100 %, unless a rollout is under way.",
        steps=((None, WARN), (1.0, GOOD)),
    )
    count = Frame(
        id=5,
        title="Changes in the time range",
        signal=CHANGES,
        about="Changes of flags, stages of rollouts, and switches of strict conflicts.",
        size=(4, 5),
        steps=((None, GOOD),),
    )
    which = Frame(
        id=13,
        title="Unsafe combinations, last hour: which, and why",
        signal=FLAGS,
        about="What defeats what, as it was found within the last hour.",
        size=(24, 5),
        good="nothing.",
    )
    waiting = Frame(
        id=11,
        title="Changes that wait",
        signal=CHANGES,
        about="For an approval, for being applied, for a review or their end, now.",
        size=(4, 6),
        good="0, or somebody is looking at them.",
        steps=((None, GOOD), (1.0, WARN)),
    )
    waiting_for = Frame(
        id=12,
        title="Changes that wait: for what, until when",
        signal=CHANGES,
        about="What one person did alone comes first: it ends by itself, and somebody else has to review it. "
        "A request that nobody has answered in time is void.",
        size=(20, 6),
        good="none waits for longer than its people need.",
    )
    built.with_panel(state_panel(unsafe, operations.alert_state(_UNSAFE), states.ALERT))
    built.with_panel(stacked_bars_panel(found, operations.alert_values(_UNSAFE)).time_from("2h"))
    built.with_panel(state_panel(switch, holds.SWITCH, states.SWITCH))
    built.with_panel(stat_panel(share, holds.STRICT_SHARE))
    built.with_panel(stat_panel(count, operations.change_count("flag", "rollout", "enforcement")))
    built.with_panel(table_panel(which, operations.UNSAFE_FLAGS, {"last": "dateTimeAsIso"}))
    built.with_panel(stat_panel(waiting, operations.OPEN_CHANGE_COUNT))
    built.with_panel(
        table_panel(waiting_for, operations.OPEN_CHANGES, {"asked": "dateTimeAsIso", "until": "dateTimeAsIso"})
    )


def _add_changes(built: dashboard_builder.Dashboard) -> None:
    by_day = Frame(
        id=6,
        title="Changes by day, by kind",
        signal=CHANGES,
        about="Deployments, changes of flags, stages of rollouts and switches of strict conflicts, by UTC day.",
        size=(24, 6),
    )
    flags = Frame(
        id=7,
        title="Changes of flags: requested, approved, rejected, applied",
        signal=CHANGES,
        about="Each step of each change in the time range, the newest first, with what it was and what it is to be.",
        size=(24, 7),
    )
    deploys = Frame(
        id=8,
        title="Deployments and switches of strict conflicts",
        signal=CHANGES,
        about="What else was changed in the time range, the newest first.",
        size=(24, 7),
    )
    built.with_panel(coloured(stacked_bars_panel(by_day, operations.CHANGES_BY_DAY), states.CHANGES))
    built.with_panel(table_panel(flags, operations.changes("flag"), {"when": "dateTimeAsIso"}))
    built.with_panel(table_panel(deploys, operations.changes("deploy", "enforcement"), {"when": "dateTimeAsIso"}))


def _add_stages(built: dashboard_builder.Dashboard) -> None:
    stages = Frame(
        id=9,
        title="Stages: went on, or held back",
        signal=CHANGES,
        about="Each stage of a rollout in the time range, the newest first, and what held one back.",
        size=(24, 6),
        good="a stage goes on once its guardrails have held; one that was held back says why.",
    )
    strict = Frame(
        id=10,
        title="Strict conflicts, as they are",
        signal=ENFORCEMENT,
        about="The switch, the share of the rollout, and the restaurants that differ by name.",
        size=(24, 3),
    )
    built.with_panel(table_panel(stages, operations.changes("rollout"), {"when": "dateTimeAsIso"}))
    units = {"of the restaurants": "percentunit", "changed": "dateTimeAsIso"}
    built.with_panel(table_panel(strict, holds.ENFORCEMENT, units))
