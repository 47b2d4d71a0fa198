"""What happened, over a plot's time axis: moments as dashed lines, stretches as shaded ground, both with their words."""

from __future__ import annotations

from dashboards.preview.asking import Annotation
from dashboards.preview.colours import colour
from dashboards.preview.panels.scales import Scale
from dashboards.preview.svg import element, shortened, text, text_width, tooltip

_SIZE, _LINE, _LINES, _PAD = 11, 14, 3, 4
_LONGEST = 190


def draw_annotations(
    annotations: tuple[Annotation, ...], times: Scale, top: float, bottom: float, *, is_named: bool
) -> str:
    """Draw them between ``top`` and ``bottom``.

    Words stand beside the line, each below the last one that is in its way; where there is no room for more, or the
    panel is small (``is_named`` is False), the line alone is drawn, and its tooltip says the words.
    """
    parts = []
    ends = [0.0] * _LINES
    for annotation in sorted(annotations, key=lambda one: one.at):
        at = annotation.at.timestamp()
        until = at if annotation.until is None else annotation.until.timestamp()
        if until < times.low or at > times.high:
            continue
        x, x_end = times(max(at, times.low)), times(min(until, times.high))
        drawn = [tooltip(f"{annotation.name}: {annotation.text} ({annotation.at:%Y-%m-%d %H:%M} UTC)")]
        stroke = colour(annotation.colour)
        if annotation.until is not None:
            drawn.append(
                element("rect", x=x, y=top, width=max(x_end - x, 1.0), height=bottom - top, fill=stroke, fill_opacity=0.16)
            )
        drawn += [
            element("line", x1=edge, x2=edge, y1=top, y2=bottom, stroke=stroke, stroke_dasharray="4 3", stroke_opacity=0.9)
            for edge in ({x, x_end} if annotation.until is not None else {x})
        ]
        drawn.append(element("path", d=f"M{x:.1f} {bottom - 1:.1f}l-4 5h8Z", fill=stroke))
        drawn += _words(annotation, x, times.end, top, ends) if is_named else []
        kind = "stretch" if annotation.until is not None else "moment"
        parts.append(element("g", "".join(drawn), class_="annotation", data_kind=kind, data_text=annotation.text))
    return "".join(parts)


def _words(annotation: Annotation, x: float, right: float, top: float, ends: list[float]) -> list[str]:
    """Find a line for the words; ``ends`` says for each line how far it is taken."""
    words = shortened(annotation.text, _LONGEST, _SIZE)
    width = text_width(words, _SIZE) + 2 * _PAD
    for line, taken in enumerate(ends):
        starts = x + 1 if x + width <= right else x - width - 1
        if starts >= taken:
            ends[line] = starts + width
            y = top + line * _LINE
            return [
                element("rect", x=starts, y=y, width=width, height=_LINE, rx=2, fill="var(--panel)", fill_opacity=0.85),
                text(starts + _PAD, y + 10.5, words, size=_SIZE, fill=colour(annotation.colour)),
            ]
    return []
