"""The panel "Time series": lines, bars and points over time, stacked or not, with thresholds and what happened."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from dashboards.preview.colours import colour
from dashboards.preview.fields import Look, looks
from dashboards.preview.panels.annotations import LINE_PIXELS, Mark, draw_annotations, lines_of_words, place_annotations
from dashboards.preview.panels.drawing import Canvas, Drawing, message
from dashboards.preview.panels.legend import Entry, Legend, draw_legend
from dashboards.preview.panels.scales import FONT_SIZE, Scale, number_scale, time_label, time_scale
from dashboards.preview.svg import element, text, text_width, tooltip

_AXIS_GAP, _TIME_AXIS_HEIGHT, _TOP = 9, 22, 6
_BAR_SHARE, _WIDEST_BAR = 0.6, 100


_NAMES_ANNOTATIONS = 10
"""Columns of a panel that has the room for words above its plot."""


@dataclass
class Series:
    """One series.

    Attributes:
        times: Seconds since 1970.
        values: As the query returned them.
        bases: What it stands on, where series are stacked; zeros otherwise.
    """

    look: Look
    ref_id: str
    times: tuple[float, ...]
    values: tuple[float | None, ...]
    bases: list[float] = field(default_factory=list)

    @property
    def style(self) -> str:
        """line, bars or points."""
        return str(self.look.custom.get("drawStyle") or "line")

    @property
    def is_on_the_right(self) -> bool:
        """Whether its axis is the right one."""
        return self.look.custom.get("axisPlacement") == "right"

    @property
    def colour(self) -> str:
        """Of all of it."""
        return self.look.series_colour(self.values)

    @property
    def is_hidden(self) -> bool:
        """Whether it is kept out of the plot."""
        return bool((self.look.custom.get("hideFrom") or {}).get("viz"))

    def tops(self) -> list[float | None]:
        """Where its points are."""
        return [None if value is None else value + base for value, base in zip(self.values, self.bases, strict=True)]


_Sides = dict[bool, tuple[Scale, list[Series]]]
"""The axes that have series, False the left one and True the right, and whose scale it is."""


def draw_timeseries(canvas: Canvas) -> Drawing:
    """Draw the panel."""
    series = read_series(canvas)
    if not any(value is not None for one in series for value in one.values):
        return message(canvas, canvas.no_value, kind="no-data")
    _stack(series)
    legend = _legend(canvas, series)
    right_edge, bottom = canvas.width - legend.width, canvas.height - legend.height - _TIME_AXIS_HEIGHT
    # Words above the plot make it lower, and a lower plot may have other numbers beside it.
    without_words = _times(canvas, _sides(series, _TOP, bottom), right_edge)
    top = _TOP + lines_of_words(_marks(canvas, without_words)) * LINE_PIXELS
    sides = _sides(series, top, bottom)
    times = _times(canvas, sides, right_edge)
    marks = _marks(canvas, times)
    # Bars first: lines would be lost behind them.
    behind = [(one, scale) for scale, members in sides.values() for one in members if one.style == "bars"]
    before = [(one, scale) for scale, members in sides.values() for one in members if one.style != "bars"]
    drawn = [
        _grid(times, sides),
        *(_threshold_areas(times, scale, members) for scale, members in sides.values()),
        *(_draw_series(one, times, scale) for one, scale in (*behind, *before)),
        *(_threshold_lines(times, scale, members) for scale, members in sides.values()),
        draw_annotations(marks, top, bottom),
        legend.svg,
    ]
    return Drawing("".join(drawn))


def _marks(canvas: Canvas, times: Scale) -> list[Mark]:
    return place_annotations(canvas.annotations, times, is_named=canvas.panel.at[2] >= _NAMES_ANNOTATIONS)


def read_series(canvas: Canvas) -> list[Series]:
    """Return the series that are drawn, in the order of the queries."""
    series = []
    for frame, one, look in looks(canvas.panel, canvas.answer.frames, canvas.now):
        if one.kind == "number" and frame.times:
            times = tuple(at.timestamp() for at in frame.times)
            found = Series(look, frame.ref_id, times, one.values)
            if not found.is_hidden:
                series.append(found)
    return series


def _stack(series: list[Series]) -> None:
    """Put series of one stack on top of each other, and make shares of those that are stacked to 100 %."""
    sums: dict[tuple[str, str, bool], dict[float, float]] = {}
    totals: dict[tuple[str, str, bool], dict[float, float]] = {}
    stacks = {}
    for one in series:
        stacking = one.look.custom.get("stacking") or {}
        mode = stacking.get("mode") or "none"
        stacks[id(one)] = (
            None if mode == "none" else (str(stacking.get("group") or "A"), one.style, one.is_on_the_right)
        )
        if mode == "percent":
            total = totals.setdefault(stacks[id(one)], {})  # type: ignore[arg-type]
            for at, value in zip(one.times, one.values, strict=True):
                total[at] = total.get(at, 0.0) + (value or 0.0)
    for one in series:
        stack = stacks[id(one)]
        if stack is None:
            one.bases = [0.0] * len(one.values)
            continue
        if stack in totals:
            one.values = tuple(
                None if value is None else value / (totals[stack][at] or 1.0)
                for at, value in zip(one.times, one.values, strict=True)
            )
        sum_ = sums.setdefault(stack, {})
        one.bases = [sum_.get(at, 0.0) for at in one.times]
        for at, value in zip(one.times, one.values, strict=True):
            sum_[at] = sum_.get(at, 0.0) + (value or 0.0)


def _sides(series: list[Series], top: float, bottom: float) -> _Sides:
    """Make a scale for each axis that has series."""
    sides: _Sides = {}
    for is_right in (False, True):
        members = [one for one in series if one.is_on_the_right is is_right]
        values = [top_ for one in members for top_ in one.tops() if top_ is not None and math.isfinite(top_)]
        if not members:
            continue
        lows = [low for one in members if (low := one.look.bound("min")) is not None]
        highs = [high for one in members if (high := one.look.bound("max")) is not None]
        soft = [float(high) for one in members if (high := one.look.custom.get("axisSoftMax")) is not None]
        if any(one.style == "bars" or one.look.custom.get("fillOpacity") for one in members):
            values.append(0.0)
        sides[is_right] = (
            number_scale(
                values,
                bottom,
                top,
                low=min(lows, default=None),
                high=max(highs, default=None),
                soft_high=max(soft, default=None),
            ),
            members,
        )
    return sides


def _labels(scale: Scale, members: list[Series]) -> list[str]:
    """Write the numbers beside an axis; its first series says in which unit."""
    return [members[0].look.tick(tick, scale.increment) for tick in scale.ticks]


def _times(canvas: Canvas, sides: _Sides, right_edge: float) -> Scale:
    """Make the time axis, as wide as the numbers on both sides leave it."""
    left, right = (
        max((text_width(label, FONT_SIZE) for label in _labels(*sides[side])), default=0.0) + _AXIS_GAP
        if side in sides
        else _AXIS_GAP
        for side in (False, True)
    )
    at = canvas.answer.range.at
    return time_scale(at.from_at, at.to_at, left, max(right_edge - right, left + 20))


def _grid(times: Scale, sides: _Sides) -> str:
    first = next(iter(sides.values()))[0]
    bottom, top = first.start, first.end
    parts = []
    for side, (scale, members) in sides.items():
        for tick, label in zip(scale.ticks, _labels(scale, members), strict=True):
            y = scale(tick)
            if not side or len(sides) == 1:
                parts.append(element("line", x1=times.start, x2=times.end, y1=y, y2=y, stroke="var(--grid)"))
            x, anchor = (times.end + _AXIS_GAP - 2, None) if side else (times.start - _AXIS_GAP + 2, "end")
            parts.append(text(x, y + 4, label, size=FONT_SIZE, anchor=anchor, class_="tick"))
    for tick in times.ticks:
        x = times(tick)
        parts.append(element("line", x1=x, x2=x, y1=top, y2=bottom + 4, stroke="var(--grid)"))
        half = text_width(time_label(tick, times), FONT_SIZE) / 2
        if x - half >= 0:
            parts.append(text(x, bottom + 17, time_label(tick, times), size=FONT_SIZE, anchor="middle", class_="tick"))
    return element("g", "".join(parts), class_="axes")


def _draw_series(one: Series, times: Scale, scale: Scale) -> str:
    """Draw one series; what lies beyond the axes stays out, as the plot's clipping would have it."""
    tops = one.tops()
    points = [
        (times(at), None if top is None or not math.isfinite(top) else _within(scale, top), _within(scale, base))
        for at, top, base in zip(one.times, tops, one.bases, strict=True)
        if times.low <= at <= times.high
    ]
    custom = one.look.custom
    if one.style == "bars":
        marks = _bars(points, one)
    else:
        marks = [] if one.style == "points" else _lines(points, one, custom)
        marks += _points(points, one, custom)
    count = sum(y is not None for _, y, _ in points)
    return element(
        "g",
        tooltip(one.look.name) + "".join(marks),
        class_="series",
        data_name=one.look.name,
        data_style=one.style,
        data_points=count,
    )


_Point = tuple[float, float | None, float]


def _within(scale: Scale, value: float) -> float:
    return scale(min(max(value, scale.low), scale.high))


def _bars(points: Sequence[_Point], one: Series) -> list[str]:
    gaps = [after - before for (before, _, _), (after, _, _) in pairwise(points) if after > before]
    width = min(max(min(gaps, default=_WIDEST_BAR) * _BAR_SHARE, 1.0), _WIDEST_BAR)
    rects = [
        element("rect", x=x - width / 2, y=min(y, base), width=width, height=abs(base - y))
        for x, y, base in points
        if y is not None
    ]
    opacity = float(one.look.custom.get("fillOpacity", 0)) / 100
    return [element("g", "".join(rects), fill=one.colour, fill_opacity=opacity or None)]


def _runs(points: Sequence[_Point], custom: dict[str, Any]) -> list[list[tuple[float, float, float]]]:
    """Split a line where a value is missing, unless the panel says to span that."""
    runs: list[list[tuple[float, float, float]]] = [[]]
    for x, y, base in points:
        if y is not None:
            runs[-1].append((x, y, base))
        elif not custom.get("spanNulls") and runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _lines(points: Sequence[_Point], one: Series, custom: dict[str, Any]) -> list[str]:
    style = custom.get("lineStyle") or {}
    dash = " ".join(str(part) for part in style.get("dash") or (10, 10)) if style.get("fill") == "dash" else None
    if style.get("fill") == "dot":
        dash = "0 8"
    opacity = float(custom.get("fillOpacity", 0)) / 100
    marks = []
    for run in _runs(points, custom):
        if len(run) < 2:
            continue
        path = _path([(x, y) for x, y, _ in run], str(custom.get("lineInterpolation") or "linear"))
        if opacity:
            back = _path([(x, base) for x, _, base in reversed(run)], "linear").replace("M", "L", 1)
            marks.append(element("path", d=f"{path}{back}Z", fill=one.colour, fill_opacity=opacity, class_="area"))
        width = float(custom.get("lineWidth", 1))
        if width:
            marks.append(
                element("path", d=path, fill="none", stroke=one.colour, stroke_width=width, stroke_dasharray=dash)
            )
    return marks


def _path(points: Sequence[tuple[float, float]], interpolation: str) -> str:
    parts = []
    before: tuple[float, float] | None = None
    for x, y in points:
        if before is not None and interpolation == "stepAfter":
            parts.append(f"L{x:.1f} {before[1]:.1f}")
        elif before is not None and interpolation == "stepBefore":
            parts.append(f"L{before[0]:.1f} {y:.1f}")
        parts.append(f"{'M' if before is None else 'L'}{x:.1f} {y:.1f}")
        before = (x, y)
    return "".join(parts)


def _points(points: Sequence[_Point], one: Series, custom: dict[str, Any]) -> list[str]:
    """Draw points: always where asked for; else where there is room, or a value has no neighbour to be joined to."""
    size = float(custom.get("pointSize", 5))
    wanted = custom.get("showPoints") or "auto"
    present = [(x, y) for x, y, _ in points if y is not None]
    if one.style == "points" or wanted == "always":
        chosen = present
    elif wanted == "never":
        chosen = []
    else:
        span = present[-1][0] - present[0][0] if present else 0.0
        is_sparse = len(present) * size * 4 < span
        alone = {run[0][0] for run in _runs(points, custom) if len(run) == 1}
        chosen = [point for point in present if is_sparse or point[0] in alone]
    circles = "".join(element("circle", cx=x, cy=y, r=size / 2) for x, y in chosen)
    return [element("g", circles, fill=one.colour)] if circles else []


def _steps(members: list[Series]) -> tuple[str, list[tuple[float, str]]]:
    """Return how the axis' thresholds are drawn, and their steps; the first series that has any says it."""
    for one in members:
        mode = str((one.look.custom.get("thresholdsStyle") or {}).get("mode") or "off")
        if mode != "off":
            return mode, one.look.steps
    return "off", []


def _threshold_areas(times: Scale, scale: Scale, members: list[Series]) -> str:
    mode, steps = _steps(members)
    if "area" not in mode:
        return ""
    parts = []
    for (start, name), (end, _) in zip(steps, [*steps[1:], (math.inf, "")], strict=True):
        low, high = _within(scale, max(start, scale.low)), _within(scale, min(end, scale.high))
        if low > high:
            parts.append(
                element(
                    "rect", x=times.start, y=high, width=times.end - times.start, height=low - high, fill=colour(name),
                    fill_opacity=0.1, class_="threshold-area",
                )
            )  # fmt: skip
    return "".join(parts)


def _threshold_lines(times: Scale, scale: Scale, members: list[Series]) -> str:
    mode, steps = _steps(members)
    if mode not in ("line", "dashed", "line+area", "dashed+area"):
        return ""
    return "".join(
        element(
            "line", x1=times.start, x2=times.end, y1=scale(value), y2=scale(value), stroke=colour(name), stroke_width=2,
            stroke_opacity=0.8, stroke_dasharray="10 10" if "dashed" in mode else None, class_="threshold",
        )
        for value, name in steps
        if scale.low <= value <= scale.high
    )  # fmt: skip


def _legend(canvas: Canvas, series: list[Series]) -> Legend:
    entries = [
        Entry(
            one.look,
            one.colour,
            one.values,
            is_dashed=bool((one.look.custom.get("lineStyle") or {}).get("fill") in ("dash", "dot")),
        )
        for one in series
        if not (one.look.custom.get("hideFrom") or {}).get("legend")
    ]
    return draw_legend(entries, dict(canvas.panel.options.get("legend") or {}), canvas.width, canvas.height)
