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
import os
import socket
import threading
import time
from contextlib import suppress
from typing import Any

import psycopg


class _Timer:
    """When a block has to end, and what to sever if it does not; a context manager around the block."""

    def __init__(self, connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any], seconds: float) -> None:
        self.seconds = seconds
        self.ends_at = time.monotonic() + seconds
        self._connection = connection
        self._lock = threading.Lock()
        self._is_over = False

    def fire(self) -> None:
        """Shut the connection's socket down, unless the block has ended: its number may belong to another by then."""
        with self._lock:
            if self._is_over or self._connection.closed:
                return
            with (
                suppress(OSError, psycopg.OperationalError),
                # A copy of the descriptor: closing the socket object must not close psycopg's.
                socket.socket(fileno=os.dup(self._connection.fileno())) as shared,
            ):
                shared.shutdown(socket.SHUT_RDWR)

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._is_over = True


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

    def __enter__(self) -> None:
        _watch.add(self)


class severed_after_async(_Timer):  # noqa: N801
    """The same for asyncio: the running loop keeps the time."""

    def __enter__(self) -> None:
        self._handle = asyncio.get_running_loop().call_later(self.seconds, self.fire)

    def __exit__(self, *exception: object) -> None:
        self._handle.cancel()
        super().__exit__(*exception)
