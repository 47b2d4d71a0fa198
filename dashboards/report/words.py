"""How the report writes numbers and times, for people; times are in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime

from dashboards.preview.units import format_number

NOTHING = "\N{EN DASH}"
"""Stands where there is no value."""


def percent(value: float, *, apart_from: tuple[float, ...] = (0.0, 1.0)) -> str:
    """Write a share with as many decimals as tell it from the values that matter: 99.96 % is not "100 %"."""
    for decimals in range(1, 5):
        text = f"{100 * value:.{decimals}f}"
        if all(value == other or float(text) != round(100 * other, 9) for other in apart_from):
            break
    return f"{text.rstrip('0').rstrip('.')} %"


def count(value: float) -> str:
    """Write a whole number: 12,345."""
    return f"{value:,.0f}"


def milliseconds(value: float) -> str:
    """Write a length of time that people wait: 850 ms, 3.4 s."""
    return str(format_number(value, "ms"))


def length(seconds: float) -> str:
    """Write a length of time by its largest part: 2 hours."""
    return str(format_number(round(seconds), "dtdurations", 0)).strip()


def day(at: date) -> str:
    """Write a day: 3 Nov 2026."""
    return f"{at.day} {at:%b %Y}"


def moment(at: datetime | None) -> str:
    """Write a moment to the minute; the page says once that these are UTC."""
    return NOTHING if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"


def counted(number: int, one: str, many: str | None = None) -> str:
    """Write how many: 1 table, 2 tables."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
