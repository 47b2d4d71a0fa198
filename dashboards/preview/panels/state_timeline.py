"""The panels "State timeline" and "Status history": for each series a band whose colours are its states."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dashboards.preview.colours import palette_colour, text_on
from dashboards.preview.fields import Look, Shown, looks
from dashboards.preview.panels.annotations import draw_annotations, place_annotations
from dashboards.preview.panels.drawing import Canvas, Drawing, message
from dashboards.preview.panels.scales import FONT_SIZE, Scale, time_label, time_scale
from dashboards.preview.svg import element, shortened, text, text_width, tooltip

_TIME_AXIS_HEIGHT, _LEGEND_HEIGHT, _MARK = 22, 22, 10
_NAMES_SHARE = 0.3


@dataclass(frozen=True)
class Band:
    """One series: its states, each from a time until another, in seconds since 1970."""

    look: Look
    states: tuple[tuple[float, float, Shown], ...]


def draw_state_timeline(canvas: Canvas) -> Drawing:
    """Draw the panel."""
    at = canvas.answer.range.at
    bands = list(_bands(canvas, at.to_at.timestamp()))
    if not any(band.states for band in bands):
        return message(canvas, canvas.no_value, kind="no-data")
    has_legend = (canvas.panel.options.get("legend") or {}).get("showLegend") is not False
    bottom = canvas.height - _TIME_AXIS_HEIGHT - (_LEGEND_HEIGHT if has_legend else 0)
    names = min(max(text_width(band.look.name, FONT_SIZE) for band in bands), canvas.width * _NAMES_SHARE) + 10
    times = time_scale(at.from_at, at.to_at, names, canvas.width - 8)
    each = bottom / len(bands)
    share = float(canvas.panel.options.get("rowHeight") or 0.9)
    parts = [_axis(times, bottom)]
    for index, band in enumerate(bands):
        middle = each * (index + 0.5)
        label = shortened(band.look.name, names - 8, FONT_SIZE)
        parts.append(text(names - 8, middle + 4, label, size=FONT_SIZE, anchor="end", class_="tick"))
        parts.append(_draw_band(band, times, middle - each * share / 2, each * share, canvas))
    parts.append(draw_annotations(place_annotations(canvas.annotations, times, is_named=False), 0, bottom))
    if has_legend:
        parts.append(_legend(bands, canvas))
    return Drawing("".join(parts))


def _bands(canvas: Canvas, ends: float) -> Iterator[Band]:
    merges = canvas.panel.type == "state-timeline" and canvas.panel.options.get("mergeValues") is not False
    for frame, one, look in looks(canvas.panel, canvas.answer.frames, canvas.now):
        if one.kind == "time" or not frame.times:
            continue
        times = [at.timestamp() for at in frame.times]
        states: list[tuple[float, float, Shown]] = []
        before: Any = object()
        for at, until, value in zip(times, [*times[1:], ends], one.values, strict=True):
            if value is None:
                # As in Grafana, a missing value ends a state unless the panel spans it.
                before = before if look.custom.get("spanNulls") else object()
                continue
            if merges and value == before:
                states[-1] = (states[-1][0], until, states[-1][2])
            else:
                states.append((at, until, _coloured(look, value)))
            before = value
        yield Band(look, tuple(states))


def _coloured(look: Look, value: Any) -> Shown:
    """Give a text without a mapping a colour of its own."""
    shown = look.show(value)
    if shown.is_mapped or not isinstance(value, str) or not look.colour_mode.startswith("palette"):
        return shown
    return Shown(shown.text, palette_colour(sum(map(ord, value))))


def _draw_band(band: Band, times: Scale, top: float, height: float, canvas: Canvas) -> str:
    opacity = float(band.look.custom.get("fillOpacity", 70)) / 100
    has_words = canvas.panel.options.get("showValue", "auto") != "never"
    rects, words = [], []
    for at, until, shown in band.states:
        left, right = times(max(at, times.low)), times(min(until, times.high))
        if right <= left:
            continue
        rects.append(
            element("rect", x=left, y=top, width=right - left, height=height, fill=shown.colour, class_="state")
        )
        said = shortened(shown.text, right - left - 8, FONT_SIZE) if has_words else ""
        if said not in ("", "…"):
            words.append(text(left + 4, top + height / 2 + 4, said, size=FONT_SIZE, fill=text_on(shown.colour)))
    drawn = tooltip(band.look.name) + element("g", "".join(rects), fill_opacity=opacity) + "".join(words)
    return element("g", drawn, class_="series", data_name=band.look.name, data_points=len(band.states))


def _axis(times: Scale, bottom: float) -> str:
    parts = []
    for tick in times.ticks:
        x, label = times(tick), time_label(tick, times)
        parts.append(element("line", x1=x, x2=x, y1=0, y2=bottom + 4, stroke="var(--grid)"))
        parts.append(text(x, bottom + 17, label, size=FONT_SIZE, anchor="middle", class_="tick"))
    return element("g", "".join(parts), class_="axes")


def _legend(bands: list[Band], canvas: Canvas) -> str:
    states = {shown.text: shown.colour for band in bands for _, _, shown in band.states}
    x, y, parts = 0.0, canvas.height - _LEGEND_HEIGHT + 4, []
    for words, colour in states.items():
        width = text_width(words, FONT_SIZE) + _MARK + 20
        if x + width > canvas.width:
            break
        parts.append(element("rect", x=x, y=y + 5, width=_MARK, height=4, rx=1, fill=colour))
        parts.append(text(x + _MARK + 5, y + 12, words, size=FONT_SIZE))
        x += width
    return element("g", "".join(parts), class_="legend")
