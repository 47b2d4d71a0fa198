"""Other tests share the server, and their transactions hold back what looks for the oldest one at work."""

from __future__ import annotations

import time

import psycopg


def wait_for_earlier_transactions(connection: psycopg.Connection) -> None:
    """Wait until every transaction of the server that began before this is over."""
    row = connection.execute("select pg_current_xact_id()::text::bigint").fetchone()
    assert row is not None
    deadline = time.monotonic() + 120
    while True:
        oldest = connection.execute("select pg_snapshot_xmin(pg_current_snapshot())::text::bigint").fetchone()
        assert oldest is not None
        if oldest[0] > row[0]:
            return
        assert time.monotonic() < deadline, "another transaction does not end"
