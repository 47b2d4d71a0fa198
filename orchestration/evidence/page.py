"""docs/verification.md: each promise, how it is verified, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from orchestration.evidence.verify import Verified


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


def page(setting: Setting, promises: Sequence[Verified], cases: Sequence[Verified]) -> str:
    """Return the page."""
    everything = [*promises, *cases]
    missed = sum(not one.finding.is_met for one in everything)
    verdict = f"All {len(everything)} are met." if not missed else f"**{missed} of {len(everything)} are not met.**"
    return "\n".join(
        [
            "# Verification",
            "",
            "Written by `holdwatch evidence --docs`, which runs every command below and keeps what it said. Run it on "
            "a machine of your own to see what yours says.",
            "",
            f"{setting.at:%Y-%m-%d %H:%M} UTC, holdwatch {setting.version}, PostgreSQL {setting.server}, "
            f"{setting.cores} processors, environment {setting.environment}. {verdict}",
            "",
            "## Promises",
            "",
            "| promise | met | what was found | by | took |",
            "| --- | --- | --- | --- | ---: |",
            *(
                f"| {one.claim} | {_mark(one)} | {_cell(one.finding.said)} | `{one.command}` | {one.seconds:.0f} s |"
                for one in promises
            ),
            "",
            "What ops see of an incident is drawn by `make pictures`: [the overview](pictures/overview.png), and a "
            "picture in each [runbook](runbooks/README.md).",
            "",
            "## Cases at the edge",
            "",
            "Faults are those of the quick tests, some hundred requests each; `make test-all` sends 25,000.",
            "",
            "| case | met | test |",
            "| --- | --- | --- |",
            *(f"| {one.claim} | {_mark(one)} | `{one.command.removeprefix('pytest ')}` |" for one in cases),
            "",
        ]
    )


def _mark(one: Verified) -> str:
    return "yes" if one.finding.is_met else "**no**"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
