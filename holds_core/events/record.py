"""Record one event."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import tuple_row

from holds_core.database.queries import query
from holds_core.errors import HoldRequestError
from holds_core.events.types import Severity


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened.

    Attributes:
        event_type: One of :class:`~holds_core.events.types.EventType`; others are stored too.
        source: The component that says so.
        severity: How bad it is.
        restaurant_id: None only for types that may lack one.
        booking_id: The booking, where there is one.
        context: Details; must be JSON.
        id: Made here, so that recording the event twice is harmless: identity is (id, occurred_at).
        occurred_at: When it happened, with its time zone.

    Raises:
        HoldRequestError: ``occurred_at`` has no time zone.
    """

    event_type: str
    source: str
    severity: str = Severity.INFO
    restaurant_id: UUID | None = None
    booking_id: UUID | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    id: UUID = field(default_factory=uuid4)
    occurred_at: datetime = field(default_factory=_now)

    def __post_init__(self) -> None:
        if self.occurred_at.tzinfo is None:
            # Its time is part of its identity: read in two time zones it would be two events.
            raise HoldRequestError("occurred_at has no time zone; give it one, for example UTC.")

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of the query ``record_event``."""
        return {
            "event_id": self.id,
            "occurred_at": self.occurred_at,
            "event_type": str(self.event_type),
            "severity": str(self.severity),
            "source": self.source,
            "restaurant_id": self.restaurant_id,
            "booking_id": self.booking_id,
            "context": json.dumps(dict(self.context)),
        }


def event_from(fields: Mapping[str, Any]) -> Event:
    """Read an event back from JSON, in the names that ``holdwatch events import`` reads too.

    Raises:
        ValueError, KeyError, TypeError, AttributeError, HoldRequestError: It is none.
    """
    context, texts = fields["context"], [fields[name] for name in ("event_type", "severity", "source")]
    if not isinstance(context, Mapping) or not all(isinstance(text, str) for text in texts):
        raise TypeError("an event needs an object as its context, and texts as its type, severity and source")
    return Event(
        id=UUID(fields["id"]),
        occurred_at=datetime.fromisoformat(fields["occurred_at"]),
        event_type=fields["event_type"],
        severity=fields["severity"],
        source=fields["source"],
        restaurant_id=None if fields["restaurant_id"] is None else UUID(fields["restaurant_id"]),
        booking_id=None if fields["booking_id"] is None else UUID(fields["booking_id"]),
        context=context,
    )


def record_event(connection: psycopg.Connection[Any], event: Event) -> bool:
    """Record an event in this database's environment, in the connection's transaction.

    Returns:
        Whether it was stored, now or earlier. False means that the database refused it; the transaction goes on.

    Raises:
        psycopg.Error: The database could not be asked.
    """
    with connection.cursor(row_factory=tuple_row) as cursor:
        row = cursor.execute(query("record_event"), event.parameters()).fetchone()
    return row is not None and row[0] == "true"
