"""What is written down is what the commands said, and nothing counts as met that was not run."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from orchestration.evidence.criteria import CRITERIA, EDGE_CASES, Criterion, EdgeCase, Finding
from orchestration.evidence.page import Setting, page
from orchestration.evidence.verify import Verification, Verified, verify, verify_criterion, verify_edge_cases
from orchestration.paths import PROJECT_ROOT
from tests.orchestration.cli.calling import call, tree

SOAK: dict[str, Any] = {
    "requests": 100, "held": 60, "conflicts": 40, "errors": 0, "double_bookings": 0, "lost": 0, "duplicated": 0,
    "missing_events": 0, "seconds": 2.0, "latency_ms": {"p50": 5.0, "p95": 9.0, "p99": 12.0},
}  # fmt: skip
PIPELINE = {
    "succeeded": True, "expectations_passed": 9, "expectations_failed": 0, "models_built": 30, "tests_passed": 200,
    "tests_failed": 0, "files": ["a.json"], "duration_seconds": 20.0,
}  # fmt: skip
IN_TIME = {"seconds": {"view": 0.2, "firing": 15.0, "notified": 59.0, "over": 80.0}, "problems": []}
ROLLED_BACK = {"commands": ["off", "on"], "seconds": {"off": {"command": 0.5}, "on": {"command": 0.6}}, "problems": []}
TRAIL = {"entries": 12, "problems": []}
CHECKS = {"checks": [{"name": "lint", "outcome": "passed", "findings": []}]}
PROBLEM = {"problems": ["It did not come to that."]}

SAID: dict[tuple[str, ...], tuple[dict[str, Any], list[dict[str, Any]]]] = {
    ("soak",): (
        SOAK,
        [
            *(SOAK | {name: 1} for name in ("errors", "double_bookings", "lost", "duplicated", "missing_events")),
            *(SOAK | {name: 0} for name in ("held", "conflicts")),
        ],
    ),
    ("enforcement", "check"): ({"problems": []}, [PROBLEM]),
    ("pipeline", "run"): (PIPELINE, [PIPELINE | {"succeeded": False}]),
    ("drill", "double-booking"): (
        IN_TIME,
        [
            IN_TIME | PROBLEM,
            IN_TIME | {"seconds": {"firing": 15.0, "notified": 61.0}},
            IN_TIME | {"seconds": {"firing": 61.0}},
            IN_TIME | {"seconds": {"view": 0.2}},
        ],
    ),
    ("drill", "success-dip"): (IN_TIME, [IN_TIME | PROBLEM]),
    ("drill", "flag-contradiction"): (IN_TIME, [IN_TIME | PROBLEM]),
    ("drill", "kill-switch"): (ROLLED_BACK, [ROLLED_BACK | PROBLEM]),
    ("flags", "verify"): (TRAIL, [TRAIL | PROBLEM]),
    ("dashboards", "check"): (CHECKS, [{"checks": [{"name": "lint", "outcome": "failed", "findings": [{}]}]}]),
}
"""By command: what it says when all is well, and each way in which it is not."""

SETTING = Setting(datetime(2030, 1, 31, 18, tzinfo=UTC), "1.0", "18.0", 2, "dev")


@pytest.fixture(autouse=True)
def database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands work on a database of the test's own."""
    monkeypatch.setenv("HOLDWATCH_DATABASE_URL", database_url)


def test_every_command_is_one() -> None:
    """A command that was renamed would be evidence of nothing."""
    known = {path for path, _ in tree()}
    for criterion in CRITERIA:
        words = tuple(word for word in criterion.command if not word.startswith("-") and not word.isdigit())
        assert words in known
        assert "--json" in criterion.command


@pytest.mark.parametrize("criterion", CRITERIA, ids=lambda criterion: " ".join(criterion.command[:3]))
def test_every_answer_is_judged(criterion: Criterion) -> None:
    """A good one meets the promise, and a bad one of any kind does not."""
    words = tuple(word for word in criterion.command[:2] if not word.startswith("-"))
    good, bad = SAID[words]
    assert criterion.read(good).is_met
    assert [criterion.read(one).said for one in bad if criterion.read(one).is_met] == []


def test_double_booking_is_an_alert_within_a_minute_without_prometheus_too() -> None:
    """Where nobody is there to notify, the alert itself has to fire in time."""
    (drill,) = [criterion for criterion in CRITERIA if criterion.command[:2] == ("drill", "double-booking")]
    assert drill.read({"seconds": {"firing": 59.0}, "problems": []}).is_met
    late = drill.read({"seconds": {"firing": 75.0}, "problems": []})
    assert (late.is_met, late.said.endswith("noticed after 75 s, more than 60 s")) == (False, True)


@pytest.mark.parametrize("case", EDGE_CASES, ids=lambda case: case.test.rpartition("::")[2])
def test_every_case_has_its_test(case: EdgeCase) -> None:
    """By file and name; a test that was renamed would never be run."""
    file, _, name = case.test.partition("::")
    assert re.search(rf"^(async )?def {name}\(", (PROJECT_ROOT / file).read_text(), re.MULTILINE)


def test_small_soak_is_evidence() -> None:
    """The command is run, and its figures are the finding."""
    command = ("soak", "--requests", "60", "--concurrency", "30", "--connections", "5", "--json")
    found = verify_criterion(Criterion("It adds up.", command, CRITERIA[0].read))
    assert found.finding.is_met, found.finding.said
    assert "60 requests" in found.finding.said
    assert "0 double bookings" in found.finding.said


def test_guard_that_is_gone_is_not_met(connection: psycopg.Connection) -> None:
    """The negative control: without the constraint the proof fails, and says why."""
    (guard,) = [criterion for criterion in CRITERIA if criterion.command[:2] == ("enforcement", "check")]
    assert verify_criterion(guard).finding.is_met
    connection.execute("alter table holds.table_hold_windows drop constraint table_hold_windows_no_overlap")
    finding = verify_criterion(guard).finding
    assert not finding.is_met
    assert "table_hold_windows_no_overlap" in finding.said


def test_command_that_cannot_run_is_not_met(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has said nothing that could be read."""
    monkeypatch.setenv("HOLDWATCH_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    finding = verify_criterion(CRITERIA[0]).finding
    assert not finding.is_met
    assert finding.said.startswith("not verified, exit 1: ")


def test_case_that_fails_or_is_not_there_is_not_met(tmp_path: Path) -> None:
    """Neither a test that fails with one of its parameters nor one that nobody has written passes."""
    tests = tmp_path / "test_cases.py"
    tests.write_text(
        "import pytest\n\ndef test_good(): pass\n\n"
        "@pytest.mark.parametrize('one', [1, 2])\ndef test_half(one): assert one == 1\n"
    )
    cases = [EdgeCase(name, f"test_cases.py::test_{name}") for name in ("good", "half", "none")]
    good, half = verify_edge_cases(cases[:2], root=tmp_path)
    (none,) = verify_edge_cases(cases[2:], root=tmp_path)
    assert (good.finding.is_met, good.finding.said) == (True, "passed")
    assert (half.finding.is_met, half.finding.said) == (False, "failed")
    assert (none.finding.is_met, none.finding.said) == (False, "not run here")


GOOD = Verified("It holds.", "holdwatch soak --json", Finding("a | b", is_met=True), 3.0)
BAD = Verified("It is there.", "pytest tests/x.py::test_y", Finding("failed", is_met=False))


def test_page_counts_what_is_missed() -> None:
    """In its first paragraph; a table's cells stay cells."""
    text = page(SETTING, Verification([GOOD], [BAD]))
    assert "**1 of 2 are not met.**" in text
    assert "| It holds. | yes | a \\| b | `holdwatch soak --json` | 3 s |" in text
    assert "| It is there. | **no** | `tests/x.py::test_y` |" in text
    assert "All 1 are met." in page(SETTING, Verification([GOOD], []))


def test_page_says_what_was_left_out() -> None:
    """What nobody verified is not among all that is met."""
    text = page(SETTING, Verification([GOOD], [], ["It scales. It takes minutes."]))
    assert "All 1 are met" not in text
    assert "All 1 that were verified are met. What was **left out** is at the end." in text
    assert text.endswith("## Left out\n\n- It scales. It takes minutes.\n")
    assert "Cases at the edge" not in text


def test_page_links_only_from_docs() -> None:
    """Elsewhere its links would lead nowhere, and another command has written it."""
    assert "](pictures/overview.png)" in page(SETTING, Verification([GOOD], []), in_docs=True)
    elsewhere = page(SETTING, Verification([GOOD], []))
    assert "](" not in elsewhere
    assert "--docs" not in elsewhere


def test_quick_verification_without_tests_says_what_it_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The promises that take minutes, and the cases whose tests are not installed."""
    long = [criterion for criterion in CRITERIA if criterion.is_long]
    (trail,) = [criterion for criterion in CRITERIA if criterion.command[:2] == ("flags", "verify")]
    found = verify([*long, trail], with_long=False, root=tmp_path)
    assert [(one.claim, one.finding.is_met) for one in found.promises] == [(trail.claim, True)]
    assert found.cases == []
    assert len(found.left_out) == len(long) + 1 == 5
    assert all(said.startswith(one.claim) for one, said in zip(long, found.left_out, strict=False))
    assert found.left_out[-1].startswith(f"{len(EDGE_CASES)} cases at the edge: their tests are not here")


@pytest.mark.parametrize("other", [("--quick",), ("--output", "here.md")])
def test_page_of_the_docs_is_whole_and_has_its_place(other: tuple[str, ...]) -> None:
    """A part of it would replace all of it."""
    done = call("evidence", "--docs", *other)
    assert (done.status, done.out) == (2, "")
    assert f"--docs: not together with {other[0]}" in done.err
