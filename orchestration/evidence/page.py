"""docs/verification.md: each promise, how it is verified, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from orchestration.evidence.verify import Verification, Verified
from orchestration.markdown import table


@dataclass(frozen=True)
class Setting:
    """Where and when it was verified.

    Attributes:
        at: When it began (UTC).
        version: Of holdwatch.
        server: Of PostgreSQL.
        cores: How many processors the machine has.
        environment: Of the database.
    """

    at: datetime
    version: str
    server: str
    cores: int
    environment: str


def page(setting: Setting, found: Verification, *, in_docs: bool = False) -> str:
    """Return the page; ``in_docs``: it goes to docs/ of a checkout, beside the pages that it links to."""
    lines = ["# Verification", ""]
    if in_docs:
        lines += [
            "Written by `holdwatch evidence --docs`, which runs every command below and keeps what it said. Run it on "
            "a machine of your own to see what yours says.",
            "",
        ]
    lines += [
        f"{setting.at:%Y-%m-%d %H:%M} UTC, holdwatch {setting.version}, PostgreSQL {setting.server}, "
        f"{setting.cores} processors, environment {setting.environment}. {_verdict(found)}",
        "",
        "## Promises",
        "",
        *table(
            ("promise", "met", "what was found", "by", "took"),
            (
                (one.claim, _mark(one), one.finding.said, f"`{one.command}`", f"{one.seconds:.0f} s")
                for one in found.promises
            ),
        ),
    ]
    if in_docs:
        lines += [
            "What ops see of an incident is drawn by `make pictures`: [the overview](pictures/overview.png), and a "
            "picture in each [runbook](runbooks/README.md).",
            "",
        ]
    if found.cases:
        lines += [
            "## Cases at the edge",
            "",
            "Faults are those of the quick tests, some hundred requests each; `make test-all` sends 25,000.",
            "",
            *table(
                ("case", "met", "test"),
                ((one.claim, _mark(one), f"`{one.command.removeprefix('pytest ')}`") for one in found.cases),
            ),
        ]
    if found.left_out:
        lines += ["## Left out", "", *(f"- {claim}" for claim in found.left_out), ""]
    return "\n".join(lines)


def _verdict(found: Verification) -> str:
    count, missed = len(found.everything), len(found.missed)
    if missed:
        said = f"**{missed} of {count} are not met.**"
    elif found.left_out:
        said = f"All {count} that were verified are met."
    else:
        said = f"All {count} are met."
    return f"{said} What was **left out** is at the end." if found.left_out else said


def _mark(one: Verified) -> str:
    return "yes" if one.finding.is_met else "**no**"
