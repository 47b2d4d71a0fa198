r"""Expands Grafana's variables and the macros of its PostgreSQL data source as Grafana does, without Grafana.

Grafana replaces the variables in the browser, then the macros on the server, by one regular expression over the text:
``\$name\(arguments\)``, where the arguments end at the first closing parenthesis. So it is done here, limits included.
What Grafana would leave as it is, or what this module does not know, is an error rather than a guess.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from dashboards.errors import MacroError

_VARIABLE = re.compile(
    r"\$\{(?!__)(?P<braced>\w+)(?::(?P<format>\w+))?\}|\$(?!__)(?P<plain>[a-zA-Z]\w*)|\[\[(?P<old>\w+)"
)
_BUILT_IN = re.compile(r"\$\{?(__\w+)\}?(\()?")
_MACRO = re.compile(r"\$([_a-zA-Z0-9]+)\(([^\)]*)\)")
_INTERVAL = re.compile(r"'?(\d+(?:\.\d+)?)(ms|s|m|h|d|w)'?")

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True)
class All:
    """The choice "All" of a variable that has a custom value for it, which is inserted as it stands."""

    value: str


Choice = All | Sequence[str]
"""What is chosen in a variable: All, or one or more values."""


@dataclass(frozen=True)
class TimeRange:
    """What the time picker says, as aware times."""

    from_at: datetime
    to_at: datetime

    @property
    def interval_ms(self) -> int:
        """Milliseconds to a point on a panel of 1000 of them; Grafana also rounds it to a pleasant number."""
        return max(1, round((self.to_at - self.from_at).total_seconds()))


def expand(sql: str, time_range: TimeRange, choices: Mapping[str, Choice]) -> str:
    """Return the statement that Grafana would send.

    Args:
        sql: The panel's or the variable's text.
        time_range: The dashboard's, or the panel's own.
        choices: What is chosen, by the variable's name.

    Raises:
        MacroError: The text has a variable that is not in ``choices``, one without ``:sqlstring``, or a macro that is
            unknown or has the wrong arguments.
    """
    for match in _BUILT_IN.finditer(sql):
        if match[2] is None and match[1] not in ("__interval", "__interval_ms"):
            raise MacroError(f"{match[0]} is no macro that this check knows, or lacks its parentheses.")
    text = _VARIABLE.sub(lambda match: _variable(match, choices), sql)
    for name, value in (("interval_ms", str(time_range.interval_ms)), ("interval", f"{time_range.interval_ms}ms")):
        text = text.replace(f"${{__{name}}}", value).replace(f"$__{name}", value)
    return _MACRO.sub(lambda match: _macro(match, time_range), text)


def variables_of(sql: str) -> set[str]:
    """Return the names of the variables in a text."""
    return {match["braced"] or match["plain"] or match["old"] for match in _VARIABLE.finditer(sql)}


def sql_string(value: str) -> str:
    r"""Quote one value as Grafana's format ``sqlstring`` does: ``'`` is doubled, ``"`` becomes ``\"``."""
    escaped = value.replace("'", "''").replace('"', '\\"')
    return f"'{escaped}'"


def _variable(match: re.Match[str], choices: Mapping[str, Choice]) -> str:
    name = match["braced"] or match["plain"] or match["old"]
    if name not in choices:
        raise MacroError(f"{match[0]} names no variable of the dashboard.")
    if match["format"] != "sqlstring":
        raise MacroError(f"{match[0]} is not quoted: write ${{{name}:sqlstring}}.")
    choice = choices[name]
    return choice.value if isinstance(choice, All) else ",".join(sql_string(value) for value in choice)


def _macro(match: re.Match[str], time_range: TimeRange) -> str:
    name = match[1]
    arguments = [argument.strip() for argument in match[2].split(",")]
    if name == "__timeGroup" and match.string[match.end() : match.end() + 1] == ",":
        name = "__timeGroupAlias"  # Grafana before 5.3 named the column; a comma behind it still asks for that.
    from_text, to_text = _rfc3339(time_range.from_at), _rfc3339(time_range.to_at)
    from_epoch, to_epoch = int(time_range.from_at.timestamp()), int(time_range.to_at.timestamp())
    column = arguments[0]
    without_column = {
        "__timeFrom": f"'{from_text}'",
        "__timeTo": f"'{to_text}'",
        "__unixEpochFrom": str(from_epoch),
        "__unixEpochTo": str(to_epoch),
    }
    of_a_column = {
        "__time": f'{column} AS "time"',
        "__timeEpoch": f'extract(epoch from {column}) as "time"',
        "__timeFilter": f"{column} BETWEEN '{from_text}' AND '{to_text}'",
        "__unixEpochFilter": f"{column} >= {from_epoch} AND {column} <= {to_epoch}",
    }
    if name in without_column:
        return without_column[name]
    if not column:
        raise MacroError(f"{match[0]} lacks its column.")
    if name in of_a_column:
        return of_a_column[name]
    if name in ("__timeGroup", "__timeGroupAlias"):
        return _time_group(match[0], column, arguments) + (' AS "time"' if name == "__timeGroupAlias" else "")
    raise MacroError(f"{match[0]} is no macro that this check knows.")


def _time_group(macro: str, column: str, arguments: list[str]) -> str:
    interval = _INTERVAL.fullmatch(arguments[1]) if len(arguments) > 1 else None
    if interval is None:
        raise MacroError(f"{macro} needs an interval such as '5m' or $__interval.")
    seconds = f"{float(interval[1]) * _SECONDS[interval[2]]:g}"
    return f"floor(extract(epoch from {column})/{seconds})*{seconds}"


def _rfc3339(at: datetime) -> str:
    """Go's ``time.RFC3339Nano`` in UTC: no trailing zeros, ``Z`` for the offset."""
    text = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".")
    return f"{text}Z"
