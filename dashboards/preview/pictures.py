"""The pictures in docs/: the top of the overview, and for each runbook the panel that one looks at first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from dashboards.files import replace_file
from dashboards.preview.asking import BoardAnswer, PanelAnswer
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
        paths.append(directory / f"{name.lower()}.png")
        replace_file(paths[-1], png(svg, scale=1.0 if name == "overview" else 2.0))
    return paths


def first_looks(answers: Sequence[BoardAnswer]) -> dict[str, tuple[BoardAnswer, Panel]]:
    """Return for each runbook the panel that shows best what it is about, of those that link to it and have data.

    The first dashboard that has any is asked, which for most is the overview.
    """
    found: dict[str, tuple[BoardAnswer, Panel]] = {}
    for answer in answers:
        here: dict[str, Panel] = {}
        for panel in answer.board.panels:
            page = _runbook(panel)
            if page is None or panel.type not in _BEST_FIRST or not _has_values(answer.panels[panel.id]):
                continue
            if page not in here or _BEST_FIRST.index(panel.type) < _BEST_FIRST.index(here[page].type):
                here[page] = panel
        found = {page: (answer, panel) for page, panel in here.items()} | found
    return found


def _has_values(answer: PanelAnswer) -> bool:
    """Tell whether there is anything to see but times."""
    fields = [one for frame in answer.frames for one in frame.fields if one.kind != "time"]
    return any(value is not None for one in fields for value in one.values)


def _runbook(panel: Panel) -> str | None:
    matches = [match for link in panel.links if (match := _RUNBOOK.search(str(link.get("url") or ""))) is not None]
    return matches[0]["page"] if matches else None
