"""Judges the evidence: figures with the goals of the catalogue, and the answer that they add up to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from dashboards.alerts import ALERTS
from dashboards.catalogue import (
    DOUBLE_BOOKINGS,
    FRESHNESS,
    HISTORY_DAYS,
    LATENCY,
    MINIMUM_SAMPLE,
    RETRY_EXHAUSTION,
    SUCCESS_RATE,
    UNATTRIBUTED,
    Signal,
    Threshold,
)
from dashboards.report.reading import ALL, Evidence
from dashboards.report.words import count, counted, day, length, milliseconds, moment, percent

_ALERT_TITLES = {alert.name: alert.title for alert in ALERTS}


class State(StrEnum):
    """What is to be thought of a figure."""

    MET = "met"
    MISSED = "missed"
    UNKNOWN = "unknown"
    INFORMATION = "information"


@dataclass(frozen=True)
class Figure:
    """A number, and what is to be thought of it.

    Attributes:
        name: Stable, for programs.
        title: For people.
        value: As a number, in ``unit``; None where nothing is known.
        unit: ratio, ms, s or count.
        text: The value for people; "no data" where there is none.
        goal: In words; None where there is none.
        state: Whether the goal is met.
        note: What else should be known, in a sentence or two.
    """

    name: str
    title: str
    value: float | None
    unit: str
    text: str
    goal: str | None
    state: State
    note: str


@dataclass(frozen=True)
class Answer:
    """What somebody reads who reads nothing else.

    Attributes:
        first: Whether a table was booked twice.
        second: Whether the other goals are met, and which are not.
        state: MISSED where either is bad.
    """

    first: str
    second: str
    state: State


def threshold_of(signal: Signal) -> Threshold:
    """Return the threshold of a signal that has one."""
    assert signal.threshold is not None
    return signal.threshold


def period(evidence: Evidence) -> str:
    """Say which time the report is about: "in the last 90 days", "since 1 Nov 2026"."""
    if evidence.is_whole_history:
        return f"in the last {HISTORY_DAYS} days"
    if len(evidence.days) == 1:
        return "today"
    return f"since {day(evidence.days[0].day)}"


def figures(evidence: Evidence) -> tuple[Figure, ...]:
    """Judge everything that has a goal, and count what has none."""
    return tuple(_figures(evidence))


def answer(evidence: Evidence, judged: tuple[Figure, ...]) -> Answer:
    """Put the figures into two sentences."""
    doubles, others = judged[0], judged[1:]
    missed = [one for one in others if one.state is State.MISSED]
    met = [one for one in others if one.state is State.MET]
    if missed:
        second = "Not as it should be: " + "; ".join(f"{_in_sentence(one)} (goal: {one.goal})" for one in missed) + "."
    elif met:
        second = f"The other {counted(len(met), 'goal')} that can be judged {'is' if len(met) == 1 else 'are'} met."
    else:
        second = "There is too little data to judge anything else."
    states = {doubles.state} | {one.state for one in missed}
    state = State.MISSED if State.MISSED in states else doubles.state
    return Answer(_first_sentence(evidence, doubles), second, state)


def _in_sentence(figure: Figure) -> str:
    # An abbreviation keeps its capitals.
    title = figure.title if figure.title[1:2].isupper() else figure.title[0].lower() + figure.title[1:]
    return f"{title}, {figure.text}"


def _first_sentence(evidence: Evidence, doubles: Figure) -> str:
    when, where = period(evidence), "" if evidence.restaurant == ALL else f" at the restaurant {evidence.restaurant}"
    standing, began = evidence.standing_count, evidence.total("double_bookings")
    if not evidence.are_holds_here:
        return (
            "Whether a table was booked twice cannot be said from here: this database keeps the holds of another "
            "environment."
        )
    if standing:
        now = f"{counted(standing, 'pair')} of bookings {'holds' if standing == 1 else 'hold'} the same table right now"
        earlier = f"; {counted(began, 'double booking')} began {when}" if began else ""
        return f"Tables are booked twice{where}: {now}{earlier}."
    if began:
        times = "once" if began == 1 else f"{began:,} times"
        return f"A table was booked twice {times} {when}{where}; none is right now."
    if doubles.state is State.UNKNOWN:
        return f"No hold was recorded {when}{where}, so nothing can be said of double bookings."
    return f"No table was booked twice {when}{where}."


def _figures(evidence: Evidence) -> Iterator[Figure]:
    yield _double_bookings(evidence)
    yield _success(evidence)
    yield _latency(evidence)
    yield _retries(evidence)
    if evidence.restaurant == ALL:
        yield _unattributed(evidence)
    yield _enforcement(evidence)
    yield _let_through(evidence)
    yield _freshness(evidence)
    if evidence.restaurant == ALL:
        yield _alerts(evidence)
    yield _plain("requests", "Requests", evidence.total("assigned") + evidence.total("refused"), evidence)
    yield _plain("holds", "Holds placed", evidence.total("holds"), evidence)
    yield _plain(
        "conflicts_refused", "Conflicts refused", evidence.total("conflicts_refused"), evidence,
        "Second bookings of a held table that were turned down: the guard at work.",
    )  # fmt: skip
    yield _plain(
        "cutoffs", "Cutoffs and manual steps",
        sum(evidence.total(name) for name in ("rate_limits", "cutoffs", "manual_steps")), evidence,
        "Limits that struck, and bookings that staff made by hand.",
    )  # fmt: skip


def _double_bookings(evidence: Evidence) -> Figure:
    began, standing = evidence.total("double_bookings"), evidence.standing_count
    number = max(began, standing)
    is_known = evidence.are_holds_here and (number > 0 or evidence.total("holds") > 0)
    return Figure(
        DOUBLE_BOOKINGS.name,
        DOUBLE_BOOKINGS.title,
        number if is_known else None,
        "count",
        count(number) if is_known else "no data",
        "0",
        (State.MISSED if number else State.MET) if is_known else State.UNKNOWN,
        f"{count(began)} began {period(evidence)}; {count(standing)} stand now."
        if is_known
        else "No hold to judge by.",
    )


def _success(evidence: Evidence) -> Figure:
    """By the objective, which leaves out what full restaurants refused; it is known of all together only."""
    requests, assigned = evidence.total("assigned") + evidence.total("refused"), evidence.total("assigned")
    raw = f"{count(assigned)} of {counted(requests, 'request')} got tables"
    if evidence.restaurant == ALL:
        judged, good = evidence.objective.request_count or 0, evidence.objective.good_count or 0
        note = f"{raw}. Not counted in the rate: {count(max(requests - judged, 0))} that full restaurants refused."
    else:
        judged, good = requests, assigned
        note = f"{raw}. What the restaurant refused because it was full counts as well."
    goal = threshold_of(SUCCESS_RATE).breach
    ratio = good / judged if judged else None
    return Figure(
        SUCCESS_RATE.name,
        SUCCESS_RATE.title,
        ratio,
        "ratio",
        "no data" if ratio is None else percent(ratio, apart_from=(0.0, 1.0, goal)),
        f"at least {percent(goal)}",
        _state(ratio, judged, SUCCESS_RATE),
        note if requests else "No request was recorded.",
    )


def _latency(evidence: Evidence) -> Figure:
    goal = threshold_of(LATENCY).breach
    judged = [
        (one.p95_ms, one.day)
        for one in evidence.days
        if one.p95_ms is not None and (one.latency_samples or 0) >= MINIMUM_SAMPLE
    ]
    title, goal_text = "Waiting time, P95 of the worst day", f"under {milliseconds(goal)} on every day"
    if not judged:
        note = f"No day has {MINIMUM_SAMPLE} requests with a time."
        return Figure(LATENCY.name, title, None, "ms", "no data", goal_text, State.UNKNOWN, note)
    worst, worst_day = max(judged)
    late = sum(value > goal for value, _ in judged)
    note = f"On {day(worst_day)}. Above the goal on {late} of {counted(len(judged), 'day')}."
    whole = evidence.whole_history
    if whole is not None and evidence.is_whole_history:
        note += (
            f" All {HISTORY_DAYS} days together: P50 {milliseconds(whole.p50_ms)}, P95 {milliseconds(whole.p95_ms)}, "
            f"P99 {milliseconds(whole.p99_ms)} (as of {moment(whole.refreshed_at)})."
        )
    state = State.MISSED if late else State.MET
    return Figure(LATENCY.name, title, worst, "ms", milliseconds(worst), goal_text, state, note)


def _retries(evidence: Evidence) -> Figure:
    requests = evidence.total("assigned") + evidence.total("refused")
    exhausted, goal = evidence.total("exhausted"), threshold_of(RETRY_EXHAUSTION).breach
    ratio = exhausted / requests if requests else None
    return Figure(
        RETRY_EXHAUSTION.name,
        RETRY_EXHAUSTION.title,
        ratio,
        "ratio",
        "no data" if ratio is None else percent(ratio, apart_from=(0.0, 1.0, goal)),
        f"at most {percent(goal)}",
        _state(ratio, requests, RETRY_EXHAUSTION),
        f"{count(exhausted)} of {counted(requests, 'request')} ran out of retries." if requests else "No request.",
    )


def _unattributed(evidence: Evidence) -> Figure:
    requests = evidence.total("assigned") + evidence.total("refused")
    nameless, goal = evidence.total("unattributed"), threshold_of(UNATTRIBUTED).breach
    ratio = nameless / requests if requests else None
    return Figure(
        UNATTRIBUTED.name,
        UNATTRIBUTED.title,
        ratio,
        "ratio",
        "no data" if ratio is None else percent(ratio, apart_from=(0.0, 1.0, goal)),
        f"at most {percent(goal)}",
        _state(ratio, requests, UNATTRIBUTED),
        f"{count(nameless)} of {counted(requests, 'request')}." if requests else "No request.",
    )


def _enforcement(evidence: Evidence) -> Figure:
    name, title, goal = "strict_conflicts", "Second bookings are refused", "on, for all restaurants"
    found = evidence.enforcement
    if found is None:
        note = "The switch in this database is that of another environment."
        return Figure(name, title, None, "ratio", "no data", goal, State.UNKNOWN, note)
    share = found.strict_percentage / 100 if found.is_enabled else 0.0
    is_met = found.is_enabled and share == 1 and not (found.lenient_restaurant_count or found.unenforced_window_count)
    exempt = counted(found.lenient_restaurant_count, "restaurant")
    beside = counted(found.unenforced_window_count, "live hold")
    note = f"As of now. Exempt by name: {exempt}. Made while it was off: {beside}."
    text = f"on, for {percent(share)}" if found.is_enabled else "OFF"
    return Figure(name, title, share, "ratio", text, goal, State.MET if is_met else State.MISSED, note)


def _let_through(evidence: Evidence) -> Figure:
    number, is_known = evidence.total("conflicts_let_through"), evidence.total("hold_events") > 0
    return Figure(
        "conflicts_let_through",
        "Conflicts let through",
        number if is_known else None,
        "count",
        count(number) if is_known else "no data",
        "0",
        (State.MISSED if number else State.MET) if is_known else State.UNKNOWN,
        "Second bookings of a held table that were accepted, since refusing them was off.",
    )


def _freshness(evidence: Evidence) -> Figure:
    found, goal = evidence.freshness, threshold_of(FRESHNESS).breach
    goal_text = f"under {length(goal)} while bookings come in"
    if found is None or found.lag_seconds is None:
        return Figure(
            FRESHNESS.name, "Age of the newest event", None, "s", "no data", goal_text, State.UNKNOWN, "No event yet."
        )
    # A quiet night is no fault: whether bookings came in meanwhile is what the alert judges.
    is_stale = any(one.alert == "telemetry_stale" and one.is_breaching for one in evidence.verdicts)
    is_met = not found.is_blocked and (found.lag_seconds < goal or not is_stale)
    note = f"It is of {moment(found.newest_event_at)}."
    if found.is_blocked:
        note += f" The pipeline is blocked: {found.blocked_reason}"
    elif is_stale:
        note += " Holds are newer than the events, or the pipeline has not run for a while: the newest part may lack."
    return Figure(
        FRESHNESS.name,
        "Age of the newest event",
        found.lag_seconds,
        "s",
        length(found.lag_seconds),
        goal_text,
        State.MET if is_met else State.MISSED,
        note,
    )


def _alerts(evidence: Evidence) -> Figure:
    firing = [_ALERT_TITLES.get(one.alert, one.alert) for one in evidence.verdicts if one.is_firing]
    if not evidence.verdicts:
        return Figure("alerts_firing", "Alerts, now", None, "count", "no data", "0", State.UNKNOWN, "No verdict.")
    state = State.MISSED if firing else State.MET
    note = f"{', '.join(firing)}." if firing else f"None of {len(evidence.verdicts)} fires."
    return Figure("alerts_firing", "Alerts, now", len(firing), "count", count(len(firing)), "0", state, note)


def _plain(name: str, title: str, value: int, evidence: Evidence, note: str = "") -> Figure:
    is_known = bool(evidence.total("assigned") + evidence.total("refused") + evidence.total("hold_events") or value)
    text = count(value) if is_known else "no data"
    return Figure(name, title, value if is_known else None, "count", text, None, State.INFORMATION, note)


def _state(value: float | None, sample: int, signal: Signal) -> State:
    """Judge a ratio; nothing is concluded from a small sample."""
    threshold = threshold_of(signal)
    if value is None or sample < MINIMUM_SAMPLE:
        return State.UNKNOWN
    is_bad = value > threshold.breach if threshold.is_bad_above else value < threshold.breach
    return State.MISSED if is_bad else State.MET
