"""One mapping, of whatever dialect, becomes one event row, or is rejected with a reason.

Pure: no clock, no database, no settings; what it depends on is in :class:`ImportRules`. It handles the native dialect
(the table's own columns) and Supabase's (time in ``created_at``, ``restaurantId`` and ``bookingId`` inside ``context``)
line by line, so a file may mix them.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from holds_core.database.settings import MAX_FUTURE_DAYS, RETENTION_DAYS
from holds_core.events.errors import LineRejectedError
from holds_core.events.json_text import serialise
from holds_core.events.types import Severity

DEFAULT_SOURCE = "import"
DEFAULT_SEVERITY = Severity.INFO.value

_READABLE = "ISO 8601 is read, such as 2030-05-17T19:30:00Z"

DERIVED_ID_NAMESPACE = uuid.UUID("6f1d6a54-3f0b-5c0e-9d7a-4b5f0c2d8e11")
"""Never changes: the same content must give the same id in every release."""

_COLUMNS_READ = frozenset(
    {
        "id",
        "occurred_at",
        "environment",
        "source",
        "event_type",
        "severity",
        "restaurant_id",
        "booking_id",
        "context",
    }
)
# Columns of the tables that events are exported from. As null they say no more than if they were absent.
COLUMNS = _COLUMNS_READ | {"created_at", "recorded_at", "ingest_pos"}
"""Every column that a line may have."""

_CAMEL_CASE = {
    f"{first}{''.join(word.title() for word in rest)}": column
    for column in COLUMNS
    for first, *rest in [column.split("_")]
    if rest
}

_IN_CONTEXT = {"restaurant_id": "restaurantId", "booking_id": "bookingId"}

_CANONICAL_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True)
class ImportRules:
    """What normalising depends on besides the line itself.

    Attributes:
        environment: For events that name none.
        oldest: Start of the oldest UTC day that is kept; an event before it is out of range.
        newest: An event after it is out of range.
    """

    environment: str
    oldest: datetime
    newest: datetime

    @classmethod
    def at(cls, now: datetime, environment: str) -> ImportRules:
        """Return the rules as of ``now``, which must have a time zone."""
        today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return cls(environment, today - timedelta(days=RETENTION_DAYS), now + timedelta(days=MAX_FUTURE_DAYS))


class EventRow(NamedTuple):
    """An event as it is stored; ids are canonical UUID texts, the time is in UTC."""

    id: str
    occurred_at: datetime
    environment: str
    source: str
    event_type: str
    severity: str
    restaurant_id: str | None
    booking_id: str | None
    context: dict[str, Any]


def as_columns(line: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the line with ``restaurantId`` as ``restaurant_id``, and so on for each column in camel case.

    Where it has both, the column's own name counts, and the other is what has no column.
    """
    if line.keys() <= COLUMNS:
        return line
    return {
        column if (column := _CAMEL_CASE.get(name, name)) == name or column not in line else name: value
        for name, value in line.items()
    }


def normalise(line: Mapping[str, Any], rules: ImportRules) -> EventRow:
    """Return the event that a line means.

    What has no column of its own, or not the type its column needs, is kept: under ``_extra``, ``_invalid`` and
    ``_source_id`` of the row's context. ``line`` and what is in it are left as they are.

    Raises:
        LineRejectedError: It cannot be an event; the message says why.
    """
    as_read, line = line, as_columns(line)
    event_type = line.get("event_type")
    if not isinstance(event_type, str):
        raise LineRejectedError("event_type is missing" if event_type is None else "event_type is no string")
    if not event_type:
        raise LineRejectedError("event_type is empty")
    time_column, occurred_at = _read_time(line, rules)
    context = line.get("context")
    if context is None:
        context = {}
    elif not isinstance(context, dict):
        raise LineRejectedError("context is neither an object nor null")

    invalid: dict[str, Any] = {}
    environment = _read_label(line, "environment", rules.environment, invalid)
    source = _read_label(line, "source", DEFAULT_SOURCE, invalid)
    severity = _read_label(line, "severity", DEFAULT_SEVERITY, invalid)
    restaurant_id = _read_reference(line, "restaurant_id", invalid)
    booking_id = _read_reference(line, "booking_id", invalid)

    source_id = line.get("id")
    event_id = _as_uuid(source_id)
    is_source_id_kept = event_id is None and source_id is not None and source_id != ""
    if event_id is None:
        event_id = _derive_id(as_read)

    extra: dict[str, Any] = {}
    if not line.keys() <= _COLUMNS_READ:
        extra = _what_has_no_column(line, time_column)
    if is_source_id_kept or invalid or extra:
        context = dict(context)
        if is_source_id_kept:
            if "_source_id" in context:
                extra["context._source_id"] = context["_source_id"]
            context["_source_id"] = source_id
        _keep_under(context, "_invalid", invalid)
        _keep_under(context, "_extra", extra)
    return EventRow(
        event_id, occurred_at, environment, source, event_type, severity, restaurant_id, booking_id, context
    )


def _read_time(line: Mapping[str, Any], rules: ImportRules) -> tuple[str, datetime]:
    """Return the column that the time is in, and the time in UTC."""
    for column in ("occurred_at", "created_at"):
        value = line.get(column)
        if value is not None and value != "":
            break
    else:
        raise LineRejectedError("no time: neither occurred_at nor created_at has a value")
    if not isinstance(value, str):
        raise LineRejectedError(f"no readable time: {column} is no text ({_READABLE})")
    try:
        occurred_at = datetime.fromisoformat(value)
    except ValueError:
        raise LineRejectedError(f"no readable time: {column} is {_shown(value)} ({_READABLE})") from None
    if occurred_at.tzinfo is None:
        occurred_at = occurred_at.replace(tzinfo=UTC)
    elif occurred_at.tzinfo is not UTC:
        try:
            occurred_at = occurred_at.astimezone(UTC)
        except OverflowError:
            raise LineRejectedError(f"time out of range: {column} is {_shown(value)}") from None
    if occurred_at < rules.oldest:
        raise LineRejectedError(
            f"time out of range: {column} is {_shown(value)}, before the oldest day that is kept "
            f"({rules.oldest.date()}: {RETENTION_DAYS} days)"
        )
    if occurred_at > rules.newest:
        raise LineRejectedError(f"time out of range: {column} is {_shown(value)}, more than a day ahead of now")
    return column, occurred_at


def _read_label(line: Mapping[str, Any], column: str, default: str, invalid: dict[str, Any]) -> str:
    """Return the column's text; the default where it is missing, or no text (then it is kept in ``invalid``)."""
    value = line.get(column)
    if isinstance(value, str):
        return value or default
    if value is not None:
        invalid[column] = value
    return default


def reference_in(line: Mapping[str, Any], column: str) -> Any:
    """Return what the column says, else its name in camel case within the context; None where neither does."""
    value = line.get(column)
    if value is None and isinstance(context := line.get("context"), dict):
        value = context.get(_IN_CONTEXT[column])
    return value


def _read_reference(line: Mapping[str, Any], column: str, invalid: dict[str, Any]) -> str | None:
    """Return the column's UUID, else the one in the context; what is no UUID is kept in ``invalid``."""
    value = reference_in(line, column)
    if value is None:
        return None
    reference = _as_uuid(value)
    if reference is None:
        invalid[column] = value
    return reference


def _as_uuid(value: Any) -> str | None:
    """Return the canonical text of what ``uuid.UUID`` reads, else None."""
    if not isinstance(value, str):
        return None
    if _CANONICAL_UUID.fullmatch(value):
        return value
    try:
        return str(uuid.UUID(value))
    except ValueError:
        return None


def _derive_id(line: Mapping[str, Any]) -> str:
    """Return an id that is the same for the same content, whatever the order of keys and the blanks between them."""
    content = {key: value for key, value in line.items() if value is not None or key not in COLUMNS}
    try:
        return str(uuid.uuid5(DERIVED_ID_NAMESPACE, serialise(content, sort_keys=True)))
    except UnicodeEncodeError:
        raise LineRejectedError("a lone surrogate (half a character), which PostgreSQL cannot store") from None


def _what_has_no_column(line: Mapping[str, Any], time_column: str) -> dict[str, Any]:
    """Return what the event table has no column for, and the source's own clock and order."""
    return {
        key: value
        for key, value in line.items()
        if key not in _COLUMNS_READ and key != time_column and (value is not None or key not in COLUMNS)
    }


def _keep_under(context: dict[str, Any], key: str, values: dict[str, Any]) -> None:
    """Put the values into the object under the key, without losing what is there already, whatever it is."""
    if not values:
        return
    there = context.get(key)
    if isinstance(there, dict) and there.keys().isdisjoint(values):
        context[key] = {**there, **values}
    elif key in context:
        context[key] = {**values, key: there}
    else:
        context[key] = values


def _shown(value: str) -> str:
    """Return the value as a person may see it on one line."""
    return ascii(value if len(value) <= 60 else f"{value[:60]}…")
