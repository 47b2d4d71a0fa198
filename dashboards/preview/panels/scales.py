"""Scales of plots: which numbers and times stand beside an axis, and where."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from dashboards.preview.svg import text_width

FONT_SIZE = 12
_TICK_PIXELS, _TICK_PIXELS_LOW, _LOW_PLOT = 30, 15, 150
_TIME_GAP = 18

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_TIME_STEPS = (
    1, 2, 5, 10, 15, 30,
    *(_MINUTE * count for count in (1, 2, 5, 10, 15, 30)),
    *(_HOUR * count for count in (1, 2, 3, 4, 6, 12)),
    *(_DAY * count for count in (1, 2, 3, 4, 5, 7, 10, 15, 30, 60, 90, 180, 365)),
)  # fmt: skip


@dataclass(frozen=True)
class Scale:
    """From values to pixels.

    Attributes:
        low: The value at ``start``.
        high: The value at ``end``.
        ticks: The values that are named, lowest first.
        increment: What is between two of them.
    """

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    increment: float

    def __call__(self, value: float) -> float:
        """Return where a value is."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def number_scale(
    values: Sequence[float],
    bottom: float,
    top: float,
    *,
    low: float | None,
    high: float | None,
    soft_high: float | None,
) -> Scale:
    """Make a scale for numbers, upwards from ``bottom`` to ``top``.

    Args:
        values: Everything that is to be seen.
        bottom: Where the lowest is, in pixels.
        top: Where the highest is.
        low: A bound that is set; None lets the values decide.
        high: Likewise.
        soft_high: Shown even if no value comes up to it.
    """
    least = min(values, default=0.0)
    most = max(values, default=1.0)
    if soft_high is not None:
        most = max(most, soft_high)
    if low is None:
        padded = least - (most - least) * 0.1
        low = 0.0 if least >= 0 and (padded < 0 or least < most / 2) else padded
    lowest = low
    highest = most + (most - lowest) * 0.1 if high is None else high
    if highest <= lowest:
        highest = lowest + (abs(lowest) or 1.0)
    height = abs(bottom - top)
    gap = _TICK_PIXELS_LOW if height <= _LOW_PLOT else _TICK_PIXELS
    increment = _pleasant(highest - lowest, max(1.0, height / gap))
    if high is None:
        highest = math.ceil(round(highest / increment, 9)) * increment
    first, last = math.ceil(round(lowest / increment, 9)), math.floor(round(highest / increment, 9))
    ticks = tuple(round(number * increment, 12) for number in range(first, last + 1))
    return Scale(lowest, highest, bottom, top, ticks, increment)


def time_scale(from_at: datetime, to_at: datetime, left: float, right: float) -> Scale:
    """Make a scale for times, in seconds since 1970; ticks are at full minutes, hours or days of UTC."""
    low, high = from_at.timestamp(), to_at.timestamp()
    length = high - low
    widest = text_width("00/00 00:00" if length > _DAY * 1.01 else "00:00:00", FONT_SIZE) + _TIME_GAP
    at_most = max(1.0, (right - left) / widest)
    increment = next((step for step in _TIME_STEPS if length / step <= at_most), _TIME_STEPS[-1])
    first = math.ceil(low / increment)
    ticks = tuple(float(number * increment) for number in range(first, math.floor(high / increment) + 1))
    return Scale(low, high, left, right, ticks, float(increment))


def time_label(tick: float, scale: Scale) -> str:
    """Write a time beside the axis, as precisely as the ticks are close."""
    at = datetime.fromtimestamp(tick, UTC)
    length = scale.high - scale.low
    if scale.increment < _MINUTE:
        return at.strftime("%H:%M:%S")
    if length <= _DAY * 1.01:
        return at.strftime("%H:%M")
    return at.strftime("%m/%d %H:%M") if scale.increment < _DAY else at.strftime("%m/%d")


def _pleasant(length: float, at_most: float) -> float:
    """Return the smallest of 1, 2, 2.5 and 5 times a power of ten that divides a length into ``at_most`` parts."""
    smallest = length / at_most
    power = 10 ** math.floor(math.log10(smallest))
    return next(float(step * power) for step in (1, 2, 2.5, 5, 10) if step * power >= smallest * (1 - 1e-9))
