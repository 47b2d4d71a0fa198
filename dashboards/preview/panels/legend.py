"""A plot's legend: a list or a table of its series, below or beside the plot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dashboards.preview.fields import Look
from dashboards.preview.frames import reduce_values
from dashboards.preview.svg import element, shortened, text, text_width

_SIZE, _ROW, _MARK, _GAP = 12, 20, 14, 16
_LARGEST_SHARE = 0.35
_TITLES = {
    "lastNotNull": "Last *", "last": "Last", "firstNotNull": "First *", "first": "First", "min": "Min", "max": "Max",
    "mean": "Mean", "sum": "Total", "count": "Count", "median": "Median", "stdDev": "StdDev", "range": "Range",
    "diff": "Difference",
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One series."""

    look: Look
    colour: str
    values: tuple[float | None, ...]
    is_dashed: bool = False


@dataclass(frozen=True)
class Legend:
    """What is drawn, and the room that it takes from the plot."""

    svg: str = ""
    width: float = 0.0
    height: float = 0.0


def draw_legend(entries: list[Entry], options: dict[str, Any], width: float, height: float) -> Legend:
    """Draw the legend as the panel's options say, for a panel of this size."""
    if options.get("showLegend") is False or not entries:
        return Legend()
    calculations = [str(one) for one in options.get("calcs") or []]
    is_right = options.get("placement") == "right"
    if options.get("displayMode") == "table":
        return _table(entries, calculations, width, height, is_right=is_right)
    if is_right:
        longest = max(text_width(_label(entry, calculations), _SIZE) for entry in entries) + _MARK + 12
        taken = min(longest, width * _LARGEST_SHARE)
        left = width - taken + 8
        kept = entries[: max(1, int(height / _ROW))]
        rows = [_entry(left, index * _ROW, entry, calculations, taken - 8) for index, entry in enumerate(kept)]
        return Legend(element("g", "".join(rows), class_="legend"), width=taken)
    return _list(entries, calculations, width, height)


def _list(entries: list[Entry], calculations: list[str], width: float, height: float) -> Legend:
    placed, x, row = [], 0.0, 0
    rows = max(1, int(height * _LARGEST_SHARE / _ROW))
    for entry in entries:
        needed = min(text_width(_label(entry, calculations), _SIZE) + _MARK + 4, width)
        if x and x + needed > width:
            x, row = 0.0, row + 1
        if row == rows:
            break
        placed.append((x, row, entry))
        x += needed + _GAP
    taken = (placed[-1][1] + 1) * _ROW
    top = height - taken
    drawn = [_entry(x, top + row * _ROW, entry, calculations, width - x) for x, row, entry in placed]
    return Legend(element("g", "".join(drawn), class_="legend"), height=taken)


def _table(entries: list[Entry], calculations: list[str], width: float, height: float, *, is_right: bool) -> Legend:
    columns = [[_value(entry, one) for entry in entries] for one in calculations]
    heads = [_TITLES.get(one, one) for one in calculations]
    widths = [
        max(text_width(cell, _SIZE) for cell in (head, *cells)) + 14 for head, cells in zip(heads, columns, strict=True)
    ]
    names = max(text_width(entry.look.name, _SIZE) for entry in entries) + _MARK + 12
    taken = min(names + sum(widths), width * (0.5 if is_right else 1.0))
    left = width - taken if is_right else 0.0
    shown = entries[: max(1, int(height * (1.0 if is_right else 0.4) / _ROW) - 1)]
    room = (len(shown) + 1) * _ROW
    top = 0.0 if is_right else height - room
    parts = []
    right = width
    for head, cells, column in reversed(list(zip(heads, columns, widths, strict=True))):
        parts.append(text(right, top + 14, head, size=_SIZE, fill="var(--link)", anchor="end"))
        parts += [
            text(right, top + (index + 1) * _ROW + 14, cell, size=_SIZE, anchor="end")
            for index, cell in enumerate(cells[: len(shown)])
        ]
        right -= column
    parts.append(text(left + 4, top + 14, "Name", size=_SIZE, fill="var(--link)"))
    parts += [
        _entry(left + 4, top + (index + 1) * _ROW, entry, [], right - left - 4) for index, entry in enumerate(shown)
    ]
    drawn = element("g", "".join(parts), class_="legend")
    return Legend(drawn, width=taken + 8) if is_right else Legend(drawn, height=room + 2)


def _entry(x: float, y: float, entry: Entry, calculations: list[str], width: float) -> str:
    mark = element(
        "line", x1=x, x2=x + _MARK, y1=y + 10, y2=y + 10, stroke=entry.colour, stroke_width=4,
        stroke_dasharray="4 2" if entry.is_dashed else None,
    )  # fmt: skip
    label = shortened(_label(entry, calculations), width - _MARK - 4, _SIZE)
    return element("g", mark + text(x + _MARK + 4, y + 14, label, size=_SIZE), class_="legend-entry")


def _label(entry: Entry, calculations: list[str]) -> str:
    figures = "  ".join(f"{_TITLES.get(one, one)}: {_value(entry, one)}" for one in calculations)
    return f"{entry.look.name}  {figures}" if figures else entry.look.name


def _value(entry: Entry, calculation: str) -> str:
    return entry.look.show(reduce_values(calculation, entry.values)).text
