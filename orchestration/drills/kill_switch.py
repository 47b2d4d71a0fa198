"""The kill switch, by its runbook: the commands are read out of the page, and timed at a client that places holds.

A client keeps trying to book a table that is taken. It is refused, until the page's command has switched strict
conflicts off, and refused again once the page's other command has switched them back on. The drill's restaurant is
synthetic, and no other is concerned unless everyone's switch is drilled. What gets through is over as it begins, and no
double booking: nobody is paged for a drill that goes well.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple
from uuid import UUID, uuid4

import psycopg

from holds_core import HoldClient, HoldConflictError, HoldRequest, HoldsError, set_hold_conflict_enforcement
from holds_core.database.connections import connect
from holds_core.enforcement import enforcement_status, switch_restaurant_enforcement
from holds_core.flags import Flag, Flags
from holds_core.flags.trail import read_trail, verify_trail
from orchestration.drills.regressions import SyntheticRestaurant
from orchestration.drills.run import DrillError, require_alone
from orchestration.paths import PROJECT_ROOT

RUNBOOK = PROJECT_ROOT / "docs" / "runbooks" / "README.md"
HEADING = "The kill switch"

IN_FORCE_WITHIN_SECONDS = 10.0
"""From the moment at which somebody has typed the command; most of it is Python's start, on a busy machine."""

Switched = Literal["off", "on"]
Seen = Literal["client", "flags", "command"]
SEEN: dict[Seen, str] = {
    "client": "The client that places holds notices",
    "flags": "A process that uses flags is told",
    "command": "The command is done",
}
"""What each says of a command, in words."""

_CODE = re.compile(r"`holdwatch (enforcement (off|on|status)\b[^`]*)`")
_RESTAURANT = "<restaurant id>"
_REASON = "drill kill-switch"
_PAUSE_SECONDS = 0.05
_NO_TIME = timedelta(microseconds=1)
"""The shortest that a hold may last: it ends before its window is stored, and the detector passes it by."""

_PATIENCE_SECONDS = 60.0
_PROGRAM = "from orchestration.cli import main; main()"


class Command(NamedTuple):
    """A command of the runbook.

    Attributes:
        verb: off, on or status.
        words: What to call, with nothing left to fill in.
    """

    verb: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        """Return it as somebody types it."""
        return shlex.join(("holdwatch", *self.words))


@dataclass
class KillSwitchReport:
    """What came of the drill.

    Attributes:
        environment: Of the database.
        is_for_everyone: Whether every restaurant's switch was drilled, or the synthetic one's alone.
        commands: What was run, in the order of the page.
        seconds: After off and after on, from the command's start to whoever noticed.
        attempts: How many holds the client tried to place.
        let_through: How many of them got a table that was taken.
        double_bookings: Of the drill's restaurant, live or for the next sweep to record; each would page somebody.
        problems: What fell short.
    """

    environment: str
    is_for_everyone: bool
    commands: list[str] = field(default_factory=list)
    seconds: dict[Switched, dict[Seen, float]] = field(default_factory=dict)
    attempts: int = 0
    let_through: int = 0
    double_bookings: int = 0
    problems: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON has it."""
        rounded = {
            switched: {seen: round(seconds, 2) for seen, seconds in found.items()}
            for switched, found in self.seconds.items()
        }
        return {"drill": "kill-switch", **asdict(self), "seconds": rounded}


def run_kill_switch_drill(
    url: str,
    *,
    is_for_everyone: bool = False,
    runbook: Path = RUNBOOK,
    on_step: Callable[[str, float], None] = lambda what, seconds: None,
    on_stage: Callable[[str], None] = lambda stage: None,
) -> KillSwitchReport:
    """Switch strict conflicts off and on again by the runbook's commands, and put everything back, whatever happens.

    Args:
        url: The database, as its owner.
        is_for_everyone: Drill the switch of every restaurant; meanwhile any of them can be double-booked.
        runbook: The page.
        on_step: Told who noticed, and how many seconds after the command's start.
        on_stage: Told what is being waited for.

    Raises:
        DrillError: It cannot begin; nothing was switched.
    """
    with ExitStack() as stack:
        connection = stack.enter_context(connect(url, application_name="holdwatch-drill"))
        require_alone(connection)
        restaurant = SyntheticRestaurant(connection, "kill-switch", _strict_restaurant(connection))
        commands = read_commands(runbook, restaurant.id, is_for_everyone=is_for_everyone)
        row = connection.execute("select environment from holds.settings").fetchone()
        assert row is not None
        report = KillSwitchReport(row[0], is_for_everyone)
        restaurant.begin()
        stack.callback(restaurant.leave)
        stack.callback(_make_strict_again, connection, restaurant.id, is_for_everyone=is_for_everyone)
        begins_at = time.monotonic()
        sightings = stack.enter_context(_watching(url, restaurant))
        on_stage("the client to be refused")
        if sightings.first("client", is_strict=True, since=begins_at) is None:
            raise DrillError(f"The drill's client cannot place holds{sightings.why()}.")
        for command in commands:
            on_stage(f"holdwatch {' '.join(command.words[:2])}")
            if not _run(command, url, sightings, report, on_step):
                break
        report.attempts, report.let_through = sightings.attempts, sightings.let_through
        report.problems += _trail_problems(connection, restaurant, is_for_everyone=is_for_everyone)
        report.double_bookings = _double_bookings(connection, restaurant)
    return report


def read_commands(runbook: Path, restaurant_id: UUID, *, is_for_everyone: bool) -> list[Command]:
    """Return the commands of the page's section on the kill switch, as somebody fills them in, in their order.

    Raises:
        DrillError: The page or the section is not there, or it does not say how to switch off and on again.
    """
    if not runbook.is_file():
        raise DrillError(f"{runbook} is not here, whose commands this drill runs: run it in a checkout of holdwatch.")
    section = runbook.read_text("utf-8").partition(f"\n## {HEADING}\n")[2].partition("\n## ")[0]
    commands = []
    for text, verb in _CODE.findall(" ".join(section.split())):
        if verb == "status" or (_RESTAURANT in text) is not is_for_everyone:
            filled = re.sub(r"<[^>]*>", _REASON, text.replace(_RESTAURANT, str(restaurant_id)))
            commands.append(Command(verb, tuple(shlex.split(filled))))
    if [command.verb for command in commands if command.verb != "status"] != ["off", "on"]:
        whose = "all restaurants" if is_for_everyone else "one restaurant"
        raise DrillError(
            f"The section '{HEADING}' of {runbook} has to say once how strict conflicts are switched off for {whose}, "
            "and then once how they are switched on again."
        )
    return commands


def _strict_restaurant(connection: psycopg.Connection) -> UUID:
    """Return a restaurant that is nobody's, and strict as things are."""
    if not enforcement_status(connection).is_enabled:
        raise DrillError("Strict conflicts are off already; whoever switched them off is no drill.")
    for _ in range(1000):
        restaurant_id = uuid4()
        if connection.execute("select holds.is_hold_strict_for(%s)", (restaurant_id,)).fetchone() == (True,):
            return restaurant_id
    raise DrillError("Strict conflicts are on for next to no restaurant: there is nothing to switch off.")


def _make_strict_again(connection: psycopg.Connection, restaurant_id: UUID, *, is_for_everyone: bool) -> None:
    if connection.execute("select holds.is_hold_strict_for(%s)", (restaurant_id,)).fetchone() == (True,):
        return
    reason = f"{_REASON} is over"
    if is_for_everyone:
        set_hold_conflict_enforcement(connection, enabled=True, reason=reason, on_overlap="grandfather")
    else:
        switch_restaurant_enforcement(
            connection, restaurant_id=restaurant_id, enabled=True, reason=reason, on_overlap="grandfather"
        )


def _double_bookings(connection: psycopg.Connection, restaurant: SyntheticRestaurant) -> int:
    """Return how many the drill has made, by what the sweep goes by; ended ones count."""
    row = connection.execute(
        "select count(*) from holds.double_bookings_since(%s) where restaurant_id = %s",
        (restaurant.began_at, restaurant.id),
    ).fetchone()
    return 0 if row is None else int(row[0])


def _run(
    command: Command,
    url: str,
    sightings: _Sightings,
    report: KillSwitchReport,
    on_step: Callable[[str, float], None],
) -> bool:
    """Run a command as somebody types it, and take note of who notices, and when; return whether it worked."""
    report.commands.append(str(command))
    since = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, *command.words],
        env=os.environ | {"HOLDWATCH_DATABASE_URL": url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _, said = process.communicate(timeout=_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        _, said = process.communicate()
    seconds: dict[Seen, float] = {"command": time.monotonic() - since}
    if process.returncode != 0:
        report.problems.append(f"{command}: it failed with status {process.returncode}: {_last_words(said)}")
        return False
    if command.verb == "status":
        return True
    switched: Switched = "off" if command.verb == "off" else "on"
    for who in ("client", "flags"):
        seen_at = sightings.first(who, is_strict=switched == "on", since=since)
        if seen_at is None:
            report.problems.append(f"{command}: {SEEN[who].lower()} nothing of it{sightings.why()}.")
        else:
            seconds[who] = seen_at - since
    report.seconds[switched] = {seen: seconds[seen] for seen in sorted(seconds, key=lambda one: seconds[one])}
    for seen, passed in report.seconds[switched].items():
        on_step(f"{switched}: {SEEN[seen]}", passed)
    if seconds.get("client", 0.0) > IN_FORCE_WITHIN_SECONDS:
        limit = f"{IN_FORCE_WITHIN_SECONDS:.0f} s"
        report.problems.append(
            f"{command}: it took {seconds['client']:.1f} s until the client noticed, more than {limit}."
        )
    return True


def _last_words(said: str) -> str:
    """Return the last line with words in it: what went wrong stands there."""
    lines = [line.strip() for line in said.splitlines() if re.search(r"\w", line)]
    return lines[-1].removeprefix("holdwatch: ") if lines else "it said nothing"


def _trail_problems(
    connection: psycopg.Connection, restaurant: SyntheticRestaurant, *, is_for_everyone: bool
) -> Iterator[str]:
    """Say what the trail lacks, which has to have both switches with who, when and why."""
    place = None if is_for_everyone else restaurant.id
    found = [
        entry.action
        for entry in read_trail(connection)
        if (entry.flag, entry.restaurant_id, entry.reason) == (Flag.STRICT_CONFLICTS, place, _REASON)
        and restaurant.began_at is not None
        and entry.at >= restaurant.began_at
    ]
    if found != ["killed", "kill switch taken back"]:
        yield f"The trail has {', '.join(found) or 'nothing'} of the two switches."
    yield from verify_trail(connection).problems


class _Sightings:
    """Who noticed what, and when; several threads write it down, and the drill waits for it."""

    def __init__(self) -> None:
        self.attempts = self.let_through = 0
        self._seen: list[tuple[str, bool, float, float]] = []
        self._failure: str | None = None
        self._changed = threading.Condition()

    def note(self, who: str, *, is_strict: bool, asked_at: float) -> None:
        """Write down what somebody was answered now, to what they asked then."""
        with self._changed:
            self._seen.append((who, is_strict, asked_at, time.monotonic()))
            if who == "client":
                self.attempts += 1
                self.let_through += not is_strict
            self._changed.notify_all()

    def note_failure(self, error: HoldsError) -> None:
        """Write down that the client was neither refused nor let through."""
        with self._changed:
            self._failure = str(error)

    def why(self) -> str:
        """Return what kept the client, if anything did."""
        return "" if self._failure is None else f"; its last failure: {self._failure}"

    def first(self, who: str, *, is_strict: bool, since: float) -> float | None:
        """Return when somebody who has asked since then was first answered so; None where that did not come."""

        def found() -> float | None:
            return next(
                (
                    answered_at
                    for seen, was_strict, asked_at, answered_at in self._seen
                    if (seen, was_strict) == (who, is_strict) and asked_at >= since
                ),
                None,
            )

        with self._changed:
            self._changed.wait_for(lambda: found() is not None, timeout=_PATIENCE_SECONDS / 2)
            return found()


@contextmanager
def _watching(url: str, restaurant: SyntheticRestaurant) -> Iterator[_Sightings]:
    """Have a client place holds, and a process follow its flags, within the block; nothing of it is left."""
    sightings, stopping = _Sightings(), threading.Event()
    starts_at = restaurant.now() + timedelta(days=7)
    booking = threading.Thread(
        target=_keep_booking, args=(url, restaurant, starts_at, sightings, stopping), name="holdwatch-drill-client"
    )
    with Flags.connect(url, environ={}) as flags:

        def hear(_: object) -> None:
            is_strict = flags.is_on(Flag.STRICT_CONFLICTS, restaurant.id, default=False)
            sightings.note("flags", is_strict=is_strict, asked_at=time.monotonic())

        flags.watch(hear)
        booking.start()
        try:
            yield sightings
        finally:
            stopping.set()
            booking.join()


def _keep_booking(
    url: str, restaurant: SyntheticRestaurant, starts_at: datetime, sightings: _Sightings, stopping: threading.Event
) -> None:
    """Hold a table, and try again and again to hold it for somebody else, for no time at all."""
    # Next week, at a table that is not there: nobody's real evening is in the way.
    table_id = uuid4()

    def hold_it(client: HoldClient, lasts: timedelta) -> UUID:
        request = HoldRequest(
            restaurant_id=restaurant.id,
            table_ids=(table_id,),
            starts_at=starts_at,
            ends_at=starts_at + timedelta(hours=2),
            booking_id=uuid4(),
            time_to_live=lasts,
            event_context=restaurant.context,
        )
        return client.place(request).id

    with HoldClient.connect(url, max_connections=1) as client:
        held: UUID | None = None
        while not stopping.wait(_PAUSE_SECONDS):
            asked_at = time.monotonic()
            try:
                if held is None:
                    held = hold_it(client, timedelta(hours=1))
                    continue
                through = hold_it(client, _NO_TIME)
                sightings.note("client", is_strict=False, asked_at=asked_at)
                client.release(through)
            except HoldConflictError:
                sightings.note("client", is_strict=True, asked_at=asked_at)
            except HoldsError as error:
                sightings.note_failure(error)
        if held is not None:
            client.release(held)
