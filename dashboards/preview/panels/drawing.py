"""What drawing a panel takes and gives, whatever its type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from dashboards.preview.asking import Annotation, PanelAnswer
from dashboards.preview.board import Panel
from dashboards.preview.fields import looks, panel_look
from dashboards.preview.svg import text, wrapped


@dataclass(frozen=True)
class Canvas:
    """What there is to draw, and the room for it below the panel's title.

    Attributes:
        annotations: Those within the panel's range, the oldest first.
        now: When the database was asked.
    """

    panel: Panel
    answer: PanelAnswer
    annotations: tuple[Annotation, ...]
    now: datetime
    width: float
    height: float

    @property
    def is_empty(self) -> bool:
        """Whether no query returned a row."""
        return all(frame.length == 0 for frame in self.answer.frames)

    @property
    def no_value(self) -> str:
        """The panel's words where there is nothing to show; Grafana's are "No data"."""
        for _, _, look in looks(self.panel, self.answer.frames, self.now):
            if look.no_value:
                return look.no_value
        return panel_look(self.panel, self.now).no_value or "No data"


@dataclass(frozen=True)
class Drawing:
    """A panel's content.

    Attributes:
        svg: As wide and as high as its canvas.
        html: Where a page can do better than a picture, such as a table that scrolls; None: the SVG.
    """

    svg: str
    html: str | None = None


Draw = Callable[[Canvas], Drawing]


def message(canvas: Canvas, words: str, *, kind: str, fill: str = "var(--faint)", size: float = 14) -> Drawing:
    """Draw words in the middle instead of data; ``kind`` is the state that they stand for."""
    lines = wrapped(words, max(canvas.width - 24, 40), size)
    top = canvas.height / 2 - (len(lines) - 1) * size * 0.7 + size / 3
    drawn = "".join(
        text(canvas.width / 2, top + index * size * 1.4, line, size=size, fill=fill, anchor="middle")
        for index, line in enumerate(lines)
    )
    return Drawing(f'<g class="state-{kind}">{drawn}</g>')
