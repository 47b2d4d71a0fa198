"""Runs what verifies each promise, and keeps what it said."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from orchestration.drills.monitoring import missing_tool
from orchestration.evidence.criteria import CRITERIA, EDGE_CASES, Criterion, EdgeCase, Finding
from orchestration.paths import PROJECT_ROOT


@dataclass(frozen=True)
class Verified:
    """One promise, and what came of its command.

    Attributes:
        claim: The promise.
        command: What was run, as it is typed.
        finding: What that said.
        seconds: How long it took; None where it is one of many of one run.
    """

    claim: str
    command: str
    finding: Finding
    seconds: float | None = None


def verify(
    *, with_long: bool, on_begin: Callable[[str], None] = lambda claim: None
) -> tuple[list[Verified], list[Verified]]:
    """Verify every promise, and every case at the edge where the tests are there.

    Returns:
        The promises, and the cases.
    """
    promises = []
    for criterion in CRITERIA:
        if with_long or not criterion.is_long:
            on_begin(criterion.claim)
            promises.append(verify_criterion(criterion))
    if not (PROJECT_ROOT / "tests").is_dir():
        return promises, []
    on_begin("The cases at the edge.")
    return promises, verify_edge_cases(EDGE_CASES)


def verify_criterion(criterion: Criterion) -> Verified:
    """Run a promise's command. What it says is the finding, whatever that is."""
    command = list(criterion.command)
    if command[0] == "drill" and "kill-switch" not in command and missing_tool() is None:
        command.insert(-1, "--prometheus")
    began = time.monotonic()
    done = subprocess.run([_program(), *command], check=False, capture_output=True, text=True)
    return Verified(
        criterion.claim,
        f"holdwatch {' '.join(command)}",
        _finding(criterion, done.stdout, done.stderr, done.returncode),
        time.monotonic() - began,
    )


def _finding(criterion: Criterion, out: str, err: str, status: int) -> Finding:
    try:
        found = criterion.read(json.loads(out))
    except (ValueError, KeyError, TypeError):
        last = next(reversed(err.strip().splitlines()), "it said nothing")
        return Finding(f"not verified, exit {status}: {last}", is_met=False)
    # A command that fails says so by its exit as well; one of the two is enough.
    return Finding(found.said, found.is_met and status == 0)


def verify_edge_cases(cases: Iterable[EdgeCase], *, root: Path = PROJECT_ROOT) -> list[Verified]:
    """Run the tests of the cases, all at once; where pytest does not find one of them, it runs none."""
    cases = list(cases)
    tests = [case.test for case in cases]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA", "--no-header", "-m", "not slow", *tests],
        check=False,
        capture_output=True,
        text=True,
        cwd=root,
    )
    outcomes = [line.split(" ", 2)[:2] for line in done.stdout.splitlines() if "::" in line]
    return [Verified(case.claim, f"pytest {case.test}", _outcome(case.test, outcomes)) for case in cases]


def _outcome(test: str, outcomes: list[list[str]]) -> Finding:
    """Put together what became of a test, with all of its parameters."""
    own = [outcome for outcome, node in outcomes if node == test or node.startswith(f"{test}[")]
    if not own:
        return Finding("not run here", is_met=False)
    return Finding("passed" if set(own) == {"PASSED"} else "failed", set(own) == {"PASSED"})


def _program() -> str:
    beside = Path(sys.executable).with_name("holdwatch")
    return str(beside) if beside.exists() else shutil.which("holdwatch") or "holdwatch"
