"""What a suite consists of, and what running one gives: plain frozen values that know nothing of the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """What a failed expectation means."""

    CRITICAL = "critical"
    """The views would lie: what is downstream is not built."""

    WARNING = "warning"
    """Somebody should look; the run goes on and shows it."""


@dataclass(frozen=True)
class Batch:
    """Rows that several expectations look at.

    Attributes:
        name: Unique within its suite.
        query: A select that gives the rows.
        is_stored: Whether they are stored in a temporary table before the expectations run: what is costly is
            computed once, and all its expectations see the same moment.
        total: A select that counts what was looked at, in the unit of ``affected_count``; it may read ``batch``. It is
            run only where something failed. None where every row is a violation.
        unit: What is counted, in the singular.
    """

    name: str
    query: str
    is_stored: bool = True
    total: str | None = "select count(*) from batch"
    unit: str = "row"


@dataclass(frozen=True)
class Expectation:
    """One rule.

    Attributes:
        asset: The table or view it is about, written ``schema.name``.
        name: Unique within its asset.
        description: What must hold, in plain English.
        severity: What it means when it does not.
        batch: The name of the batch it reads.
        violations: A select from ``batch`` with one row for each violation, or group of violations. Its column
            ``affected_count`` says how many rows of the asset the violation affects; the others name it.
        remedy: What to do about it, in a sentence or two.
        owner: The team that mends it, as Dagster writes owners.
        examples: A select of the single rows that violate it, by their identity, the newest first: for where
            ``violations`` groups them. It reads no batch, so that it can be run by hand; None where the violations are
            the rows.
        total: As :attr:`Batch.total`, where not all that the batch looked at could have violated it.
    """

    asset: str
    name: str
    description: str
    severity: Severity
    batch: str
    violations: str
    remedy: str
    owner: str
    examples: str | None = None
    total: str | None = None

    @property
    def title(self) -> str:
        """The asset and the rule, for a line of a report: ``observability_events: times in range``."""
        return f"{self.asset.split('.')[-1]}: {self.name.replace('_', ' ')}"

    @property
    def guide(self) -> str:
        """Where the docs say, step by step, what to do when it fails."""
        return f"{GUIDE}#{self.name.replace('_', '-')}"


@dataclass(frozen=True)
class Suite:
    """Expectations that are checked at one boundary, over batches they share."""

    name: str
    batches: tuple[Batch, ...]
    expectations: tuple[Expectation, ...]


@dataclass(frozen=True)
class ExpectationResult:
    """How one expectation came out.

    Attributes:
        suite: The suite's name.
        expectation: The rule.
        passed: Whether it held.
        affected_count: Rows of the asset that violate it; 0 when it passed or could not be checked.
        sample_rows: The worst violations, as text by column; at most :data:`SAMPLE_ROWS`.
        violation_count: Rows that ``violations`` returned: violations, or groups of them.
        total_count: Of how many rows; None when it passed or could not be checked.
        unit: What a row is, in the singular.
        example_rows: The newest single rows that violate it, as text by column, where the violations are groups; at
            most :data:`SAMPLE_ROWS`.
        error: Why it could not be checked, in one line; None when it was. What cannot be checked has not passed.
    """

    suite: str
    expectation: Expectation
    passed: bool
    affected_count: int
    sample_rows: tuple[Mapping[str, str], ...]
    violation_count: int
    total_count: int | None = None
    unit: str = "row"
    example_rows: tuple[Mapping[str, str], ...] = ()
    error: str | None = None

    @property
    def is_blocking(self) -> bool:
        """Whether it stops what is downstream."""
        return not self.passed and self.expectation.severity is Severity.CRITICAL

    @property
    def title(self) -> str:
        """The asset and the rule; see :attr:`Expectation.title`."""
        return self.expectation.title

    @property
    def rows(self) -> tuple[Mapping[str, str], ...]:
        """Single rows that violate it, by their identity; at most :data:`SAMPLE_ROWS`."""
        return self.example_rows or self.sample_rows

    @property
    def groups(self) -> tuple[Mapping[str, str], ...]:
        """The worst violations where each stands for several rows; empty where :attr:`rows` says it all."""
        return self.sample_rows if self.example_rows and "id" not in self.sample_rows[0] else ()

    @property
    def affected(self) -> str:
        """How many of how many: ``12 of 3,400 events``."""
        if self.total_count is None:
            return _counted(self.affected_count, self.unit)
        return f"{self.affected_count:,} of {_counted(self.total_count, self.unit)}"

    @property
    def observed(self) -> str:
        """What was seen, in one line, with how many and which rows."""
        if self.error is not None:
            return f"could not be checked: {self.error}"
        if self.passed:
            return "as expected"
        shown = "; ".join(
            ", ".join(f"{name}={value}" for name, value in row.items()) for row in self.sample_rows[:_ROWS_IN_A_LINE]
        )
        more = self.violation_count - min(len(self.sample_rows), _ROWS_IN_A_LINE)
        return f"{self.affected}: {shown}" + (f"; and {more} more" if more > 0 else "")


@dataclass(frozen=True)
class SuiteResult:
    """How a suite came out, in the order of its expectations."""

    suite: str
    results: tuple[ExpectationResult, ...]
    duration_seconds: float

    @property
    def passed(self) -> tuple[ExpectationResult, ...]:
        """Those that held."""
        return tuple(result for result in self.results if result.passed)

    @property
    def warnings(self) -> tuple[ExpectationResult, ...]:
        """Those that did not hold and do not block."""
        return tuple(result for result in self.results if not result.passed and not result.is_blocking)

    @property
    def blocking(self) -> tuple[ExpectationResult, ...]:
        """Those that did not hold and stop what is downstream."""
        return tuple(result for result in self.results if result.is_blocking)


SAMPLE_ROWS = 10
"""Violations that a result names; the rest are counted."""

GUIDE = "docs/data-quality.md"
"""The page that says what to do about each expectation, one heading for each name."""

_ROWS_IN_A_LINE = 3


def _counted(count: int, unit: str) -> str:
    return f"1 {unit}" if count == 1 else f"{count:,} {unit}s"
