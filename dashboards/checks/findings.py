"""What a check says when it finds something."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with one file.

    Attributes:
        check: Name of the rule, for example ``overlapping-panels``.
        file: Path below ``dashboards/`` (or ``docs/runbooks/``).
        place: The panel, variable or field; empty where the whole file is meant.
        problem: What is wrong.
        remedy: What to do about it.
    """

    check: str
    file: str
    place: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        where = f"{self.file}, {self.place}" if self.place else self.file
        return f"{where}: {self.problem} {self.remedy} [{self.check}]"


Say = Callable[[str, str, str, str], Finding]
"""Makes a finding about the file at hand: check, place, problem, remedy."""
