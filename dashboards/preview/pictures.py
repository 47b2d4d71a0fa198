"""The pictures in docs/: the top of the overview, and for each runbook the panel that one looks at first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from dashboards.files import replace_file
from dashboards.preview.asking import BoardAnswer
from dashboards.preview.board import Panel
from dashboards.preview.layout import draw_board
from dashboards.preview.picture import board_svg, panel_svg, png

WIDTH = 1600
SECTIONS = 3
"""Rows of panels of the overview that its picture shows: what fires, the figures, and the plots that say it best."""

_RUNBOOK = re.compile(r"/(?P<page>[\w-]+)\.md")
# What shows best how something came about.
_BEST_FIRST = ("timeseries", "state-timeline", "bargauge", "table", "stat")


def write_pictures(answers: Sequence[BoardAnswer], directory: Path) -> list[Path]:
    """Write the pictures, each named after its runbook, and ``overview.png``; return their paths.

    Raises:
        OSError: The folder cannot be written.
    """
    overview = answers[0]
    drawn = list(draw_board(overview, WIDTH))
    pictures = {"overview": board_svg(overview, drawn, WIDTH, sections=SECTIONS)}
    pictures |= {page: panel_svg(answer, panel, WIDTH) for page, (answer, panel) in first_looks(answers).items()}
    paths = []
    for name, svg in pictures.items():
        paths.append(directory / f"{name}.png")
        replace_file(paths[-1], png(svg, scale=1.0 if name == "overview" else 2.0))
    return paths


def first_looks(answers: Sequence[BoardAnswer]) -> dict[str, tuple[BoardAnswer, Panel]]:
    """Return for each runbook the panel that shows best what it is about, of those that link to it and have data."""
    found: dict[str, tuple[BoardAnswer, Panel]] = {}
    for answer in answers:
        for panel in answer.board.panels:
            page = _runbook(panel)
            if (
                page is None
                or panel.type not in _BEST_FIRST
                or not any(one.length for one in answer.panels[panel.id].frames)
            ):
                continue
            if page not in found or _rank(panel) < _rank(found[page][1]):
                found[page] = (answer, panel)
    return found


def _rank(panel: Panel) -> tuple[int, int]:
    # Of tables the widest: its texts are not cut.
    return _BEST_FIRST.index(panel.type), -panel.at[2] if panel.type == "table" else 0


def _runbook(panel: Panel) -> str | None:
    matches = [match for link in panel.links if (match := _RUNBOOK.search(str(link.get("url") or ""))) is not None]
    return matches[0]["page"] if matches else None
