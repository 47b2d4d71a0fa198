"""What is promised, the command that verifies it, and how its answer is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestration.drills.run import NOTIFIED_WITHIN_SECONDS, STEPS

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """What a command's answer says of a promise.

    Attributes:
        said: In one sentence, with figures.
        is_met: Whether the promise is kept.
    """

    said: str
    is_met: bool


@dataclass(frozen=True)
class Criterion:
    """One promise.

    Attributes:
        claim: In one sentence.
        command: The arguments of ``holdwatch``; each prints one JSON object.
        read: Reads that object.
        is_long: It takes minutes.
    """

    claim: str
    command: tuple[str, ...]
    read: Callable[[Json], Finding]
    is_long: bool = False


@dataclass(frozen=True)
class EdgeCase:
    """A case at the edge, and the test of it.

    Attributes:
        claim: What holds, in one sentence.
        test: Its pytest node, without parameters.
    """

    claim: str
    test: str


def _soak(found: Json) -> Finding:
    wrong = {name: found[name] for name in ("errors", "double_bookings", "lost", "duplicated", "missing_events")}
    latency = " / ".join(f"{value:,.0f}" for value in found["latency_ms"].values())
    return Finding(
        f"{found['requests']:,} requests, {found['held']:,} held, {found['conflicts']:,} refused, "
        f"{found['double_bookings']} double bookings, {found['lost']} lost, {found['duplicated']} duplicated, "
        f"{found['missing_events']} events missing, {found['errors']} errors; "
        f"{found['requests'] / found['seconds']:,.0f} answers a second, {latency} ms to an answer (P50 / P95 / P99)",
        not any(wrong.values()) and found["held"] > 0 and found["conflicts"] > 0,
    )


def _enforcement(found: Json) -> Finding:
    problems = found["problems"]
    return Finding("; ".join(problems) if problems else "in force: an overlap that was tried is refused", not problems)


def _pipeline(found: Json) -> Finding:
    said = (
        f"{found['expectations_passed']} expectations held, {found['expectations_failed']} did not; "
        f"{found['models_built']} models built; {found['tests_passed']} tests of theirs passed, "
        f"{found['tests_failed']} failed; {len(found['files'])} dashboard files, in {found['duration_seconds']:.0f} s"
    )
    return Finding(said, bool(found["succeeded"]))


def _drill(found: Json) -> Finding:
    seconds = found["seconds"]
    steps = ", ".join(f"{STEPS[step].lower()}: {passed:.1f} s" for step, passed in seconds.items())
    problems = list(found["problems"])
    return Finding("; ".join([f"after the commit {steps}", *problems]), not problems)


def _double_booking(found: Json) -> Finding:
    """As of any drill, and in time: by the notification, or by the alert where there is no Prometheus to notify."""
    drill, seconds = _drill(found), found["seconds"]
    limit = NOTIFIED_WITHIN_SECONDS["double-booking"]
    noticed = seconds.get("notified", seconds.get("firing"))
    if noticed is None or noticed <= limit:
        return Finding(drill.said, drill.is_met and noticed is not None)
    return Finding(f"{drill.said}; noticed after {noticed:.0f} s, more than {limit:.0f} s", is_met=False)


def _kill_switch(found: Json) -> Finding:
    commands = "; ".join(f"`{command}`" for command in found["commands"])
    seconds = ", ".join(
        f"{switched}: {max(seen.values()):.1f} s until the last has noticed"
        for switched, seen in found["seconds"].items()
    )
    return Finding("; ".join([commands, seconds, *found["problems"]]), not found["problems"])


def _trail(found: Json) -> Finding:
    problems = list(found["problems"])
    return Finding(
        "; ".join(problems) if problems else f"{found['entries']:,} entries, as they were written", not problems
    )


def _dashboards(found: Json) -> Finding:
    checks = found["checks"]
    skipped = [check["name"] for check in checks if check["outcome"] == "skipped"]
    count = sum(len(check["findings"]) for check in checks)
    said = f"{len(checks) - len(skipped)} checks, {count} findings"
    return Finding(said + (f"; skipped here: {', '.join(skipped)}" if skipped else ""), count == 0)


CRITERIA = (
    Criterion(
        "A thousand requests at once for a few tables: all are answered, none double-books, and events say the same.",
        ("soak", "--requests", "1000", "--concurrency", "1000", "--connections", "50", "--json"),
        _soak,
    ),
    Criterion(
        "So do a hundred thousand.",
        ("soak", "--requests", "100000", "--concurrency", "1000", "--connections", "50", "--json"),
        _soak,
        is_long=True,
    ),
    Criterion("The guard is in force, and a probe shows it.", ("enforcement", "check", "--json"), _enforcement),
    Criterion("Events become views, guarded at both ends, and dashboards.", ("pipeline", "run", "--json"), _pipeline),
    Criterion(
        "A double booking is an alert within a minute.",
        ("drill", "double-booking", "--json"),
        _double_booking,
        is_long=True,
    ),
    Criterion(
        "Alerts do not flap: a dip fires after exactly two evaluations.",
        ("drill", "success-dip", "--json"),
        _drill,
        is_long=True,
    ),
    Criterion(
        "Flags that defeat each other are an alert.", ("drill", "flag-contradiction", "--json"), _drill, is_long=True
    ),
    Criterion(
        "Strict conflicts are rolled back by the runbook's commands, within seconds, with a trail.",
        ("drill", "kill-switch", "--json"),
        _kill_switch,
    ),
    Criterion("Nobody has changed the trail of flags.", ("flags", "verify", "--json"), _trail),
    Criterion(
        "What ops load is what the catalogue generates, and every query of it runs.",
        ("dashboards", "check", "--json"),
        _dashboards,
    ),
)

_CLIENT = "tests/holds_core/test_client.py::"
_FAULTS = "tests/faults/test_load_under_faults.py::"

EDGE_CASES = (
    EdgeCase("Holds that only touch, one ending when the other begins, do not overlap.",
             f"{_CLIENT}test_neighbouring_windows_do_not_overlap"),
    EdgeCase("A booking is not in its own way.", f"{_CLIENT}test_same_booking_is_not_in_its_own_way"),
    EdgeCase("A hold without a booking stands for itself.",
             f"{_CLIENT}test_holds_without_a_booking_stand_for_themselves"),
    EdgeCase("Several tables are held together, or none.", f"{_CLIENT}test_several_tables_are_held_all_or_none"),
    EdgeCase("The same key gives the same hold, as it is now.",
             f"{_CLIENT}test_same_key_gives_the_same_hold_in_its_current_state"),
    EdgeCase("An expired hold is taken over, also before the sweeper came.",
             f"{_CLIENT}test_expired_hold_is_taken_over"),
    EdgeCase("Confirming and taking over never both win.",
             "tests/holds_core/test_concurrency.py::test_confirm_and_take_over_never_both_win"),
    EdgeCase("A refusal names nothing of the other booking.", f"{_CLIENT}test_conflict_carries_no_trace_of_the_other"),
    EdgeCase("A conflict does not end the search: the next tables are tried.",
             "tests/holds_core/test_selector.py::test_conflict_is_gone_on_from"),
    EdgeCase("A lost answer is asked for again, with the same key.",
             "tests/faults/test_lost_answers.py::test_reply_cut_after_commit_is_asked_for_again"),
    EdgeCase("Back ends are terminated under load, and the ledger adds up.", f"{_FAULTS}test_terminated_back_ends"),
    EdgeCase("So it does when they are killed.", f"{_FAULTS}test_killed_back_ends"),
    EdgeCase("So it does when the server is stopped at once, and started.",
             f"{_FAULTS}test_server_stopped_at_once_and_started"),
    EdgeCase("So it does when replies are cut after the commit.", f"{_FAULTS}test_replies_cut_after_commit"),
    EdgeCase("A full disk under the spool fails no hold.", f"{_FAULTS}test_full_disk_under_the_spool"),
    EdgeCase("Telemetry that is broken fails no hold.",
             "tests/holds_core/test_telemetry.py::test_broken_telemetry_does_not_fail_the_hold"),
    EdgeCase("Switching off waits for nobody.",
             "tests/holds_core/test_enforcement.py::test_switching_off_waits_for_nobody"),
    EdgeCase("Switching on over live overlaps is refused.",
             "tests/holds_core/test_enforcement.py::test_switching_on_over_live_overlaps_is_refused"),
    EdgeCase("The detector finds pairs without trusting the constraint.",
             "tests/holds_core/test_rollout.py::test_detector_does_not_trust_the_constraint"),
    EdgeCase("An anonymous API key can do nothing.",
             "tests/supabase/test_supabase_client.py::test_stranger_can_do_nothing"),
    EdgeCase("A schema cache that is behind still makes a conflict an error.",
             "tests/supabase/test_supabase_client.py::test_stale_schema_cache_is_lived_with"),
)  # fmt: skip
"""Faults are those of the quick tests, some hundred requests each; ``make test-all`` sends 25,000."""
