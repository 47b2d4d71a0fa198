"""What happened, over a plot's time axis: moments are dashed lines, stretches shaded ground, both with their words."""

from __future__ import annotations

from dataclasses import dataclass

from dashboards.preview.asking import Annotation
from dashboards.preview.colours import colour
from dashboards.preview.panels.scales import Scale
from dashboards.preview.svg import element, shortened, text, text_width, tooltip

LINE_PIXELS = 14
_SIZE, _LINES, _PAD, _LONGEST, _SHORTEST = 11, 3, 4, 250, 60


@dataclass(frozen=True)
class Mark:
    """One annotation, and where it goes.

    Attributes:
        left: Where it is, or begins, in pixels.
        right: Where it ends; the same for a moment.
        words: Its text; empty where there is no room for it.
        words_at: Where the words begin.
        line: The line of words that they stand in, from 0.
    """

    annotation: Annotation
    left: float
    right: float
    words: str = ""
    words_at: float = 0.0
    line: int = 0


def place_annotations(annotations: tuple[Annotation, ...], times: Scale, *, is_named: bool) -> list[Mark]:
    """Find a place for each annotation that the time axis shows, and for its words if they are wanted.

    Words stand above the plot, beside their line, in as many lines as it takes, up to three. Where there is no room,
    the line is drawn without words; its tooltip has them.
    """
    marks = []
    taken = [0.0] * _LINES
    for annotation in sorted(annotations, key=lambda one: one.at):
        at = annotation.at.timestamp()
        until = at if annotation.until is None else annotation.until.timestamp()
        if until < times.low or at > times.high:
            continue
        left, right = times(max(at, times.low)), times(min(until, times.high))
        words = shortened(annotation.text, _LONGEST, _SIZE)
        width = text_width(words, _SIZE) + 2 * _PAD
        starts = left if left + width <= times.end else left - width
        line = next((line for line, end in enumerate(taken) if starts >= end), None)
        if is_named and line is None and left - min(taken) >= _SHORTEST:
            # To the left, as much as there is room for.
            line, starts = taken.index(min(taken)), min(taken)
            words, width = shortened(annotation.text, left - starts - 2 * _PAD, _SIZE), left - starts
        if not is_named or line is None:
            marks.append(Mark(annotation, left, right))
            continue
        taken[line] = max(left, starts + width)
        marks.append(Mark(annotation, left, right, words, starts, line))
    return marks


def lines_of_words(marks: list[Mark]) -> int:
    """Return how many lines the words take above the plot."""
    return max((mark.line + 1 for mark in marks if mark.words), default=0)


def draw_annotations(marks: list[Mark], top: float, bottom: float) -> str:
    """Draw marks over a plot between ``top`` and ``bottom``; their words are above ``top``."""
    lines = lines_of_words(marks)
    tops = [top - (lines - mark.line) * LINE_PIXELS if mark.words else top for mark in marks]
    drawn = [_draw(mark, start, top, bottom) for mark, start in zip(marks, tops, strict=True)]
    # Words after all lines, which they interrupt.
    return "".join([*drawn, *(_words(mark, start) for mark, start in zip(marks, tops, strict=True) if mark.words)])


def _draw(mark: Mark, start: float, top: float, bottom: float) -> str:
    annotation, ink = mark.annotation, colour(mark.annotation.colour)
    is_stretch = annotation.until is not None
    parts = [tooltip(f"{annotation.name}: {annotation.text} ({annotation.at:%Y-%m-%d %H:%M} UTC)")]
    if is_stretch:
        width = max(mark.right - mark.left, 1.0)
        parts.append(element("rect", x=mark.left, y=top, width=width, height=bottom - top, fill=ink, fill_opacity=0.18))
    parts += [
        element(
            "line",
            x1=x,
            x2=x,
            y1=start + 2 if x == mark.left else top,
            y2=bottom,
            stroke=ink,
            stroke_dasharray="4 3",
            stroke_opacity=0.9,
        )
        for x in sorted({mark.left, mark.right})
    ]
    parts.append(element("path", d=f"M{mark.left:.1f} {bottom - 1:.1f}l-4 5h8Z", fill=ink))
    kind = "stretch" if is_stretch else "moment"
    return element("g", "".join(parts), class_="annotation", data_kind=kind, data_text=annotation.text)


def _words(mark: Mark, top: float) -> str:
    width = text_width(mark.words, _SIZE) + _PAD
    ground = element("rect", x=mark.words_at + 2, y=top + 1, width=width, height=LINE_PIXELS - 2, fill="var(--panel)")
    ink = colour(mark.annotation.colour)
    return ground + text(mark.words_at + _PAD, top + 10.5, mark.words, size=_SIZE, fill=ink)
