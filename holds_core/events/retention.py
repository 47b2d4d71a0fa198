"""Lets go of events after 90 days: by dropping whole daily partitions, which costs a hundredth of deleting the rows.

A partition is dropped only when the rollups hold all of its events; what depends on what is decided by the plan, which
changes nothing and can be looked at first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import psycopg
from psycopg import sql

from holds_core.database.queries import query
from holds_core.database.settings import RETENTION_DAYS

_LOCK_TIMEOUT = "10s"
"""Detaching waits for readers that began before it; whoever waits longer than this tries again with the next run."""


@dataclass(frozen=True)
class ExpiredPartition:
    """A daily partition that is older than the history.

    Attributes:
        name: The table, in the schema ``holds``.
        day: Its UTC day.
        size_bytes: What it takes up on disk, indexes included.
        kept_because: Why it is not to be dropped yet; None where it is.
    """

    name: str
    day: date
    size_bytes: int
    kept_because: str | None


def plan_retention(
    connection: psycopg.Connection, *, rolled_up_to: int | None, today: date | None = None
) -> list[ExpiredPartition]:
    """Return the partitions of days before the history (today and the 90 UTC days before it), the oldest first.

    Args:
        connection: Of a user who owns the event table.
        rolled_up_to: Every event up to this position (``ingest_pos``) is in all rollups; None where there are none.
        today: The UTC day; by default the clock's.
    """
    first_day = (today or datetime.now(UTC).date()) - timedelta(days=RETENTION_DAYS)
    rows = connection.execute(query("list_event_partitions"), {"before": first_day}).fetchall()
    return [
        ExpiredPartition(name, day, size, _kept_because(connection, name, rolled_up_to)) for name, day, size in rows
    ]


def drop_partitions(
    connection: psycopg.Connection,
    partitions: Sequence[ExpiredPartition],
    on_dropped: Callable[[ExpiredPartition], None] = lambda partition: None,
) -> list[ExpiredPartition]:
    """Drop those of a plan that nothing speaks against, one by one; events are written and read meanwhile.

    Args:
        connection: Autocommit, of a user who owns the event table.
        partitions: A plan of a moment ago.
        on_dropped: Called after each.

    Returns:
        Those that were dropped. One whose readers do not end stays for the next time, and so do the later ones.
    """
    dropped = []
    for partition in partitions:
        if partition.kept_because is not None:
            continue
        try:
            _drop(connection, partition.name)
        except psycopg.errors.LockNotAvailable:
            # PostgreSQL detaches one at a time: this one is brought to its end before another.
            break
        dropped.append(partition)
        on_dropped(partition)
    return dropped


def _kept_because(connection: psycopg.Connection, name: str, rolled_up_to: int | None) -> str | None:
    row = connection.execute(sql.SQL("select max(ingest_pos) from holds.{}").format(sql.Identifier(name))).fetchone()
    newest = None if row is None else row[0]
    if newest is None:
        return None
    if rolled_up_to is None:
        return "there are no rollups that could hold its events"
    if newest > rolled_up_to:
        return "not all of its events are in the rollups"
    return None


def _drop(connection: psycopg.Connection, name: str) -> None:
    partition = sql.Identifier("holds", name)
    connection.execute(sql.SQL("set lock_timeout = {}").format(sql.Literal(_LOCK_TIMEOUT)))
    try:
        row = connection.execute(query("partition_is_detaching"), {"name": name}).fetchone()
        if row is not None:
            how = "finalize" if row[0] else "concurrently"
            # Nothing that reads or writes other days has to wait.
            connection.execute(
                sql.SQL("alter table holds.observability_events detach partition {} {}").format(partition, sql.SQL(how))
            )
        connection.execute(sql.SQL("drop table {}").format(partition))
    finally:
        connection.execute("reset lock_timeout")
