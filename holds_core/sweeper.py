"""What has to be done now and then: end what is over, say what is double-booked or unsafe, make room for events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from holds_core.database.queries import query
from holds_core.enforcement import detect_double_bookings
from holds_core.errors import raise_translated
from holds_core.events.spool import EventSpool
from holds_core.flags.changes import tend_flags

_BATCH = 1000


@dataclass(frozen=True)
class SweepReport:
    """What one sweep did.

    Attributes:
        expired: Holds that were marked as expired.
        double_bookings: Double bookings that were recorded, each for the first time.
        drained: Events that came from the spool into the database.
        rejected: Spooled events that the database refuses; set aside in the spool's folder.
        ended_flag_changes: Requests and break-glass changes of flags whose time was over.
        flag_contradictions: Unsafe combinations of flags that stand, recorded every quarter of an hour.
        partitions: Days, today and the next 14, for whose events room was made.
        readmitted: Events that had been quarantined for want of that room.
    """

    expired: int
    double_bookings: int
    drained: int
    rejected: int
    ended_flag_changes: int
    flag_contradictions: int
    partitions: int
    readmitted: int


def sweep_holds(connection: psycopg.Connection[Any], spool: EventSpool) -> SweepReport:
    """Sweep once. Safe beside itself, and beside whatever places holds.

    Args:
        connection: In autocommit mode, as a role that may execute the functions of ``holds_app``.
        spool: The spool of this database.

    Raises:
        HoldsError: The database refuses.
        psycopg.Error: It cannot be reached.
    """
    expired = 0
    try:
        while (swept := _sweep(connection)) != (0, 0):
            expired += swept[0]
    except psycopg.Error as error:
        raise_translated(error)
    # Neither double bookings nor what has been set for a time alone wait for a spool, in whatever state that is.
    double_bookings = detect_double_bookings(connection)
    ended, contradictions = tend_flags(connection)
    drained = spool.drain(connection)
    # Last, since it gives way to whoever holds the events' table: what has no room is quarantined, and let in then.
    partitions, readmitted = _tend_event_partitions(connection)
    return SweepReport(
        expired, double_bookings, drained.drained, drained.rejected, ended, contradictions, partitions, readmitted
    )


def _sweep(connection: psycopg.Connection[Any]) -> tuple[int, int]:
    """Sweep one batch; return how many holds ended, and how many windows."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        row = cursor.execute(query("sweep_table_holds"), {"limit": _BATCH}).fetchone()
    return (0, 0) if row is None else (int(row[0]), int(row[1]))


def _tend_event_partitions(connection: psycopg.Connection[Any]) -> tuple[int, int]:
    """Return how many partitions were made, and how many events let in."""
    try:
        with connection.cursor(row_factory=tuple_row) as cursor:
            row = cursor.execute(query("tend_event_partitions")).fetchone()
    except psycopg.Error as error:
        raise_translated(error)
    return (0, 0) if row is None else (int(row[0]), int(row[1]))


def is_sweep_due(connection: psycopg.Connection[Any], spool: EventSpool) -> bool:
    """Tell whether a sweep would find anything to do: something that expired, is new, or waits."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        row = cursor.execute(query("is_sweep_due")).fetchone()
    return spool.depth() > 0 or (row is not None and bool(row[0]))
