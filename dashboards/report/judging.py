"""Judges the evidence: figures with the goals of the catalogue, and the answer that they add up to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
from dashboards.report.courses import course_of_latency, course_of_share, judged_latencies
from dashboards.report.reading import ALL, Evidence
from dashboards.report.words import count, counted, day, length, milliseconds, moment, percent

NO_DATA, NONE = "no data", "none"

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
        text: The value for people; NO_DATA where there is none.
        goal: In words; None where there is none.
        state: Whether the goal is met.
        note: What else should be known, in a sentence or two.
        problem: What is wrong, as a part of a sentence; empty where nothing is.
    """

    name: str
    title: str
    value: float | None
    unit: str
    text: str
    goal: str | None
    state: State
    note: str
    problem: str = ""


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
        second = f"Not as it should be: {'; '.join(one.problem for one in missed)}."
    elif met:
        second = f"The other {counted(len(met), 'goal')} that can be judged {'is' if len(met) == 1 else 'are'} met."
    else:
        second = "There is too little data to judge anything else."
    states = {doubles.state} | {one.state for one in missed}
    state = State.MISSED if State.MISSED in states else doubles.state
    return Answer(_first_sentence(evidence, doubles), second, state)


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
    yield _plain("requests", "Requests", _requests(evidence), evidence)
    yield _plain("holds", "Holds placed", evidence.total("holds"), evidence)
    yield _plain(
        "conflicts_refused", "Conflicts refused", evidence.total("conflicts_refused"), evidence,
        "Second bookings of a held table that were turned down: the guard at work.",
    )  # fmt: skip
    yield _plain(
        "cutoffs", "Cutoffs", evidence.total("rate_limits") + evidence.total("cutoffs"), evidence,
        f"Limits of holds: {count(evidence.total('rate_limits'))}. "
        f"Cut off, such as by a time-out: {count(evidence.total('cutoffs'))}.",
    )  # fmt: skip
    yield _plain(
        "manual_steps", "Manual steps", evidence.total("manual_steps"), evidence,
        "Assignments that staff validated or forced by hand.",
    )  # fmt: skip


def _double_bookings(evidence: Evidence) -> Figure:
    began, standing = evidence.total("double_bookings"), evidence.standing_count
    number = max(began, standing)
    is_known = evidence.are_holds_here and (number > 0 or evidence.total("holds") > 0)
    if is_known:
        note = f"{count(began)} began {period(evidence)}; {count(standing)} stand now."
    elif evidence.are_holds_here:
        note = "No hold to judge by."
    else:
        note = "This database keeps the holds of another environment."
    return Figure(
        DOUBLE_BOOKINGS.name,
        DOUBLE_BOOKINGS.title,
        number if is_known else None,
        "count",
        count(number) if is_known else NO_DATA,
        NONE,
        (State.MISSED if number else State.MET) if is_known else State.UNKNOWN,
        note,
    )


def _success(evidence: Evidence) -> Figure:
    """By the objective, which leaves out what full restaurants refused."""
    requests, judged = _requests(evidence), evidence.total("judged")
    assigned, good = evidence.total("assigned"), evidence.total("good")
    if requests and not judged:
        note = f"All {counted(requests, 'request')} were refused by full restaurants, or synthetic."
    elif judged == requests:
        note = f"{count(good)} of {counted(judged, 'request')} got tables; a full restaurant refused none."
    else:
        note = (
            f"{count(good)} of the {counted(judged, 'request')} that a full restaurant did not refuse got tables. "
            f"Of all {count(requests)}: {percent(assigned / requests)}."
        )
    if good < assigned:
        note += " Synthetic load is left out of the rate."
    return _ratio(
        SUCCESS_RATE, f"{SUCCESS_RATE.title}, full restaurants left out", evidence, "good", "judged", note,
        lambda text, goal: f"{text} of the requests that a table was free for got it (goal: {goal})",
    )  # fmt: skip


def _latency(evidence: Evidence) -> Figure:
    goal = threshold_of(LATENCY).breach
    title, goal_text = "Waiting time, P95 of the worst day", f"at most {milliseconds(goal)} on every day"
    judged = judged_latencies(evidence.days)
    if not judged:
        note = f"No day has {MINIMUM_SAMPLE} requests with a time."
        return Figure(LATENCY.name, title, None, "ms", NO_DATA, goal_text, State.UNKNOWN, note)
    worst, worst_day = max(judged)
    late = sum(value > goal for value, _ in judged)
    note = f"On {day(worst_day)}. Above the goal on {late} of {counted(len(judged), 'day')}."
    note += course_of_latency(evidence, goal)
    whole = evidence.whole_history
    if whole is not None and evidence.is_whole_history:
        note += (
            f" All days together: P50 {milliseconds(whole.p50_ms)}, P95 {milliseconds(whole.p95_ms)}, "
            f"P99 {milliseconds(whole.p99_ms)} (as of {moment(whole.refreshed_at)})."
        )
    return Figure(
        LATENCY.name,
        title,
        worst,
        "ms",
        milliseconds(worst),
        goal_text,
        State.MISSED if late else State.MET,
        note,
        f"on {late} of {counted(len(judged), 'day')} one guest in 20 waited longer than {milliseconds(goal)}"
        if late
        else "",
    )


def _retries(evidence: Evidence) -> Figure:
    exhausted, requests = evidence.total("exhausted"), _requests(evidence)
    return _ratio(
        RETRY_EXHAUSTION, RETRY_EXHAUSTION.title, evidence, "exhausted", "requests",
        f"{count(exhausted)} of {counted(requests, 'request')} ran out of retries.",
        lambda text, goal: f"{text} of the requests ran out of retries (goal: {goal})",
    )  # fmt: skip


def _unattributed(evidence: Evidence) -> Figure:
    nameless, requests = evidence.total("unattributed"), _requests(evidence)
    return _ratio(
        UNATTRIBUTED, UNATTRIBUTED.title, evidence, "unattributed", "requests",
        f"{count(nameless)} of {counted(requests, 'request')}.",
        lambda text, goal: f"{text} of the requests name no restaurant (goal: {goal})",
    )  # fmt: skip


def _enforcement(evidence: Evidence) -> Figure:
    name, title, goal = "strict_conflicts", "Second bookings are refused", "on, for all restaurants"
    if evidence.restaurant != ALL:
        title += " (all restaurants)"
    found = evidence.enforcement
    if found is None:
        note = "The switch in this database is that of another environment."
        return Figure(name, title, None, "ratio", NO_DATA, goal, State.UNKNOWN, note)
    share = found.strict_percentage / 100 if found.is_enabled else 0.0
    exempt = counted(found.lenient_restaurant_count, "restaurant")
    beside = counted(found.unenforced_window_count, "live hold")
    problems = []
    if not found.is_enabled:
        problems.append("refusing second bookings is switched OFF")
    elif share < 1:
        problems.append(f"second bookings are refused at {percent(share)} of the restaurants only")
    if found.lenient_restaurant_count:
        problems.append(f"{exempt} {'is' if found.lenient_restaurant_count == 1 else 'are'} exempt from the guard")
    if found.unenforced_window_count:
        problems.append(f"{beside} made while the guard was off {'is' if beside.startswith('1 ') else 'are'} beside it")
    return Figure(
        name,
        title,
        share,
        "ratio",
        f"on, for {percent(share)}" if found.is_enabled else "OFF",
        goal,
        State.MISSED if problems else State.MET,
        f"As of now. Exempt by name: {exempt}. Made while it was off, and beside the guard: {beside}.",
        "; ".join(problems),
    )


def _let_through(evidence: Evidence) -> Figure:
    number, is_known = evidence.total("conflicts_let_through"), evidence.total("hold_events") > 0
    return Figure(
        "conflicts_let_through",
        "Conflicts let through",
        number if is_known else None,
        "count",
        count(number) if is_known else NO_DATA,
        NONE,
        (State.MISSED if number else State.MET) if is_known else State.UNKNOWN,
        "Second bookings of a held table that were accepted, since refusing them was off.",
        f"{counted(number, 'second booking')} of held tables let through while refusing was off" if number else "",
    )


def _freshness(evidence: Evidence) -> Figure:
    title, goal = "Age of the newest event", threshold_of(FRESHNESS).breach
    goal_text = f"under {length(goal)} while bookings come in"
    found = evidence.freshness
    if found is None or found.newest_event_at is None:
        return Figure(FRESHNESS.name, title, None, "s", NO_DATA, goal_text, State.UNKNOWN, "There is no event yet.")
    seconds = max((evidence.read_at - found.newest_event_at).total_seconds(), 0.0)
    # A quiet night is no fault: whether bookings came in meanwhile is what the alert judges, by the holds.
    is_silent = any(one.alert == "telemetry_stale" and one.is_breaching for one in evidence.verdicts)
    age, note, problem = length(seconds), f"It is of {moment(found.newest_event_at)}.", ""
    state = State.MET
    if found.is_blocked:
        problem = f"the pipeline is blocked ({(found.blocked_reason or '').rstrip('.')})"
    elif seconds >= goal and not evidence.are_holds_here:
        state, note = State.UNKNOWN, f"{note} Whether bookings came in since then cannot be said from here."
    elif seconds >= goal and is_silent:
        problem = f"the newest event is {age} old, so that what happened since may be missing here"
    elif seconds >= goal:
        note = f"{note} The holds are no newer."
    return Figure(
        FRESHNESS.name, title, seconds, "s", age, goal_text, State.MISSED if problem else state, note, problem
    )


def _alerts(evidence: Evidence) -> Figure:
    name, title = "alerts_firing", "Alerts that fire now"
    firing = [_ALERT_TITLES.get(one.alert, one.alert) for one in evidence.verdicts if one.is_firing]
    if not evidence.verdicts:
        return Figure(name, title, None, "count", NO_DATA, NONE, State.UNKNOWN, "There is no verdict.")
    said = ", ".join(firing)
    return Figure(
        name,
        title,
        len(firing),
        "count",
        count(len(firing)),
        NONE,
        State.MISSED if firing else State.MET,
        f"{said}." if firing else f"Of {len(evidence.verdicts)}.",
        f"{counted(len(firing), 'alert')} fire{'s' if len(firing) == 1 else ''} now ({said})" if firing else "",
    )


def _plain(name: str, title: str, value: int, evidence: Evidence, note: str = "") -> Figure:
    is_known = bool(_requests(evidence) + evidence.total("hold_events") + value)
    text = count(value) if is_known else NO_DATA
    return Figure(name, title, value if is_known else None, "count", text, None, State.INFORMATION, note)


def _requests(evidence: Evidence) -> int:
    return evidence.total("assigned") + evidence.total("refused")


def _ratio(
    signal: Signal,
    title: str,
    evidence: Evidence,
    part_name: str,
    whole_name: str,
    note: str,
    problem: Callable[[str, str], str],
) -> Figure:
    """Judge a share of requests by its threshold; nothing is concluded from a small sample."""
    threshold, part, whole = threshold_of(signal), evidence.total(part_name), evidence.total(whole_name)
    goal = f"{'at most' if threshold.is_bad_above else 'at least'} {percent(threshold.breach)}"
    if not whole:
        note = note if _requests(evidence) else "No request was recorded."
        return Figure(signal.name, title, None, "ratio", NO_DATA, goal, State.UNKNOWN, note)
    value = part / whole
    text = percent(value, apart_from=(0.0, 1.0, threshold.breach))
    is_bad = value > threshold.breach if threshold.is_bad_above else value < threshold.breach
    if whole < MINIMUM_SAMPLE:
        state, note = State.UNKNOWN, f"{note} Fewer than {MINIMUM_SAMPLE} say nothing."
    else:
        state = State.MISSED if is_bad else State.MET
    said = problem(text, goal) if state is State.MISSED else ""
    note += course_of_share(evidence, part_name, whole_name, threshold.breach)
    return Figure(signal.name, title, value, "ratio", text, goal, state, note, said)
