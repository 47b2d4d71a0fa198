"""What a check is: a name, what it looks at, and what it says.

To add one, write a function ``Material -> CheckResult`` and list it in :mod:`dashboards.checks.registry`::

    def check_rules(material: Material) -> CheckResult:
        program = shutil.which("promtool")
        if program is None:
            return CheckResult.skip("promtool is not installed.", "apt-get install prometheus")
        files = sorted((material.directory / "prometheus" / "rules").glob("*.yaml"))
        findings = [finding for file in files for finding in _findings(program, file)]
        return CheckResult(findings, counted(len(files), "file"))

A check never raises because of what is in a file: that is a finding. It skips itself where something that it needs is
not on this machine, and says what installs it: a skip is never silent, and ``--strict`` fails on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from dashboards.checks.findings import Finding


def counted(number: int, noun: str) -> str:
    """Return a number of things in words: ``1 file``, ``2 files``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@dataclass(frozen=True)
class Material:
    """What checks look at.

    Attributes:
        directory: The folder with ``grafana/``, ``datadog/`` and the others.
        runbooks: The folder of the runbooks; None where it is not at hand.
        schemas: The folder with the published descriptions of the formats; None where it is not at hand.
        connection: An autocommit connection to a database with the views; None where no database is asked.
    """

    directory: Path
    runbooks: Path | None = None
    schemas: Path | None = None
    connection: psycopg.Connection[Any] | None = None

    def schema(self, name: str) -> Path | None:
        """Return the path of a published description, None where it is not at hand."""
        path = None if self.schemas is None else self.schemas / name
        return path if path is not None and path.is_file() else None


@dataclass(frozen=True)
class Skipped:
    """Why a check did not run.

    Attributes:
        reason: One sentence: what is missing.
        install: The line that installs it, or what else to do to have it run.
    """

    reason: str
    install: str


@dataclass(frozen=True)
class CheckResult:
    """What a check says.

    Attributes:
        findings: What is wrong; empty where all is well.
        looked_at: What was looked at, such as ``12 monitors``: so that nothing passes unseen by looking at nothing.
        notes: What is worth knowing and no fault.
        skipped: None if the check ran.
    """

    findings: Sequence[Finding] = ()
    looked_at: str = ""
    notes: Sequence[str] = ()
    skipped: Skipped | None = None

    @classmethod
    def skip(cls, reason: str, install: str) -> CheckResult:
        """Say that the check could not run, and the line that installs what is missing."""
        return cls(skipped=Skipped(reason, install))


@dataclass(frozen=True)
class Check:
    """A named check.

    Attributes:
        name: As ``holdwatch dashboards check --only`` has it.
        purpose: What it makes sure of, in words.
        run: Looks, and says what it found.
        needs_database: Whether it skips itself without :attr:`Material.connection`.
    """

    name: str
    purpose: str
    run: Callable[[Material], CheckResult]
    needs_database: bool = False
