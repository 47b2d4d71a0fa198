"""Grafana's time ranges: ``now-24h``, ``now/d``, ``2030-05-17T19:00:00Z``, and a panel's own ``90d``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dashboards.checks.macros import TimeRange
from holds_core.errors import HoldsError

_RELATIVE = re.compile(r"now(?:(?P<sign>[+-])(?P<count>\d+)(?P<unit>[smhdw]))?(?:/(?P<rounded>[mhdw]))?")
_LENGTH = re.compile(r"(?P<count>\d+)(?P<unit>[smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_WORDS = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week"}


class TimeRangeError(HoldsError):
    """A time, or a range of times, is none that a dashboard could have."""


@dataclass(frozen=True)
class Range:
    """A time range, as it was asked for and as it is.

    Attributes:
        from_text: For example ``now-24h``.
        to_text: For example ``now``.
        at: The moments.
    """

    from_text: str
    to_text: str
    at: TimeRange

    @classmethod
    def read(cls, from_text: str, to_text: str, now: datetime) -> Range:
        """Read both ends.

        Raises:
            TimeRangeError: One is no time, or the range ends before it begins.
        """
        from_at, to_at = read_time(from_text, now), read_time(to_text, now)
        if to_at <= from_at:
            raise TimeRangeError(f"The range from {from_text} to {to_text} ends before it begins.")
        return cls(from_text, to_text, TimeRange(from_at, to_at))

    def of_panel(self, time_from: str | None) -> Range:
        """Return the range of a panel that has its own length (``timeFrom``), or this one.

        Raises:
            TimeRangeError: It is no length.
        """
        if time_from is None:
            return self
        return Range(f"now-{time_from}", "now", TimeRange(self.at.to_at - read_length(time_from), self.at.to_at))

    def __str__(self) -> str:
        match = _LENGTH.fullmatch(self.from_text.removeprefix("now-"))
        if match is not None and self.to_text == "now":
            count = int(match["count"])
            return f"Last {count} {_WORDS[match['unit']]}{'' if count == 1 else 's'}"
        return f"{self.at.from_at:%Y-%m-%d %H:%M} to {self.at.to_at:%Y-%m-%d %H:%M} UTC"


def read_time(text: str, now: datetime) -> datetime:
    """Read a moment; without an offset it is UTC.

    Raises:
        TimeRangeError: It is none.
    """
    match = _RELATIVE.fullmatch(text)
    if match is None:
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            raise TimeRangeError(f"{text!r} is no time: write now-24h, now, or 2030-05-17T19:00:00Z.") from None
        return (at.replace(tzinfo=UTC) if at.tzinfo is None else at).astimezone(UTC)
    at = now.astimezone(UTC)
    try:
        if match["count"] is not None:
            distance = timedelta(**{_UNITS[match["unit"]]: int(match["count"])})
            at = at - distance if match["sign"] == "-" else at + distance
    except OverflowError:
        raise TimeRangeError(f"{text!r} is out of range.") from None
    return _round_down(at, match["rounded"])


def read_length(text: str) -> timedelta:
    """Read a length of time such as ``90d``.

    Raises:
        TimeRangeError: It is none.
    """
    match = _LENGTH.fullmatch(text)
    if match is None:
        raise TimeRangeError(f"{text!r} is no length of time: write 90d or 6h.")
    try:
        return timedelta(**{_UNITS[match["unit"]]: int(match["count"])})
    except OverflowError:
        raise TimeRangeError(f"{text!r} is out of range.") from None


def _round_down(at: datetime, unit: str | None) -> datetime:
    if unit is None:
        return at
    at = at.replace(second=0, microsecond=0)
    if unit == "m":
        return at
    at = at.replace(minute=0)
    if unit == "h":
        return at
    at = at.replace(hour=0)
    return at if unit == "d" else at - timedelta(days=(at.weekday() + 1) % 7)  # Grafana's weeks begin on Sunday.
