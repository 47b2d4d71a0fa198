"""Where a client's events go that the database did not take, and when they are brought to it after all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from holds_core.events.record import Event
from holds_core.events.spool import EventSpool

_DRAIN_PAUSE_SECONDS = 30.0


class Telemetry:
    """A client's side of the spool. Never raises, whatever state the spool is in."""

    def __init__(
        self,
        spool: EventSpool,
        bring: Callable[[EventSpool], object],
        may_keep: Callable[[], bool] | None = None,
    ) -> None:
        """Use a spool.

        Args:
            spool: Where events wait.
            bring: Drains it; raises nothing where the database is away.
            may_keep: Asked before each event that would wait: False drops it, which is counted and warned of.
        """
        self.spool = spool
        self._bring = bring
        self._may_keep = may_keep
        self._is_draining = threading.Lock()
        # What an earlier process left behind is looked for at once.
        self._next_drain_at = time.monotonic()
        self._may_be_waiting = True

    def keep(self, event: Event) -> bool:
        """Put an event into the spool; return whether it is there."""
        if self._may_keep is not None and not self._may_keep():
            self.spool.drop("the feature flag telemetry.spool is off")
            return False
        self._may_be_waiting = True
        return self.spool.append(event)

    def keep_all(self, events: Sequence[Event]) -> bool:
        """Put events into the spool; return whether all of them are there."""
        kept = [self.keep(event) for event in events]
        return all(kept)

    def drain_in_background(self) -> None:
        """Drain the spool in a thread, now and then, once the database answers."""
        if not self._may_be_waiting or time.monotonic() < self._next_drain_at:
            return
        if self._is_draining.acquire(blocking=False):
            self._next_drain_at = time.monotonic() + _DRAIN_PAUSE_SECONDS
            threading.Thread(target=self._drain_and_let_go, name="holdwatch-drain", daemon=True).start()

    def drain(self) -> None:
        """Drain the spool if the database is there; what cannot be drained stays."""
        # A folder that cannot be read is for `holdwatch doctor` to say, not for a caller's hold.
        with suppress(OSError):
            if self.spool.depth() == 0:
                self._may_be_waiting = False
                return
            self._bring(self.spool)

    def _drain_and_let_go(self) -> None:
        try:
            self.drain()
        finally:
            self._is_draining.release()
