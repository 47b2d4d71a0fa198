"""Draws plots by the day: lines, stacked bars and lanes of marks, for a wide page and for a narrow one.

Nothing is told by colour alone: lines differ in their dashes, bars in their hatching, and a value past its goal has a
cross. The colours are the preview's, so that a page takes them from the reader's theme.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from dashboards.catalogue import MINIMUM_SAMPLE
from dashboards.preview.panels.scales import Scale, number_scale
from dashboards.preview.svg import document, element, text, text_width, tooltip
from dashboards.preview.units import format_tick
from dashboards.report.words import counted

Kind = Literal["lines", "bars", "lanes"]

WIDE, NARROW = 760, 330
_HEIGHT, _LANE_HEIGHT, _EMPTY_HEIGHT, _SIZE = 230, 30, 60, 13
_TOP, _BOTTOM, _RIGHT = 12, 26, 10
_WIDEST_FONT = 1.25
"""A reader's font, beside the one whose widths are known."""

_STEPS = (1, 2, 7, 14, 28)

_STYLES: tuple[tuple[str, str | None, float], ...] = (
    ("blue", None, 2),
    ("purple", "7 3", 2),
    ("dark-orange", "2 3", 2.5),
)
"""Colour, dashes and width of the first, second and third line."""

_FILLS = ("blue", "hatch-orange", "dots-purple")
"""The first is plain, the others are patterns of :data:`PATTERNS`."""

PATTERNS = (
    '<pattern id="hatch-orange" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="5" height="5" fill="var(--dark-orange)" fill-opacity="0.35"/>'
    '<line x1="0" y1="0" x2="0" y2="5" stroke="var(--dark-orange)" stroke-width="4"/></pattern>'
    '<pattern id="dots-purple" width="5" height="5" patternUnits="userSpaceOnUse">'
    '<rect width="5" height="5" fill="var(--purple)" fill-opacity="0.3"/>'
    '<circle cx="2.5" cy="2.5" r="1.6" fill="var(--purple)"/></pattern>'
)
"""What bars are filled with; once on a page, or in a picture."""


@dataclass(frozen=True)
class Series:
    """One line, one part of each bar, or one lane; None is a day without data."""

    name: str
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Goal:
    """Where values turn bad."""

    value: float
    words: str
    is_bad_above: bool

    def is_missed_by(self, value: float) -> bool:
        """Tell whether a value is on the bad side."""
        return value > self.value if self.is_bad_above else value < self.value


@dataclass(frozen=True)
class Plot:
    """What is plotted.

    Attributes:
        name: Stable; the anchor on the page.
        title: What is shown.
        about: What it means, in a sentence or two, for who has never heard of it.
        kind: How it is drawn.
        days: Of the horizontal axis.
        series: At most three lines or parts; as many lanes as there are.
        unit: Of the axis, as the preview names units.
        write: Writes a value for people.
        goal: Only for lines; the series that it is for is ``judged``.
        judged: The place of that series.
        samples: By how many requests each day is judged; with a goal, for each of the days.
    """

    name: str
    title: str
    about: str
    kind: Kind
    days: tuple[date, ...]
    series: tuple[Series, ...]
    unit: str
    write: Callable[[float], str]
    goal: Goal | None = None
    judged: int = 0
    samples: tuple[int, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether no day has any data."""
        return all(value is None for one in self.series for value in one.values)

    @property
    def judged_days(self) -> Mapping[int, bool]:
        """The places of the days that are judged, and whether each missed the goal; a small sample says nothing."""
        if self.goal is None:
            return {}
        return {
            index: self.goal.is_missed_by(value)
            for index, (value, count) in enumerate(zip(self.series[self.judged].values, self.samples, strict=True))
            if value is not None and count >= MINIMUM_SAMPLE
        }

    @property
    def has_small_days(self) -> bool:
        """Whether a day has too few requests to be judged."""
        return self.goal is not None and any(0 < count < MINIMUM_SAMPLE for count in self.samples)

    @property
    def missed_days(self) -> int:
        """On how many days the goal was missed."""
        return sum(self.judged_days.values())


def summary(plot: Plot) -> str:
    """Say in words what the plot shows, for who does not see it."""
    span = f"{plot.title} by day, {_long(plot.days[0])} to {_long(plot.days[-1])}"
    if plot.is_empty:
        return f"{span}: no data."
    parts = []
    for one in plot.series:
        known = [(value, at) for value, at in zip(one.values, plot.days, strict=True) if value is not None]
        if not known:
            parts.append(f"{one.name}: no data")
        elif plot.kind == "lines":
            (least, least_day), (most, most_day) = min(known), max(known)
            parts.append(
                f"{one.name}: lowest {plot.write(least)} on {_long(least_day)}, highest {plot.write(most)} on "
                f"{_long(most_day)}, newest {plot.write(known[-1][0])}"
            )
        else:
            most, most_day = max(known)
            peak = f", most on one day {plot.write(most)} on {_long(most_day)}" if most else ""
            parts.append(f"{one.name}: {plot.write(sum(value for value, _ in known))} in all{peak}")
    if plot.goal is not None and not plot.judged_days:
        parts.append(f"the goal, {plot.goal.words}, is judged on no day: none has {MINIMUM_SAMPLE} requests")
    elif plot.goal is not None:
        parts.append(
            f"the goal, {plot.goal.words}, was missed on {plot.missed_days} of {counted(len(plot.judged_days), 'day')}"
        )
    return f"{span}. {'; '.join(parts)}."


def draw(plot: Plot, width: int) -> str:
    """Draw the plot as SVG; ``width`` is in pixels."""
    height = _LANE_HEIGHT * len(plot.series) + _TOP + _BOTTOM if plot.kind == "lanes" else _HEIGHT
    if plot.is_empty:
        height = _EMPTY_HEIGHT
        words = text(width / 2, height / 2, "No data", size=15, fill="var(--faint)", anchor="middle")
        return document(width, height, words, label=summary(plot))
    bottom = height - _BOTTOM
    if plot.kind == "lanes":
        left = _widest([one.name for one in plot.series]) + 14
        bands = _Bands(len(plot.days), left, width - _RIGHT)
        content = "".join(_lanes(plot, bands))
    else:
        scale = _scale(plot, bottom)
        labels = [format_tick(tick, plot.unit, None, scale.increment).replace("%", " %") for tick in scale.ticks]
        left = _widest(labels) + 10
        bands = _Bands(len(plot.days), left, width - _RIGHT)
        drawn = _lines(plot, bands, scale) if plot.kind == "lines" else _bars(plot, bands, scale)
        content = "".join((*_grid(scale, labels, bands), *drawn))
    if plot.kind != "lines" and not any(map(sum, _columns(plot))):
        middle = (bands.left + bands.right) / 2
        content += text(middle, bottom / 2 + 5, "None on any day", size=15, anchor="middle", class_="halo")
    axis = "".join(_axis(plot.days, bands, bottom))
    return document(width, height, axis + content + "".join(_tooltips(plot, bands, bottom)), label=summary(plot))


def swatch(plot: Plot, place: int) -> str:
    """Draw what a series looks like, for the legend."""
    if plot.kind == "lines":
        colour, dashes, thickness = _STYLES[place]
        mark = element(
            "line", x1=1, x2=29, y1=7, y2=7, stroke=f"var(--{colour})", stroke_width=thickness, stroke_dasharray=dashes
        )
        mark += _mark(place, 15.0, 7.0)
    else:
        mark = element("rect", x=8, y=1, width=14, height=12, fill=_fill(place), stroke="var(--faint)")
    return element("svg", mark, width=30, height=14, viewBox="0 0 30 14", aria_hidden="true")


@dataclass(frozen=True)
class _Bands:
    """Where each day is."""

    count: int
    left: float
    right: float

    @property
    def width(self) -> float:
        return (self.right - self.left) / self.count

    def middle(self, index: int) -> float:
        return self.left + (index + 0.5) * self.width


def _scale(plot: Plot, bottom: float) -> Scale:
    if plot.kind == "bars":
        totals = [sum(values) for values in _columns(plot)]
        scale = number_scale(totals, bottom, _TOP, low=0.0, high=None, soft_high=4.0)
        # Of whole things there are no halves.
        return replace(scale, ticks=tuple(tick for tick in scale.ticks if tick == round(tick)))
    values = [value for one in plot.series for value in one.values if value is not None]
    is_share = plot.unit == "percentunit"
    if plot.goal is not None and (is_share or max(values) > plot.goal.value / 2):
        # Room above its line for its words.
        values.append(plot.goal.value * (1.15 if plot.goal.is_bad_above else 1))
    high = 1.0 if is_share and max(values) > 0.5 else None
    low = None if high else 0.0
    return number_scale(values, bottom, _TOP, low=low, high=high, soft_high=None)


def _columns(plot: Plot) -> list[list[float]]:
    """The values of each day, zero where there is none."""
    return [[one.values[index] or 0.0 for one in plot.series] for index in range(len(plot.days))]


def _grid(scale: Scale, labels: Sequence[str], bands: _Bands) -> Iterator[str]:
    for tick, label in zip(scale.ticks, labels, strict=True):
        y = scale(tick)
        yield element("line", x1=bands.left, x2=bands.right, y1=y, y2=y, stroke="var(--grid)")
        yield text(bands.left - 6, y + 4.5, label, size=_SIZE, fill="var(--faint)", anchor="end")


def _axis(days: Sequence[date], bands: _Bands, bottom: float) -> Iterator[str]:
    """Name days, back from the newest, as many as there is room for."""
    room = _widest(["30 Nov"]) + 12
    step = next((one for one in _STEPS if one * bands.width >= room), _STEPS[-1])
    for index in range(len(days) - 1, -1, -step):
        x = bands.middle(index)
        yield element("line", x1=x, x2=x, y1=bottom, y2=bottom + 5, stroke="var(--faint)")
        label = f"{days[index].day} {days[index]:%b}"
        # The first and the last must not stick out of the picture.
        half = _widest([label]) / 2
        yield text(min(max(x, half), bands.right + _RIGHT - half), bottom + 19, label, size=_SIZE, fill="var(--faint)",
                   anchor="middle")  # fmt: skip


def _lines(plot: Plot, bands: _Bands, scale: Scale) -> Iterator[str]:
    if plot.goal is not None and scale.low <= plot.goal.value <= scale.high:
        y = scale(plot.goal.value)
        yield element(
            "line", x1=bands.left, x2=bands.right, y1=y, y2=y, stroke="var(--text)", stroke_width=1,
            stroke_dasharray="5 4", class_="goal",
        )  # fmt: skip
        words_y = y - 5 if plot.goal.is_bad_above else y + 15
        yield text(bands.left + 4, words_y, f"goal: {plot.goal.words}", size=_SIZE, class_="halo")
    for place, one in reversed(list(enumerate(plot.series))):
        colour, dashes, thickness = _STYLES[place]
        points = [
            (index, bands.middle(index), scale(value)) for index, value in enumerate(one.values) if value is not None
        ]
        path, before = "", None
        for index, x, y in points:
            path += f"{'L' if before == index - 1 else 'M'}{x:.1f} {y:.1f}"
            before = index
        known = {index for index, _, _ in points}
        drawn = element(
            "path", d=path or "M0 0", fill="none", stroke=f"var(--{colour})", stroke_width=thickness,
            stroke_dasharray=dashes, stroke_linejoin="round",
        )  # fmt: skip
        # A day between two without data has no line; where there are few days, each has a point.
        drawn += "".join(
            _mark(place, x, y) for index, x, y in points if len(plot.days) <= 31 or not known & {index - 1, index + 1}
        )
        yield element("g", drawn, class_="series", data_name=one.name, data_points=len(points))
    for index, is_missed in plot.judged_days.items():
        if is_missed and (value := plot.series[plot.judged].values[index]) is not None:
            yield _cross(bands.middle(index), scale(value))


def _mark(place: int, x: float, y: float) -> str:
    """A point of the first, second or third line: a disc, a square, a diamond."""
    values = {"fill": f"var(--{_STYLES[place][0]})", "class_": "point"}
    if place == 0:
        return element("circle", cx=x, cy=y, r=3, **values)
    turned = f"rotate(45 {x:.1f} {y:.1f})" if place == 2 else None
    return element("rect", x=x - 3, y=y - 3, width=6, height=6, transform=turned, **values)


def _cross(x: float, y: float) -> str:
    return element(
        "path", d=f"M{x - 3:.1f} {y - 3:.1f}l6 6m0 -6l-6 6", stroke="var(--red)", stroke_width=2, class_="missed"
    )


def _bars(plot: Plot, bands: _Bands, scale: Scale) -> Iterator[str]:
    width = max(1.0, min(bands.width * 0.8, 40))
    bases = [0.0] * len(plot.days)
    for place, one in enumerate(plot.series):
        bars = []
        for index, value in enumerate(one.values):
            if not value:
                continue
            top, base = scale(bases[index] + value), scale(bases[index])
            bases[index] += value
            # One of many thousands is seen all the same.
            high = max(base - top, 1.5)
            bars.append(f"M{bands.middle(index) - width / 2:.1f} {base:.1f}h{width:.1f}v-{high:.1f}h-{width:.1f}Z")
        # One path for all of them: a printed page has a copy of the pattern for each element.
        drawn = element("path", d="".join(bars), fill=_fill(place)) if bars else ""
        yield element("g", drawn, class_="series", data_name=one.name, data_points=len(bars))


def _fill(place: int) -> str:
    return f"url(#{_FILLS[place]})" if place else f"var(--{_FILLS[0]})"


def _lanes(plot: Plot, bands: _Bands) -> Iterator[str]:
    """A row for each series, and a diamond on each day on which something happened; larger for more than one."""
    for place, one in enumerate(plot.series):
        y = _TOP + (place + 0.5) * _LANE_HEIGHT
        yield text(bands.left - 8, y + 4.5, one.name, size=_SIZE, anchor="end")
        yield element("line", x1=bands.left, x2=bands.right, y1=y, y2=y, stroke="var(--grid)")
        marks = [(bands.middle(index), value) for index, value in enumerate(one.values) if value]
        drawn = "".join(
            element("path", d=f"M{x:.1f} {y - size}l{size} {size}l-{size} {size}l-{size} -{size}Z", fill="var(--blue)")
            for x, value in marks
            for size in (5 if value == 1 else 8,)
        )
        yield element("g", drawn, class_="series", data_name=one.name, data_points=len(marks))


def _tooltips(plot: Plot, bands: _Bands, bottom: float) -> Iterator[str]:
    """What a mouse finds over each day; on a phone, where there is none, the table has it."""
    if bands.right < NARROW + 1:
        return
    for index, at in enumerate(plot.days):
        said = [f"{one.name}: {plot.write(value)}" for one in plot.series if (value := one.values[index]) is not None]
        if said:
            yield element(
                "rect", tooltip("\n".join((_long(at), *said))), x=bands.left + index * bands.width, y=_TOP,
                width=bands.width, height=bottom - _TOP, fill="none", pointer_events="all",
            )  # fmt: skip


def _widest(labels: Sequence[str]) -> float:
    return max(text_width(label, _SIZE) for label in labels) * _WIDEST_FONT


def _long(at: date) -> str:
    return f"{at.day} {at:%b %Y}"
