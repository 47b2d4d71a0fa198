"""Makes the report, for people as a page and for programs as figures; the page is written whole or not at all."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg

from dashboards.files import replace_file
from dashboards.report.contents import plots
from dashboards.report.judging import Answer, Figure, answer, figures
from dashboards.report.page import html_page
from dashboards.report.plots import PATTERNS, WIDE, draw, summary
from dashboards.report.reading import ALL, Evidence, Wanted, read_evidence


@dataclass(frozen=True)
class Report:
    """What is reported.

    Attributes:
        evidence: What the views say.
        figures: The figures, double bookings first.
        answer: What they add up to.
    """

    evidence: Evidence
    figures: tuple[Figure, ...]
    answer: Answer

    def write(self, path: Path) -> None:
        """Write the page; what was there before is replaced.

        Raises:
            OSError: The file cannot be written.
        """
        replace_file(path, html_page(self.evidence, self.figures, self.answer).encode("utf-8"))

    def as_dict(self) -> dict[str, Any]:
        """Return the figures, for JSON; moments are aware, days are texts."""
        evidence = self.evidence
        newest = None if evidence.freshness is None else evidence.freshness.newest_event_at
        return {
            "answer": f"{self.answer.first} {self.answer.second}",
            "state": self.answer.state.value,
            "environment": evidence.environment,
            "restaurant": None if evidence.restaurant == ALL else evidence.restaurant,
            "first_day": f"{evidence.days[0].day}",
            "last_day": f"{evidence.days[-1].day}",
            "made_at": evidence.read_at,
            "newest_event_at": newest,
            "figures": [asdict(one) for one in self.figures],
        }


def make_report(connection: psycopg.Connection, wanted: Wanted) -> Report:
    """Read and judge; see :func:`dashboards.report.reading.read_evidence` for what it raises."""
    evidence = read_evidence(connection, wanted)
    judged = figures(evidence)
    return Report(evidence, judged, answer(evidence, judged))


def picture(report: Report, name: str) -> tuple[bytes, str]:
    """Return one plot as PNG, and what it shows in words.

    Raises:
        ModuleNotFoundError: The extra ``dashboards`` is not installed.
    """
    from dashboards.preview.picture import png  # noqa: PLC0415  takes the extra, for pictures alone

    plot = next(one for one in plots(report.evidence) if one.name == name)
    drawn = draw(plot, WIDE)
    # Within the drawing, since a picture stands alone; on a ground of its own, since it may be shown on any.
    start = drawn.index(">") + 1
    ground = f'<defs>{PATTERNS}</defs><rect width="100%" height="100%" fill="var(--panel)"/>'
    return png(drawn[:start] + ground + drawn[start:]), summary(plot)
