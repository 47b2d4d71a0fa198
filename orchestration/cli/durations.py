"""How long something lasts, as people write it on the command line."""

from __future__ import annotations

import re
from datetime import timedelta

import typer

_DURATION = re.compile(r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?")
"""Six digits of days are 27 centuries; many more, and Python's calendar ends."""


def read_duration(text: str, option: str | None = None) -> timedelta:
    """Read a duration such as 90m, 12h, 7d or 1h30m.

    Args:
        text: What was written; spaces and capitals do not matter.
        option: Where; typer knows by itself whose parser this is.

    Raises:
        BadParameter: It is none.
    """
    plain = "".join(text.split()).lower()
    found = _DURATION.fullmatch(plain)
    if not plain or found is None:
        raise typer.BadParameter(f"{text!r} is no duration such as 90m, 12h, 7d or 1h30m", param_hint=option)
    days, hours, minutes = (int(number or 0) for number in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes)


def duration_text(lasts: timedelta) -> str:
    """Write a duration, in whole minutes, as it is read."""
    hours, minutes = divmod(round(lasts.total_seconds() / 60), 60)
    return "".join((f"{hours}h" if hours else "", f"{minutes}m" if minutes or not hours else ""))
