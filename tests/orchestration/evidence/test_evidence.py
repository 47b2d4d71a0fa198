"""What is written down is what the commands said, and nothing counts as met that was not run."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from orchestration.evidence.criteria import CRITERIA, EDGE_CASES, Criterion, EdgeCase, Finding
from orchestration.evidence.page import Setting, page
from orchestration.evidence.verify import Verified, verify_criterion, verify_edge_cases
from orchestration.paths import PROJECT_ROOT
from tests.orchestration.cli.calling import tree

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


def test_page_counts_what_is_missed() -> None:
    """In its first paragraph; a table's cells stay cells."""
    good = Verified("It holds.", "holdwatch soak --json", Finding("a | b", is_met=True), 3.0)
    bad = Verified("It is there.", "pytest tests/x.py::test_y", Finding("failed", is_met=False))
    text = page(SETTING, [good], [bad])
    assert "**1 of 2 are not met.**" in text
    assert "| It holds. | yes | a \\| b | `holdwatch soak --json` | 3 s |" in text
    assert "| It is there. | **no** | `tests/x.py::test_y` |" in text
    assert "All 1 are met." in page(SETTING, [good], [])
