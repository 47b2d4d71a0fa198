"""The panel "Bar gauge": a bar for each value, as long as the value is large."""

from __future__ import annotations

from dashboards.preview.panels.drawing import Canvas, Drawing, message
from dashboards.preview.panels.stat import figures
from dashboards.preview.svg import element, shortened, text, text_width, tooltip

_SIZE, _HIGHEST, _GAP, _NAMES_SHARE = 13, 40, 8, 0.35


def draw_bar_gauge(canvas: Canvas) -> Drawing:
    """Draw the panel; bars lie, whatever the panel's orientation says."""
    found = figures(canvas)
    if not found:
        return message(canvas, canvas.no_value, kind="no-data")
    numbers = [one.value if isinstance(one.value, float) else 0.0 for one in found]
    defaults = (canvas.panel.json.get("fieldConfig") or {}).get("defaults") or {}
    low = float(defaults.get("min") or min(0.0, *numbers))
    high = float(defaults["max"]) if defaults.get("max") is not None else max(numbers)
    names = min(max(text_width(one.name, _SIZE) for one in found), canvas.width * _NAMES_SHARE) + 10
    values = max(text_width(one.shown.text, _SIZE) for one in found) + 12
    each = min(canvas.height / len(found), _HIGHEST + _GAP)
    room = max(canvas.width - names - values, 10.0)
    parts = []
    for index, (one, number) in enumerate(zip(found, numbers, strict=True)):
        y, height = index * each, max(each - _GAP, 2.0)
        share = min(max((number - low) / (high - low), 0.0), 1.0) if high > low else 0.0
        drawn = [
            tooltip(f"{one.name}: {one.shown.text}"),
            text(names - 8, y + height / 2 + 4.5, shortened(one.name, names - 8, _SIZE), size=_SIZE, anchor="end"),
            element("rect", x=names, y=y, width=room, height=height, rx=2, fill="var(--raised)"),
            element("rect", x=names, y=y, width=room * share, height=height, rx=2, fill=one.shown.colour, class_="bar"),
            text(names + room + 8, y + height / 2 + 4.5, one.shown.text, size=_SIZE, fill=one.shown.colour),
        ]
        parts.append(element("g", "".join(drawn), class_="figure", data_value=one.shown.text))
    return Drawing("".join(parts))
