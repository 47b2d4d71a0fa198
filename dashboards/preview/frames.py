"""What queries return, in the shape in which Grafana draws it: fields of one kind, time series by their labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from statistics import median, pstdev
from typing import Any, Literal

from holds_core.errors import HoldsError

Kind = Literal["time", "number", "boolean", "string"]

_TIME_TYPES = {1082, 1114, 1184}  # date, timestamp, timestamptz
_NUMBER_TYPES = {20, 21, 23, 700, 701, 1700}
_BOOLEAN = 16


class ShapeError(HoldsError):
    """A query's rows are none that Grafana could draw."""


@dataclass(frozen=True)
class Field:
    """A column.

    Attributes:
        name: The column's.
        kind: What its values are.
        values: Aware times, floats, booleans or texts; None where there is none.
        labels: What tells this series from others of the same column.
    """

    name: str
    kind: Kind
    values: tuple[Any, ...]
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def display_name(self) -> str:
        """The name in legends; a label named ``metric`` replaces the column's name, as in Grafana."""
        if set(self.labels) == {"metric"}:
            return self.labels["metric"]
        if len(self.labels) == 1:
            return f"{self.name} {next(iter(self.labels.values()))}"
        if self.labels:
            labels = ", ".join(f'{key}="{value}"' for key, value in self.labels.items())
            return f"{self.name} {{{labels}}}"
        return self.name


@dataclass(frozen=True)
class Frame:
    """What one query returned."""

    ref_id: str
    fields: tuple[Field, ...]

    @property
    def times(self) -> tuple[datetime, ...]:
        """The values of its first field of times; empty without one."""
        return next((one.values for one in self.fields if one.kind == "time"), ())

    @property
    def length(self) -> int:
        """How many rows."""
        return len(self.fields[0].values) if self.fields else 0


def read_frame(ref_id: str, result: str, columns: Sequence[tuple[str, int]], rows: Sequence[Sequence[Any]]) -> Frame:
    """Make a frame of a query's rows.

    Args:
        ref_id: The query's letter.
        result: "table" or "time_series", which makes a series of each combination of texts.
        columns: Name and type (``oid``) of each.
        rows: All of them.

    Raises:
        ShapeError: A time series has no time, or no numbers.
    """
    frame = Frame(
        ref_id,
        tuple(
            Field(name, kind, tuple(_value(kind, row[index]) for row in rows))
            for index, (name, kind) in enumerate((name, _kind(oid)) for name, oid in columns)
        ),
    )
    return _wide(frame) if result == "time_series" else frame


def reduce_values(calculation: str, values: Sequence[float | None]) -> float | None:
    """Make one number of many.

    Raises:
        ShapeError: The calculation is none of those that are known here.
    """
    if calculation not in CALCULATIONS:
        raise ShapeError(f"The preview does not know the calculation {calculation!r}.")
    if calculation in ("first", "last"):
        return None if not values else values[0 if calculation == "first" else -1]
    present = [value for value in values if value is not None and not math.isnan(value)]
    if calculation in ("sum", "count"):
        return float(sum(present)) if calculation == "sum" else float(len(values))
    return CALCULATIONS[calculation](present) if present else None


CALCULATIONS: Mapping[str, Callable[[list[float]], float]] = {
    "lastNotNull": lambda values: values[-1],
    "last": lambda values: values[-1],
    "firstNotNull": lambda values: values[0],
    "first": lambda values: values[0],
    "min": min,
    "max": max,
    "mean": lambda values: sum(values) / len(values),
    "median": median,
    "stdDev": pstdev,
    "sum": sum,
    "count": len,
    "range": lambda values: max(values) - min(values),
    "diff": lambda values: values[-1] - values[0],
}
"""Grafana's reducers that are known here, over values of which none is missing."""


def _kind(oid: int) -> Kind:
    if oid in _TIME_TYPES:
        return "time"
    if oid in _NUMBER_TYPES:
        return "number"
    return "boolean" if oid == _BOOLEAN else "string"


def _value(kind: Kind, value: Any) -> Any:
    if value is None:
        return None
    if kind == "number":
        return float(value) if isinstance(value, (int, float, Decimal)) else math.nan
    if kind == "time":
        at = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day, tzinfo=UTC)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return value if kind == "boolean" else str(value)


def _wide(frame: Frame) -> Frame:
    """Make a field of each combination of texts, over the times of all of them."""
    time = next((one for one in frame.fields if one.kind == "time" and one.name == "time"), None) or next(
        (one for one in frame.fields if one.kind == "time"), None
    )
    if time is None:
        raise ShapeError("A time series needs a column of times, named time.")
    labels = [one for one in frame.fields if one.kind == "string"]
    numbers = [one for one in frame.fields if one.kind == "number"]
    if not numbers:
        raise ShapeError("A time series needs a column of numbers.")
    if any(value is None for value in time.values):
        raise ShapeError("A time series has a row without a time.")
    if not labels:
        return Frame(frame.ref_id, (time, *numbers))
    times = tuple(sorted(set(time.values)))
    places = {at: index for index, at in enumerate(times)}
    series: dict[tuple[str, tuple[str, ...]], list[float | None]] = {}
    for row, at in enumerate(time.values):
        key = tuple(str(label.values[row] or "") for label in labels)
        for number in numbers:
            values = series.setdefault((number.name, key), [None] * len(times))
            values[places[at]] = number.values[row]
    fields = [
        Field(name, "number", tuple(values), {label.name: text for label, text in zip(labels, key, strict=True)})
        for (name, key), values in series.items()
    ]
    return Frame(frame.ref_id, (Field("time", "time", times), *fields))
