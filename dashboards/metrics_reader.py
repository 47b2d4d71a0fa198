"""Reads the metrics for scrapes: a snapshot over one connection, a few seconds old at most.

What cannot be read is not there: where the database does not answer, ``holdwatch_up`` is 0 and every other series is
missing. Old values would look like new ones, and an alert on them would neither fire nor end.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import psycopg

from dashboards.exposition import statement
from dashboards.reader import become_reader
from holds_core.database.connections import connect
from holds_core.database.severing import severed_after
from holds_core.errors import HoldsError, first_line

_log = logging.getLogger("dashboards")

# One plan for good: to plan over a hundred partitions takes several times as long as to read what is in them.
_SESSION = (
    "set default_transaction_read_only = on",
    "set plan_cache_mode = force_generic_plan",
    "set jit = off",
)
_NOT_BUILT = psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedFunction
_SEVERING_SECONDS = 2.0
"""After the server should have given up by itself: then nobody answers any more."""


@dataclass(frozen=True)
class Snapshot:
    """What was read, or that nothing could be.

    Attributes:
        rows: Of :func:`dashboards.exposition.statement`; None where nothing could be read.
        taken_at: By the monotonic clock, when reading had ended.
        seconds: How long reading took.
    """

    rows: Sequence[tuple[int, list[str], float | None]] | None
    taken_at: float
    seconds: float


class MetricsReader:
    """Reads the metrics as ``analytics_reader``, over a connection that it keeps, and makes anew after a failure.

    Safe to share between threads: whoever comes while another one reads waits, and gets what that one has read.
    """

    def __init__(self, url: str, *, cache_seconds: float = 10, timeout_seconds: float = 5) -> None:
        """Read from the database at ``url``.

        Args:
            url: With a login that may act as ``analytics_reader``.
            cache_seconds: For how long a snapshot is good, a failed one too.
            timeout_seconds: How long the database may take.
        """
        self._url = url
        self._cache_seconds = cache_seconds
        self._timeout_seconds = timeout_seconds
        self._statement = statement()
        self._connection: psycopg.Connection[Any] | None = None
        self._snapshot: Snapshot | None = None
        self._lock = threading.Lock()

    def snapshot(self) -> Snapshot:
        """Return the newest snapshot, read now unless there is one that is good."""
        with self._lock:
            kept = self._snapshot
            if kept is None or time.monotonic() - kept.taken_at >= self._cache_seconds:
                self._snapshot = self._read(was_well=kept is None or kept.rows is not None)
            assert self._snapshot is not None
            return self._snapshot

    def close(self) -> None:
        """Close the connection; the next snapshot would make another one."""
        with self._lock:
            self._disconnect()

    def _read(self, *, was_well: bool) -> Snapshot:
        began = time.monotonic()
        rows = None
        try:
            rows = self._ask()
        except (HoldsError, psycopg.Error) as error:
            self._disconnect()
            if was_well:
                remedy = " Build the views: holdwatch pipeline run" if isinstance(error, _NOT_BUILT) else ""
                _log.warning(
                    "Nothing can be read, so there are no series: %s.%s", first_line(error).rstrip("."), remedy
                )
        else:
            if not was_well:
                _log.warning("The database answers again.")
        ended = time.monotonic()
        return Snapshot(rows, ended, ended - began)

    def _ask(self) -> Sequence[tuple[int, list[str], float | None]]:
        if self._connection is None:
            self._connection = self._connect()
        with severed_after(self._connection, self._timeout_seconds + _SEVERING_SECONDS):
            return self._connection.execute(cast("Any", self._statement), prepare=True).fetchall()

    def _connect(self) -> psycopg.Connection[Any]:
        connection = connect(self._url, application_name="holdwatch-metrics")
        try:
            with severed_after(connection, self._timeout_seconds + _SEVERING_SECONDS):
                become_reader(connection)
                for setting in _SESSION:
                    connection.execute(cast("Any", setting))
                connection.execute(
                    "select set_config('statement_timeout', %s, false)", [f"{self._timeout_seconds * 1000:.0f}"]
                )
        except BaseException:
            connection.close()
            raise
        return connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
        self._connection = None
