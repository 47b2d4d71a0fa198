"""Writes values as Grafana writes them: "97.2%", "1.25 s", "12.5 K", "2030-05-17 19:00:00".

The rules, and the quirks, are those of ``@grafana/data`` (``valueFormats.ts``, ``dateTimeFormatters.ts``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal


@dataclass(frozen=True)
class Formatted:
    """A number as text, and what stands before and behind it."""

    text: str
    suffix: str = ""
    prefix: str = ""

    def __str__(self) -> str:
        return f"{self.prefix}{self.text}{self.suffix}"


_Format = Callable[[float, int | None], Formatted]


def format_number(value: float, unit: str = "", decimals: int | None = None) -> Formatted:
    """Write a number that is no time.

    Args:
        value: In the unit that ``unit`` says.
        unit: Grafana's identifier, such as ``percentunit``; one that is unknown is written behind the number.
        decimals: Fixed; None lets the value's size decide, and drops zeros at its end.
    """
    formatted = _format_of(unit)(value, decimals)
    if decimals is None and re.fullmatch(r"-?\d+\.\d+", formatted.text):
        return Formatted(formatted.text.rstrip("0").rstrip("."), formatted.suffix, formatted.prefix)
    return formatted


def format_tick(value: float, unit: str, decimals: int | None, increment: float) -> str:
    """Write a number beside an axis whose ticks are ``increment`` apart: with as many digits as tell them apart."""
    needed = max(0, -Decimal(repr(round(increment, 6))).normalize().as_tuple().exponent)  # type: ignore[operator]
    formatted = _format_of(unit)(value, decimals if decimals is not None else needed or None)
    if decimals is None and "." in formatted.text and "e" not in formatted.text:
        return str(Formatted(formatted.text.rstrip("0").rstrip("."), formatted.suffix, formatted.prefix))
    return str(formatted)


def format_time(at: datetime, unit: str, now: datetime) -> str:
    """Write a moment in UTC, which is the dashboards' zone; a unit that is none of times gives the ISO form."""
    at = at.astimezone(UTC)
    if unit == "dateTimeFromNow":
        return _from_now((at - now).total_seconds())
    if unit == "dateTimeAsIsoNoDateIfToday" and at.date() == now.astimezone(UTC).date():
        return at.strftime("%H:%M:%S")
    if unit.startswith("time:"):
        return at.strftime(_strftime_of(unit.removeprefix("time:")))
    return at.strftime("%Y-%m-%d %H:%M:%S")


def is_time_unit(unit: str) -> bool:
    """Tell whether numbers of this unit are moments, in milliseconds since 1970."""
    return unit.startswith(("dateTime", "time:"))


def is_known_unit(unit: str) -> bool:
    """Tell whether this module writes the unit by a rule of its own, as Grafana does."""
    return unit in _FORMATS or is_time_unit(unit) or unit.startswith(("suffix:", "prefix:"))


def to_fixed(value: float, decimals: int | None = None) -> str:
    """Write a number with fixed decimals, or with those that its size calls for."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if decimals is None:
        decimals = _decimals_for(value)
    decimals = max(0, decimals)
    # JavaScript rounds halves up, Python to even.
    rounded = math.floor(value * 10**decimals + 0.5) / 10**decimals
    if abs(rounded) >= 1e21:
        return repr(rounded)
    return f"{rounded + 0.0:.{decimals}f}" if rounded else f"{0:.{decimals}f}"


def _decimals_for(value: float) -> int:
    """Three digits, as Grafana's rule comes to, and none behind a whole number."""
    return 0 if value == 0 or value % 1 == 0 else max(0, 2 - math.floor(math.log10(abs(value))))


def _format_of(unit: str) -> _Format:
    if unit in _FORMATS:
        return _FORMATS[unit]
    if unit.startswith("prefix:"):
        return lambda value, decimals: Formatted(to_fixed(value, decimals), prefix=unit.removeprefix("prefix:"))
    behind = f" {unit.removeprefix('suffix:')}"
    return lambda value, decimals: Formatted(to_fixed(value, decimals), behind)


def _scaled(factor: float, suffixes: tuple[str, ...]) -> _Format:
    """Divide by ``factor`` as often as it fits; each time the next suffix."""

    def write(value: float, decimals: int | None) -> Formatted:
        if not math.isfinite(value):
            return Formatted(to_fixed(value))
        steps = math.floor(math.log10(abs(value)) / math.log10(factor)) if value else 0
        # 1000 is one thousand, though log10(1000) / log10(1000) may come out just below 1.
        steps = min(max(steps + (abs(value) >= factor ** (steps + 1)), 0), len(suffixes) - 1)
        return Formatted(to_fixed(value / factor**steps, decimals), suffixes[steps])

    return write


def _durations(*steps: tuple[float, float, str]) -> _Format:
    """Write a length of time: ``steps`` are (below, divide by, suffix); the last is for everything longer."""

    def write(value: float, decimals: int | None) -> Formatted:
        for below, divisor, suffix in steps:
            if abs(value) < below:
                return Formatted(to_fixed(value / divisor, decimals), suffix)
        _, divisor, suffix = steps[-1]
        return Formatted(to_fixed(value / divisor, decimals), suffix)

    return write


_seconds_but_zero = _durations(
    (1e-6, 1e-9, " ns"),
    (1e-3, 1e-6, " µs"),
    (1, 1e-3, " ms"),
    (60, 1, " s"),
    (3600, 60, " min"),
    (86400, 3600, " hour"),
    (604800, 86400, " day"),
    (31536000, 604800, " week"),
    (math.inf, 3.15569e7, " year"),
)


def _seconds(value: float, decimals: int | None) -> Formatted:
    return Formatted("0", " s") if value == 0 else _seconds_but_zero(value, decimals)


def _long_duration(value: float, decimals: int | None) -> Formatted:
    """Write seconds as "2 hours, 5 minutes": the largest part, and ``decimals`` more."""
    if value == 0:
        return Formatted("0", " seconds")
    rest, more = abs(value), decimals or 0
    parts: list[str] = []
    for name, seconds in (
        ("year", 31536000),
        ("month", 2592000),
        ("week", 604800),
        ("day", 86400),
        ("hour", 3600),
        ("minute", 60),
        ("second", 1),
        ("millisecond", 0.001),
    ):
        if len(parts) > more:
            break
        if rest >= seconds or parts:
            count = math.floor(rest / seconds + 1e-9)
            parts.append(f"{count} {name}{'' if count == 1 else 's'}")
            rest -= count * seconds
    return Formatted(", ".join(parts), " ago" if value < 0 else "")


def _clock(value: float, decimals: int | None) -> Formatted:
    """Write seconds as 26:03:07."""
    whole = math.floor(abs(value))
    text = f"{whole // 3600:02}:{whole % 3600 // 60:02}:{whole % 60:02}"
    return Formatted(text, " ago" if value < 0 else "")


def _locale(value: float, decimals: int | None) -> Formatted:
    text = f"{value:,.{3 if decimals is None else decimals}f}"
    return Formatted(text.rstrip("0").rstrip(".") if "." in text else text)


_THOUSANDS = ("", "K", "M", "B", "T")

_FORMATS: dict[str, _Format] = {
    "": lambda value, decimals: Formatted(to_fixed(value, decimals)),
    "none": lambda value, decimals: Formatted(to_fixed(value, decimals)),
    "string": lambda value, decimals: Formatted(f"{value:g}"),
    "bool": lambda value, decimals: Formatted("True" if value else "False"),
    "bool_yes_no": lambda value, decimals: Formatted("Yes" if value else "No"),
    "bool_on_off": lambda value, decimals: Formatted("On" if value else "Off"),
    "short": _scaled(1000, ("", " K", " Mil", " Bil", " Tri", " Quadr", " Quint", " Sext", " Sept")),
    "locale": _locale,
    "percent": lambda value, decimals: Formatted(to_fixed(value, decimals), "%"),
    "percentunit": lambda value, decimals: Formatted(to_fixed(100 * value, decimals), "%"),
    "bytes": _scaled(1024, (" B", " KiB", " MiB", " GiB", " TiB", " PiB")),
    "decbytes": _scaled(1000, (" B", " kB", " MB", " GB", " TB", " PB")),
    "cps": _scaled(1000, tuple(f"{letter} c/s" for letter in _THOUSANDS)),
    "ops": _scaled(1000, tuple(f"{letter} ops/s" for letter in _THOUSANDS)),
    "reqps": _scaled(1000, tuple(f"{letter} req/s" for letter in _THOUSANDS)),
    "cpm": _scaled(1000, tuple(f"{letter} c/m" for letter in _THOUSANDS)),
    "µs": _durations((1e3, 1, " µs"), (1e6, 1e3, " ms"), (math.inf, 1e6, " s")),
    "ms": _durations(
        (1e3, 1, " ms"),
        (6e4, 1e3, " s"),
        (3.6e6, 6e4, " min"),
        (8.64e7, 3.6e6, " hour"),
        (3.1536e10, 8.64e7, " day"),
        (math.inf, 3.1536e10, " year"),
    ),
    "s": _seconds,
    "m": _durations(
        (60, 1, " min"), (1440, 60, " hour"), (10080, 1440, " day"), (604800, 10080, " week"),
        (math.inf, 5.25948e5, " year"),
    ),
    "h": _durations((24, 1, " hour"), (168, 24, " day"), (8760, 168, " week"), (math.inf, 8760, " year")),
    "d": _durations((7, 1, " day"), (365, 7, " week"), (math.inf, 365, " year")),
    "dtdurations": _long_duration,
    "dtdurationms": lambda value, decimals: _long_duration(value / 1000, decimals),
    "dthms": _clock,
}  # fmt: skip

_MOMENT_TO_STRFTIME = {
    "YYYY": "%Y", "YY": "%y", "MMM": "%b", "MM": "%m", "DD": "%d", "ddd": "%a", "HH": "%H", "mm": "%M", "ss": "%S",
}  # fmt: skip


def _strftime_of(pattern: str) -> str:
    return re.sub(
        "YYYY|YY|MMM|MM|DD|ddd|HH|mm|ss|%",
        lambda match: _MOMENT_TO_STRFTIME.get(match[0], "%%"),
        pattern,
    )


def _from_now(seconds: float) -> str:
    """Say how far away a moment is, as moment.js does."""
    distance = abs(seconds)
    steps = (
        (44.5, 0, "a few seconds"), (89.5, 0, "a minute"), (44.5 * 60, 60, "minutes"), (89.5 * 60, 0, "an hour"),
        (21.5 * 3600, 3600, "hours"), (35.5 * 3600, 0, "a day"), (25.5 * 86400, 86400, "days"),
        (45.5 * 86400, 0, "a month"), (319.5 * 86400, 30.4 * 86400, "months"), (547.5 * 86400, 0, "a year"),
        (math.inf, 365 * 86400, "years"),
    )  # fmt: skip
    _, divisor, words = next(step for step in steps if distance < step[0])
    text = f"{round(distance / divisor)} {words}" if divisor else words
    return f"in {text}" if seconds > 0 else f"{text} ago"
