"""How long something lasts, and since when something counts, as people write it on the command line."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

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


def read_since(text: str) -> datetime:
    """Read since when: a duration before now (24h), ``today``, ``yesterday``, or a date or time; all UTC.

    Raises:
        BadParameter: It is none, or in the future, where nothing has happened.
    """
    now = datetime.now(UTC)
    plain = text.strip().lower()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if plain in ("today", "yesterday"):
        return midnight - timedelta(days=plain == "yesterday")
    if plain and _DURATION.fullmatch("".join(plain.split())):
        try:
            return now - read_duration(plain)
        except OverflowError:
            raise typer.BadParameter(f"{text!r} is before the calendar begins") from None
    try:
        since = datetime.fromisoformat(text.strip())
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time such as 24h, yesterday or {midnight:%Y-%m-%d}") from None
    since = since.replace(tzinfo=UTC) if since.tzinfo is None else since
    if since > now:
        raise typer.BadParameter(f"{text} is in the future; now is {now:%Y-%m-%dT%H:%M} UTC")
    return since


def duration_text(lasts: timedelta) -> str:
    """Write a duration, in whole minutes, as it is read."""
    hours, minutes = divmod(round(lasts.total_seconds() / 60), 60)
    return "".join((f"{hours}h" if hours else "", f"{minutes}m" if minutes or not hours else ""))
