"""Where panels stand, in pixels, and what is drawn in each: the same for pages and pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dashboards.preview.asking import BoardAnswer
from dashboards.preview.board import COLUMNS, GAP_PIXELS, ROW_PIXELS, Panel, fill_in
from dashboards.preview.panels import Canvas, Drawing, draw
from dashboards.preview.svg import text_width, wrapped

MARGIN, TITLE_PIXELS, TITLE_LINE_PIXELS, PAD = 16, 32, 15, 8
"""Around the grid; of a panel's title; of each line of it after the first; around a panel's content."""

_TITLE_SIZE, _SMALL_TITLE_SIZE = 14, 12
_HIGH_ENOUGH = 120
"""Height of a panel that can spare the room for a second line of its title."""

SMALLEST_WIDTH = 640
"""Below it a panel has no room for anything."""


@dataclass(frozen=True)
class Box:
    """A rectangle, in pixels."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Drawn:
    """A panel, or the header of a row of panels, as it is drawn.

    Attributes:
        title: With variables filled in.
        title_lines: The same, in the lines that it takes in a picture.
        title_size: Of their letters.
        own_range: The panel's own time range in words; None where it has the dashboard's.
        box: Where it stands, from the grid's corner.
        content: Where its content stands, within the box.
        drawing: None for the header of a row.
    """

    panel: Panel
    title: str
    title_lines: tuple[str, ...]
    title_size: int
    own_range: str | None
    box: Box
    content: Box
    drawing: Drawing | None


def draw_board(answer: BoardAnswer, width: int) -> Iterator[Drawn]:
    """Draw the panels of a dashboard on a page of this width."""
    for panel in answer.board.panels:
        yield draw_panel(answer, panel, _box(panel, width))


def draw_panel(answer: BoardAnswer, panel: Panel, box: Box) -> Drawn:
    """Draw one panel into a box, wherever the dashboard has it."""
    title = fill_in(panel.title, answer.values)
    lines, size = _title_lines(title, box)
    top = TITLE_PIXELS + TITLE_LINE_PIXELS * (len(lines) - 1) if title else PAD
    content = Box(PAD, top, max(box.width - 2 * PAD, 20), max(box.height - top - PAD, 20))
    if panel.type == "row":
        return Drawn(panel, title, lines, size, None, box, content, None)
    shown = answer.panels[panel.id]
    canvas = Canvas(panel, shown, answer.annotations, answer.asked_at, content.width, content.height)
    own_range = str(shown.range) if panel.time_from and not panel.json.get("hideTimeOverride") else None
    return Drawn(panel, title, lines, size, own_range, box, content, draw(canvas))


def _title_lines(title: str, box: Box) -> tuple[tuple[str, ...], int]:
    """Return a title in one line, or in two smaller ones where a narrow panel has the room."""
    room = box.width - 2 * PAD
    if text_width(title, _TITLE_SIZE) <= room or box.height < _HIGH_ENOUGH:
        return (title,), _TITLE_SIZE
    first, *others = wrapped(title, room, _SMALL_TITLE_SIZE)
    return ((first, " ".join(others)) if others else (first,)), _SMALL_TITLE_SIZE


def grid_height(answer: BoardAnswer) -> float:
    """Return the height of the grid of a dashboard."""
    return answer.board.rows * (ROW_PIXELS + GAP_PIXELS)


def panel_width(columns: int, width: int) -> float:
    """Return how wide a panel of so many columns is on a page of this width."""
    column = (width - 2 * MARGIN - (COLUMNS - 1) * GAP_PIXELS) / COLUMNS
    return columns * (column + GAP_PIXELS) - GAP_PIXELS


def _box(panel: Panel, width: int) -> Box:
    x, y, columns, rows = panel.at
    return Box(
        MARGIN + x * (panel_width(1, width) + GAP_PIXELS),
        y * (ROW_PIXELS + GAP_PIXELS),
        panel_width(columns, width),
        rows * (ROW_PIXELS + GAP_PIXELS) - GAP_PIXELS,
    )
