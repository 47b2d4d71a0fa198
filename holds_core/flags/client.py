"""Flags for a process: asked in nanoseconds, kept up to date by a thread, and never in anybody's way.

The thread listens for changes and looks by itself every few seconds; what it could not renew for longer than
``max_age`` is not used any more. Without a database there are the defaults, with the reason ``overrides_unavailable``
and one warning, until there is one again.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from holds_core.database.connections import connect
from holds_core.database.queries import query
from holds_core.database.settings import Environment, Settings
from holds_core.database.severing import severable, severed_after
from holds_core.errors import HoldsError, first_line, translate
from holds_core.events.record import Event, record_event
from holds_core.events.types import EventType, Severity
from holds_core.flags.contradictions import Contradiction, find_contradictions
from holds_core.flags.evaluation import Evaluation, FlagState, Override
from holds_core.flags.loading import packaged_definitions
from holds_core.flags.model import Flag
from holds_core.flags.snapshot import Snapshot, read_snapshot
from holds_core.flags.values import FlagValue, Setting
from holds_core.flags.variables import read_variables

SOURCE = "holds.flags"
DEFAULT_MAX_AGE = timedelta(seconds=60)
REFRESHES_PER_AGE = 6
"""A snapshot is renewed so often within the age that it may reach: a few lost tries are no outage."""

TELL_EVERY = timedelta(minutes=15)
"""How often a combination that stays unsafe is recorded again; the database's sweeper says so as often."""

_APPLICATION = "holdwatch-flags"
_SHORTEST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 5.0
_LONGEST_ANSWER_SECONDS = 5.0

_log = logging.getLogger("holds_core")
_clock = time.monotonic


class News(NamedTuple):
    """What has become of the flags of a process.

    Attributes:
        changed: Flags that are something else than they were, for anybody, or for another reason; sorted.
        are_overrides_available: Whether it is known what is set in the database.
    """

    changed: Sequence[str]
    are_overrides_available: bool


Watcher = Callable[[News], None]


class Flags(ABC):
    """The flags of one environment, for the clients and the selector of a process. Safe to share between threads."""

    @classmethod
    def fixed(
        cls,
        overrides: Mapping[Flag, Setting] | None = None,
        *,
        environment: Environment = Environment.DEV,
        environ: Mapping[str, str] | None = None,
    ) -> Flags:
        """Return flags without a database: the defaults of an environment, and what is said here instead.

        Args:
            overrides: What flags are set to.
            environment: Whose defaults.
            environ: Environment variables to heed; none unless given.
        """
        definitions = packaged_definitions()
        said = [Override(flag, None, setting) for flag, setting in (overrides or {}).items()]
        return FixedFlags(FlagState(definitions, environment, read_variables(definitions, environ or {}), said))

    @classmethod
    @contextmanager
    def connect(
        cls,
        url: str,
        *,
        environment: Environment | None = None,
        max_age: timedelta = DEFAULT_MAX_AGE,
        environ: Mapping[str, str] = os.environ,
    ) -> Iterator[Flags]:
        """Keep the flags of a database for the length of the block.

        Args:
            url: The database, with a login that has the role ``holds_app``. Through a pooler that hands connections
                from transaction to transaction nothing is heard of changes; they are seen within a sixth of
                ``max_age``.
            environment: Whose flags; ``HOLDWATCH_ENVIRONMENT`` where that is set, else the database's own.
            max_age: How old what is known may become before it is not used any more.
            environ: The environment variables of the process.

        Raises:
            SettingsError: ``HOLDWATCH_ENVIRONMENT`` is none.
        """
        if environment is None and environ.get("HOLDWATCH_ENVIRONMENT"):
            environment = Settings.from_environ(environ).environment
        kept = _KeptFlags(url, environment, max_age.total_seconds(), environ)
        kept.start()
        try:
            yield kept
        finally:
            kept.stop()

    @property
    @abstractmethod
    def state(self) -> FlagState:
        """All flags, as they are known now."""

    def evaluate(self, flag: str, restaurant_id: UUID | None = None, default: FlagValue | None = None) -> Evaluation:
        """Return what a flag is, and why; see :meth:`~holds_core.flags.evaluation.FlagState.evaluate`. Never raises."""
        return self.state.evaluate(flag, restaurant_id, default)

    def is_on(self, flag: str, restaurant_id: UUID | None = None, *, default: bool) -> bool:
        """Tell whether a boolean flag is on; the default where nobody knows the flag."""
        return self.evaluate(flag, restaurant_id, default).value is True

    def number(self, flag: str, restaurant_id: UUID | None = None, *, default: int) -> int:
        """Return what an integer flag is; the default where nobody knows the flag."""
        value = self.evaluate(flag, restaurant_id, default).value
        return value if isinstance(value, int) else default

    @abstractmethod
    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Have something told of each change, and when overrides are not available any more, or again.

        Args:
            watcher: Called by the thread that keeps the flags up to date, which waits for it: what takes long belongs
                elsewhere. What it raises is logged.

        Returns:
            A function that ends it.
        """


class FixedFlags(Flags):
    """Flags that stay as they are."""

    def __init__(self, state: FlagState) -> None:
        self._state = state

    @property
    def state(self) -> FlagState:
        """All flags."""
        return self._state

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Promise to tell of changes, of which there will be none."""
        del watcher
        return lambda: None


class _KeptFlags(Flags):
    """Flags that a thread keeps up to date."""

    def __init__(
        self, url: str, environment: Environment | None, max_age_seconds: float, environ: Mapping[str, str]
    ) -> None:
        """Nothing is asked before :meth:`start`."""
        self._state: FlagState | None = None
        self._valid_until = -math.inf
        self._url = url
        self._environment = environment
        self._environ = environ
        self._max_age = max_age_seconds
        self._refresh = max_age_seconds / REFRESHES_PER_AGE
        self._defaults: FlagState | None = None
        self._is_outage_said = False
        self._watchers: list[Watcher] = []
        self._was_available = False
        self._said: set[object] = set()
        self._told_at: dict[Contradiction, float] = {}
        self._stopping = threading.Event()
        self._severable: severable | None = None
        self._thread: threading.Thread | None = None
        _kept.add(self)

    @property
    def state(self) -> FlagState:
        """All flags, as they are known now; the defaults where that is too old, or nothing."""
        state = self._state
        return state if state is not None and _clock() < self._valid_until else self._fall_back()

    def start(self) -> None:
        """Ask once, here and now, and leave it to the thread then."""
        try:
            with connect(self._url, application_name=_APPLICATION) as connection:
                self._renew(connection)
        except Exception as error:  # noqa: BLE001  nobody's start is kept up by flags
            self._say_outage(error)
        self._was_available = self._is_available()
        self._start_thread()

    def start_anew(self) -> None:
        """Go on in a forked child: it has no thread, and locks that nobody will open."""
        self._stopping = threading.Event()
        self._severable = None
        self._start_thread()

    def stop(self) -> None:
        """End the thread."""
        _kept.discard(self)
        self._stopping.set()
        if (waiting := self._severable) is not None:
            waiting.fire()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Have something told of each change; see :meth:`Flags.watch`."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def _fall_back(self) -> FlagState:
        """Return the defaults, where nothing is known that could be used."""
        self._say_outage(None)
        if self._defaults is None:
            definitions = packaged_definitions() if self._state is None else self._state.definitions
            environment = self._environment or Environment.DEV if self._state is None else self._state.environment
            variables = read_variables(definitions, self._environ)
            self._defaults = FlagState(definitions, environment, variables, are_overrides_available=False)
        return self._defaults

    def _start_thread(self) -> None:
        self._thread = threading.Thread(target=self._keep, name=_APPLICATION, daemon=True)
        self._thread.start()

    def _keep(self) -> None:
        while not self._stopping.is_set():
            try:
                with (
                    connect(self._url, application_name=_APPLICATION) as connection,
                    severable(connection) as self._severable,
                ):
                    connection.execute(query("listen_to_flags"))
                    while not self._stopping.is_set():
                        wait = self._renew(connection)
                        for _ in connection.notifies(timeout=wait, stop_after=1):
                            pass
            except (psycopg.Error, HoldsError) as error:
                if not self._stopping.is_set() and not self._is_available():
                    self._say_outage(error)
            except Exception:  # noqa: BLE001  it is logged; the thread must outlive a bug of ours
                # Whatever it is: the flags go on as they are, and the next try comes.
                _log.exception("The feature flags could not be renewed.")
            if not self._stopping.is_set():
                self._tell(())
            self._stopping.wait(min(self._refresh, _LONGEST_PAUSE_SECONDS))

    def _renew(self, connection: psycopg.Connection[Any]) -> float:
        """Read the flags anew; return for how many seconds they may be left alone."""
        asked_at = time.monotonic()
        # A server that hangs, or a proxy that goes silent, answers nobody: the next try is over a new connection.
        with severed_after(connection, _LONGEST_ANSWER_SECONDS):
            snapshot = read_snapshot(connection, self._environment)
        definitions = snapshot.definitions
        if not definitions.keys() >= set(Flag):
            # The database was migrated by another release: it does not know all that this one asks for.
            definitions = {**packaged_definitions(), **definitions}
        variables = read_variables(definitions, self._environ)
        state = FlagState(definitions, snapshot.environment, variables, snapshot.overrides, cohorts=snapshot.cohorts)
        changed = () if self._state is None else state.changes_from(self._state)
        self._state, self._defaults = state, None
        self._valid_until = asked_at + self._max_age
        if self._is_outage_said:
            self._is_outage_said = False
            _log.warning("The overrides of feature flags are available again.")
        self._tell(changed)
        with severed_after(connection, _LONGEST_ANSWER_SECONDS):
            self._say(connection, state, snapshot)
        if snapshot.ends_in_seconds is None:
            return self._refresh
        return min(self._refresh, max(snapshot.ends_in_seconds, _SHORTEST_PAUSE_SECONDS))

    def _is_available(self) -> bool:
        return self._state is not None and _clock() < self._valid_until

    def _tell(self, changed: Sequence[str]) -> None:
        """Tell whoever watches what is new; nothing where nothing is."""
        was_available, self._was_available = self._was_available, self._is_available()
        if not changed and self._was_available == was_available:
            return
        for watcher in tuple(self._watchers):
            try:
                watcher(News(changed, self._was_available))
            except Exception:  # noqa: BLE001  it is logged; the thread must outlive a bug of theirs
                _log.exception("Somebody who watches the feature flags has failed.")

    def _say(self, connection: psycopg.Connection[Any], state: FlagState, snapshot: Snapshot) -> None:
        """Warn once of what is wrong with the flags, and record unsafe combinations for as long as they stand."""
        for problem in state.variables.problems:
            self._warn_once(problem, problem)
        found = find_contradictions(state)
        for contradiction in found:
            self._warn_once(contradiction, f"Unsafe combination of feature flags: {contradiction}")
            told_at = self._told_at.get(contradiction, -math.inf)
            if time.monotonic() - told_at >= TELL_EVERY.total_seconds():
                self._told_at[contradiction] = time.monotonic()
                record_event(connection, _event(contradiction, state.environment, snapshot.changed_at))
        # What has been mended is said anew if it comes back.
        for gone in self._told_at.keys() - set(found):
            self._said.discard(gone)
            del self._told_at[gone]

    def _warn_once(self, key: object, message: str) -> None:
        if key not in self._said:
            self._said.add(key)
            _log.warning("%s", message)

    def _say_outage(self, error: Exception | None) -> None:
        if not self._is_outage_said:
            self._is_outage_said = True
            meaning = translate(error) if isinstance(error, psycopg.Error) and error.sqlstate is not None else None
            why = "" if error is None else f" ({first_line(meaning or error)})"
            _log.warning("The overrides of feature flags are not available%s: the defaults are in force.", why)


def _event(contradiction: Contradiction, environment: Environment, changed_at: datetime | None) -> Event:
    """Return the event that says so: the same from every process, so that it is stored once."""
    every = TELL_EVERY.total_seconds()
    occurred_at = datetime.fromtimestamp(time.time() // every * every, UTC)
    if changed_at is not None:
        occurred_at = max(occurred_at, changed_at)
    return Event(
        id=contradiction.event_id(environment, occurred_at),
        occurred_at=occurred_at,
        event_type=EventType.FLAGS_CONTRADICTION,
        source=SOURCE,
        severity=Severity.WARNING,
        restaurant_id=contradiction.restaurant_id,
        context={
            "rule": contradiction.rule,
            "flags": list(contradiction.flags),
            "environment": environment,
            "because": contradiction.because,
        },
    )


_kept: weakref.WeakSet[_KeptFlags] = weakref.WeakSet()


def _start_anew() -> None:
    for kept in list(_kept):
        kept.start_anew()


os.register_at_fork(after_in_child=_start_anew)
