"""What a query is, what it gave, and whether Grafana can make anything of that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_TIME_TYPES = {1114, 1184}  # timestamp, timestamptz
_NUMBER_TYPES = {20, 21, 23, 700, 701, 1700}
_TEXT_TYPES = {25, 1042, 1043}


@dataclass(frozen=True)
class Query:
    """One statement, as it stands in the file.

    Attributes:
        place: What it is of, for example a panel.
        ref_id: Its name there; empty where there is but one.
        result: What it must give: ``table``, ``time_series``, ``variable``, ``annotation`` or ``alert``.
        time_from: The panel's own time range; None where it has the dashboard's.
    """

    file: str
    place: str
    ref_id: str
    sql: str
    result: str
    time_from: str | None = None

    @property
    def whole_place(self) -> str:
        """Where a reader finds it."""
        return f"{self.place}, query {self.ref_id}" if self.ref_id else self.place


@dataclass(frozen=True)
class QueryRun:
    """What one query returned for one choice.

    Attributes:
        case: What was chosen, for example "All" or "two restaurants".
        time_range: A key of :data:`dashboards.checks.queries.RANGES`, or the panel's own.
        columns: Name and type (``oid``) of each.
        rows: All of them.
    """

    query: Query
    case: str
    time_range: str
    columns: tuple[tuple[str, int], ...]
    rows: tuple[tuple[Any, ...], ...]


def shape_problem(run: QueryRun) -> str | None:
    """Say why Grafana could not draw this; None if it can."""
    names = [name for name, _ in run.columns]
    if run.query.result == "variable":
        return None if len(names) == 1 else f"A variable needs one column, not {names}."
    if len(set(names)) < len(names):
        return f"Two columns have one name: {names}."
    match run.query.result:
        case "time_series":
            return _time_series_problem(run, names)
        case "annotation":
            return _annotation_problem(run)
        case "alert":
            return _alert_problem(run)
        case _:
            return None


def _annotation_problem(run: QueryRun) -> str | None:
    types = dict(run.columns)
    if types.get("time") not in _TIME_TYPES or types.get("timeend", types["time"]) not in _TIME_TYPES:
        return "An annotation needs a timestamp column named time; one named timeend makes a region of it."
    return None if types.get("text") in _TEXT_TYPES else "An annotation needs a text column named text."


def _alert_problem(run: QueryRun) -> str | None:
    """Grafana makes an alert of each row: of its texts the labels, and of the one number the value."""
    labels = [index for index, (_, type_) in enumerate(run.columns) if type_ in _TEXT_TYPES]
    numbers = sum(type_ in _NUMBER_TYPES for _, type_ in run.columns)
    if numbers != 1 or len(labels) + numbers != len(run.columns):
        return "An alert needs one column of numbers, and no others but texts."
    keys = [tuple(row[index] for index in labels) for row in run.rows]
    return None if len(set(keys)) == len(keys) else "Two rows have the same labels."


def _time_series_problem(run: QueryRun, names: list[str]) -> str | None:
    types = dict(run.columns)
    if types.get("time") not in _TIME_TYPES:
        return "A time series needs a timestamp column named time."
    if not any(type_ in _NUMBER_TYPES for type_ in types.values()):
        return "A time series needs a column of numbers."
    labels = [index for index, (_, type_) in enumerate(run.columns) if type_ in _TEXT_TYPES]
    time = names.index("time")
    times = [row[time] for row in run.rows]
    if times != sorted(times):
        return "A time series must be ordered by time."
    keys = [(row[time], *(row[index] for index in labels)) for row in run.rows]
    if len(set(keys)) != len(keys):
        return "One series has several values at one time: restaurants were mixed, or not summed."
    return None
