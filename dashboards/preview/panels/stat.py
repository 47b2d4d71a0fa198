"""The panel "Stat": one large figure, or a few, on a ground or in a colour that says how good it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from dashboards.preview.colours import text_on
from dashboards.preview.fields import Look, Shown, looks
from dashboards.preview.frames import Field, Frame, reduce_values
from dashboards.preview.panels.drawing import Canvas, Drawing, message
from dashboards.preview.panels.scales import time_scale
from dashboards.preview.svg import element, shortened, text, text_width, tooltip, wrapped

_GAP, _MAX_FIGURE, _MIN_FIGURE, _NAME_SIZE = 8, 72, 10, 12.0
_LONGEST_SERIES = 60
"""Figures beyond these would be too small to read."""


_Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Figure:
    """One value of one field.

    Attributes:
        name: What it is, under the panel's text mode.
        value: Itself.
        shown: The value in words and in colour.
        field: The series that it stands for, for the small graph.
    """

    name: str
    value: Any
    shown: Shown
    field: Field
    frame: Frame


def draw_stat(canvas: Canvas) -> Drawing:
    """Draw the panel."""
    found = figures(canvas)
    if not found:
        return message(canvas, canvas.no_value, kind="no-data", fill="var(--text)", size=20)
    options = canvas.panel.options
    is_wide = options.get("orientation") == "vertical" or (
        options.get("orientation") in (None, "auto", "") and canvas.width > canvas.height
    )
    count = len(found)
    room = (canvas.width if is_wide else canvas.height) - _GAP * (count - 1)
    each = room / count
    width, height = (each, canvas.height) if is_wide else (canvas.width, each)
    # All in one size, that of the longest.
    names = _has_names(options, found)
    size = min(_figure_size(one, width, height, has_name=names) for one in found)
    drawn = [
        _figure(
            canvas,
            one,
            (index * (each + _GAP) if is_wide else 0.0, 0.0 if is_wide else index * (each + _GAP), width, height),
            size,
            has_name=names,
        )
        for index, one in enumerate(found)
    ]
    return Drawing("".join(drawn))


def figures(canvas: Canvas) -> list[Figure]:
    """Return the values that the panel is to show: each row's, or one of each field, as its options say."""
    reduction = canvas.panel.options.get("reduceOptions") or {}
    wanted = str(reduction.get("fields") or "")
    calculation = str((reduction.get("calcs") or ["lastNotNull"])[0])
    found: list[Figure] = []
    for frame, one, look in looks(canvas.panel, canvas.answer.frames, canvas.now):
        if not _is_wanted(wanted, one, look):
            continue
        if reduction.get("values"):
            names = next((other for other in frame.fields if other.kind == "string" and other is not one), None)
            for row, value in enumerate(one.values):
                name = str(names.values[row]) if names is not None else look.name
                found.append(Figure(name, value, look.show(value), one, frame))
        else:
            value = _reduced(calculation, one)
            if value is not None or look.no_value or frame.length:
                found.append(Figure(look.name, value, _shown(look, value, canvas), one, frame))
    limit = int(reduction.get("limit") or _LONGEST_SERIES)
    return found[:limit]


def _shown(look: Look, value: Any, canvas: Canvas) -> Shown:
    shown = look.show(value)
    return shown if shown.text else Shown(canvas.no_value, shown.colour, shown.is_mapped)


def _reduced(calculation: str, one: Field) -> Any:
    if one.kind == "number":
        return reduce_values(calculation, one.values)
    present = [value for value in one.values if value is not None]
    if not present:
        return None
    return present[0] if calculation in ("first", "firstNotNull") else present[-1]


def _is_wanted(wanted: str, one: Field, look: Look) -> bool:
    if not wanted:
        return one.kind == "number"
    match = re.fullmatch(r"/(.*)/", wanted)
    return re.search(match[1], look.name) is not None if match else wanted in (one.name, look.name)


def _has_names(options: dict[str, Any], found: list[Figure]) -> bool:
    mode = options.get("textMode") or "auto"
    return mode in ("value_and_name", "name") or (mode == "auto" and len(found) > 1)


def _figure_size(one: Figure, width: float, height: float, *, has_name: bool) -> float:
    """Return the largest size in which the value fits."""
    by_width = (width - 24) / max(text_width(one.shown.text, 1, is_bold=True), 0.1)
    by_height = height * (0.42 if has_name else 0.55)
    return max(min(by_width, by_height, _MAX_FIGURE), _MIN_FIGURE)


def _figure(canvas: Canvas, one: Figure, at: _Box, size: float, *, has_name: bool) -> str:
    x, y, width, height = at
    options = canvas.panel.options
    mode = options.get("colorMode") or "value"
    has_ground = mode in ("background", "background_solid")
    ink = text_on(one.shown.colour) if has_ground else one.shown.colour if mode == "value" else "var(--text)"
    parts = [tooltip(f"{one.name}: {one.shown.text}")]
    if has_ground:
        parts.append(element("rect", x=x, y=y, width=width, height=height, rx=2, fill=one.shown.colour))
    if mode == "background":
        parts.append(element("rect", x=x, y=y, width=width, height=height, rx=2, fill="url(#shade)"))
    if options.get("graphMode", "area") == "area" and one.frame.times and one.field.kind == "number":
        parts.append(_graph(canvas, one, at, "#ffffff" if has_ground else one.shown.colour))
    text_mode = options.get("textMode")
    value = {"none": "", "name": one.name}.get(str(text_mode), one.shown.text)
    name = one.name if has_name and text_mode != "name" else ""
    parts.append(_words(name, value, at, size, ink))
    return element("g", "".join(parts), class_="figure", data_value=one.shown.text, data_colour=one.shown.colour)


def _words(name: str, value: str, at: _Box, size: float, ink: str) -> str:
    """Write the name above the value, both in the middle."""
    x, y, width, height = at
    middle, room = x + width / 2, width - 12
    lines, name_size = _name_lines(name, room, size) if name else ([], 0.0)
    line_height, gap = name_size * 1.2, size * 0.25 if name else 0.0
    # Figures are three quarters as high as their size says.
    whole = len(lines) * line_height + gap + size * 0.72
    top = y + (height - whole) / 2
    drawn = [
        text(middle, top + index * line_height + name_size * 0.85, line, size=name_size, fill=ink, anchor="middle")
        for index, line in enumerate(lines)
    ]
    shown = shortened(value, room, size, is_bold=True)
    return "".join([*drawn, text(middle, top + whole, shown, size=size, fill=ink, anchor="middle", is_bold=True)])


def _name_lines(name: str, width: float, size: float) -> tuple[list[str], float]:
    """Return a name in one line, or in two small ones if it is long."""
    name_size = min(max(size * 0.4, _NAME_SIZE), 16.0)
    if text_width(name, name_size) <= width:
        return [name], name_size
    first, *others = wrapped(name, width, _NAME_SIZE)
    return ([first, shortened(" ".join(others), width, _NAME_SIZE)] if others else [first]), _NAME_SIZE


def _graph(canvas: Canvas, one: Figure, at: _Box, ink: str) -> str:
    """Draw the values as a small area behind the figure."""
    x, y, width, height = at
    span = canvas.answer.range.at
    times = time_scale(span.from_at, span.to_at, x, x + width)
    points = [
        (times(moment.timestamp()), value)
        for moment, value in zip(one.frame.times, one.field.values, strict=True)
        if value is not None and times.low <= moment.timestamp() <= times.high
    ]
    if len(points) < 2:
        return ""
    low, high = min(value for _, value in points), max(value for _, value in points)
    low = min(low, 0.0) if low >= 0 else low
    foot, room = y + height - 1, height * 0.3
    line = " ".join(f"{left:.1f},{foot - room * (value - low) / ((high - low) or 1):.1f}" for left, value in points)
    area = f"{points[0][0]:.1f},{foot:.1f} {line} {points[-1][0]:.1f},{foot:.1f}"
    return element("polygon", points=area, fill=ink, fill_opacity=0.25) + element(
        "polyline", points=line, fill="none", stroke=ink, stroke_width=1, stroke_opacity=0.7
    )


SHADE = (
    '<linearGradient id="shade" x1="0" y1="0" x2="1" y2="0.6"><stop offset="0" stop-color="#000" stop-opacity="0.3"/>'
    '<stop offset="1" stop-color="#000" stop-opacity="0.08"/></linearGradient>'
)
"""What makes coloured ground a little darker on one side; defined once in whatever holds the panels."""
