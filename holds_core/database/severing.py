"""Deadlines that hold although nobody answers.

psycopg waits for an answer for as long as the connection stands. A server that hangs, or a proxy that goes silent with
the connection open, would keep a caller for ever; cancelling an asyncio call waits for the server's answer again. So
the socket is shut down when the time is over: the call ends at once with :class:`psycopg.OperationalError` and without
a SQLSTATE, which means that the answer was lost.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import os
import socket
import threading
import time
from contextlib import suppress
from typing import Any, Self

import psycopg


class _Timer:
    """When a block has to end, and what to sever if it does not; a context manager around the block."""

    def __init__(self, connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any], seconds: float) -> None:
        self.seconds = seconds
        self.ends_at = time.monotonic() + seconds
        self._connection = connection
        # libpq closes a broken connection's descriptor by itself, and its number may be another file's at once.
        self._socket = _identity(connection.fileno())
        self._lock = threading.Lock()
        self._is_over = self._has_severed = False

    def fire(self) -> None:
        """Shut the socket down that the connection had when the block began, unless the block has ended."""
        with self._lock, suppress(OSError, psycopg.OperationalError):
            if self._is_over or self._connection.closed:
                return
            # A copy: what it is can no longer change, and closing it does not close psycopg's.
            copy = os.dup(self._connection.fileno())
            try:
                if _identity(copy) == self._socket:
                    self._has_severed = True
                    _shut_down(copy)
            finally:
                os.close(copy)

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._is_over = True
            if self._has_severed:
                # The answer may have come in that moment: nobody, a pool least of all, may take this one for alive.
                self._connection.pgconn.finish()


def _identity(descriptor: int) -> tuple[int, int]:
    """Return what tells an open file from every other that is open: its device and its number there."""
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def _shut_down(descriptor: int) -> None:
    shared = socket.socket(fileno=descriptor)
    try:
        shared.shutdown(socket.SHUT_RDWR)
    finally:
        shared.detach()


class _Watch:
    """One daemon thread that fires the timers of all threads: a thread for each call would cost more than the call."""

    def __init__(self) -> None:
        self._timers: list[tuple[float, int, _Timer]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._is_running = False

    def add(self, timer: _Timer) -> None:
        with self._changed:
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._run, name="holdwatch-deadlines", daemon=True).start()
            is_first = not self._timers or timer.ends_at < self._timers[0][0]
            heapq.heappush(self._timers, (timer.ends_at, next(self._numbers), timer))
            if is_first:
                self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._timers or (wait := self._timers[0][0] - time.monotonic()) > 0:
                    self._changed.wait(wait if self._timers else None)
                timer = heapq.heappop(self._timers)[2]
            timer.fire()


_watch = _Watch()


def _start_anew() -> None:
    """A forked child has no thread, and locks that nobody will open."""
    global _watch  # noqa: PLW0603
    _watch = _Watch()


os.register_at_fork(after_in_child=_start_anew)


class severed_after(_Timer):  # noqa: N801  read as a verb: with severed_after(connection, 2): …
    """Sever the connection if the block has not ended after so many seconds; what waits in it fails then.

    A class, since a generator's context manager costs several times as much, on every call of every client.
    """

    def __enter__(self) -> Self:
        _watch.add(self)
        return self


class severable(_Timer):  # noqa: N801
    """Let another thread end whatever waits in the block, by ``fire()``."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        super().__init__(connection, math.inf)

    def __enter__(self) -> Self:
        return self


class severed_after_async(_Timer):  # noqa: N801
    """The same for asyncio: the running loop keeps the time."""

    def __enter__(self) -> Self:
        self._handle = asyncio.get_running_loop().call_later(self.seconds, self.fire)
        return self

    def __exit__(self, *exception: object) -> None:
        self._handle.cancel()
        super().__exit__(*exception)
