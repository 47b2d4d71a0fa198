"""Runs what verifies each promise, and keeps what it said."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
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


@dataclass(frozen=True)
class Verification:
    """What came of all of them.

    Attributes:
        promises: Those whose commands were run.
        cases: Those whose tests were run.
        left_out: What was not verified, and why, each in words.
    """

    promises: Sequence[Verified]
    cases: Sequence[Verified]
    left_out: Sequence[str] = ()

    @property
    def everything(self) -> list[Verified]:
        """The promises and the cases."""
        return [*self.promises, *self.cases]

    @property
    def missed(self) -> list[Verified]:
        """What is not met."""
        return [one for one in self.everything if not one.finding.is_met]


def verify(
    criteria: Sequence[Criterion] = CRITERIA,
    *,
    with_long: bool,
    on_begin: Callable[[str], None] = lambda claim: None,
    root: Path = PROJECT_ROOT,
) -> Verification:
    """Verify every promise, and every case at the edge where ``root`` has the tests."""
    promises, left_out = [], []
    for criterion in criteria:
        if criterion.is_long and not with_long:
            left_out.append(f"{criterion.claim} It takes minutes: `holdwatch {' '.join(criterion.command)}`")
            continue
        on_begin(criterion.claim)
        promises.append(verify_criterion(criterion))
    if not (root / "tests").is_dir():
        left_out.append(f"{len(EDGE_CASES)} cases at the edge: their tests are not here, but in a checkout.")
        return Verification(promises, [], left_out)
    on_begin("The cases at the edge.")
    return Verification(promises, verify_edge_cases(EDGE_CASES, root=root), left_out)


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
