"""Puts events and windows into a database by plain SQL, with none of the holds core."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.types.range import TimestamptzRange

from tests.dbt_project.oracle import ReadEvent, Window


def insert_event(
    connection: psycopg.Connection,
    event_type: str,
    context: str = "{}",
    *,
    occurred_at: datetime | None = None,
    restaurant_id: UUID | None = None,
    severity: str = "info",
    environment: str = "prod",
) -> None:
    """Insert one event; it happens now unless said otherwise. ``context`` is JSON text."""
    connection.execute(
        """
        insert into holds.observability_events
            (occurred_at, environment, source, event_type, severity, restaurant_id, context)
        values (coalesce(%s, now()), %s, 'test', %s, %s, %s, %s::jsonb)
        """,
        (occurred_at, environment, event_type, severity, restaurant_id, context),
    )


def copy_events(connection: psycopg.Connection, events: Iterable[ReadEvent]) -> None:
    """Copy events as they are."""
    statement = """
        copy holds.observability_events
            (id, occurred_at, recorded_at, environment, source, event_type, severity, restaurant_id, booking_id,
             context)
        from stdin
    """
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for read in events:
            event = read.event
            copy.write_row(
                (
                    event.id or uuid4(),
                    event.occurred_at,
                    read.recorded_at,
                    event.environment,
                    event.source,
                    event.event_type,
                    event.severity,
                    event.restaurant_id,
                    event.booking_id,
                    event.context,
                )
            )


def insert_windows(connection: psycopg.Connection, windows: Iterable[Window]) -> None:
    """Insert windows and their holds. What the exclusion constraint would refuse needs it dropped first."""
    holds: list[tuple[Any, ...]] = []
    rows: list[tuple[Any, ...]] = []
    for window in windows:
        during = TimestamptzRange(window.starts_at, window.ends_at)
        # The owner is the booking or the hold itself; whether it expires is told apart by its confirmation.
        booking_id = None if window.owner_id == window.hold_id else window.owner_id
        confirmed_at = window.created_at if window.expires_at is None else None
        holds.append(
            (
                window.hold_id,
                window.restaurant_id,
                booking_id,
                window.owner_id,
                str(window.hold_id),
                [window.table_id],
                during,
                window.is_enforced,
                window.expires_at,
                confirmed_at,
            )
        )
        rows.append(
            (
                window.hold_id,
                window.restaurant_id,
                window.table_id,
                window.owner_id,
                during,
                window.created_at,
                window.expires_at,
                window.released_at,
                window.is_enforced,
            )
        )
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            insert into holds.table_holds
                (id, restaurant_id, booking_id, owner_id, idempotency_key, request_hash, table_ids, held_during,
                 is_enforced, expires_at, confirmed_at)
            values (%s, %s, %s, %s, %s, '', %s, %s, %s, %s, %s)
            """,
            holds,
        )
        cursor.executemany(
            """
            insert into holds.table_hold_windows
                (hold_id, restaurant_id, table_id, owner_id, held_during, created_at, expires_at, released_at,
                 is_enforced)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            rows,
        )
