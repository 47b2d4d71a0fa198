"""What the doctor looks at in a database that answers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import psycopg
from psycopg.rows import scalar_row

from dashboards.alerts import ALERTS, Severity
from holds_core.database.migrations import has_schema, load_migrations, require_schema, stored_environment
from holds_core.database.queries import query
from holds_core.database.settings import Settings
from holds_core.enforcement import enforcement_problems, enforcement_status
from holds_core.errors import HoldsError, SchemaBehindError, first_line
from holds_core.flags.contradictions import find_contradictions
from holds_core.flags.evaluation import FlagState
from holds_core.flags.loading import packaged_definitions
from holds_core.flags.snapshot import read_snapshot
from holds_core.flags.trail import verify_trail
from holds_core.flags.variables import read_variables
from orchestration.diagnosis import Diagnosis, Limits, State
from orchestration.rollups import REFRESH_AT_EVENTS, rolled_up_to, waiting_events

_NO_RIGHT = psycopg.errors.InsufficientPrivilege
_MIGRATE = "holdwatch db migrate"
_RUN = "holdwatch pipeline run"
_AS_THE_OWNER = "Ask as the owner of the database: HOLDWATCH_DATABASE_URL with that login."

Check = Callable[[psycopg.Connection, Limits], Diagnosis]


def examine_database(connection: psycopg.Connection, limits: Limits) -> Iterator[Diagnosis]:
    """Look at everything in it; change nothing."""
    yield _server(connection, limits)
    yield _examined("extension", _extension, connection, limits)
    if not _is_ours(connection):
        found = "this database has no holdwatch schema"
        yield Diagnosis("schema", State.FAILED, found, f"If it is the right database: {_MIGRATE}")
        return
    yield _examined("rights", _rights, connection, limits)
    for name, check in _CHECKS.items():
        yield _examined(name, check, connection, limits)


def _examined(name: str, check: Check, connection: psycopg.Connection, limits: Limits) -> Diagnosis:
    try:
        return check(connection, limits)
    except (HoldsError, psycopg.Error) as error:
        if isinstance(error, _NO_RIGHT) or isinstance(error.__cause__, _NO_RIGHT):
            login = connection.info.user
            return Diagnosis(name, State.SKIPPED, f"the login {login} may not look at this", _AS_THE_OWNER)
        return Diagnosis(
            name, State.FAILED, first_line(error), "Look into the schema first, then into the server's log."
        )


def _is_ours(connection: psycopg.Connection) -> bool:
    """Tell whether the schema is there, be it that this login may not enter it."""
    try:
        return has_schema(connection)
    except psycopg.errors.InsufficientPrivilege:
        return True


def _server(connection: psycopg.Connection, limits: Limits) -> Diagnosis:
    info = connection.info
    found = f"PostgreSQL {info.parameter_status('server_version')}, database {info.dbname} on {info.host}"
    if info.server_version < limits.oldest_server:
        oldest = limits.oldest_server // 10000
        remedy = f"Upgrade the server to PostgreSQL {oldest} or later; nothing of holdwatch runs on this one."
        return Diagnosis("database", State.FAILED, found, remedy)
    if info.server_version >= limits.newest_server:
        newest = limits.newest_server // 10000 - 1
        remedy = f"Nothing newer than PostgreSQL {newest} has been tested; look for a newer release of holdwatch."
        return Diagnosis("database", State.WARNING, found, remedy)
    return Diagnosis("database", State.OK, found)


def _extension(connection: psycopg.Connection, limits: Limits) -> Diagnosis:
    row = connection.execute(query("extension_state")).fetchone()
    if row is None:
        remedy = "Install PostgreSQL's contrib modules on the server (Debian: they come with postgresql-NN)."
        return Diagnosis("extension", State.FAILED, "the server does not have btree_gist", remedy)
    if row[0] is None and _is_ours(connection):
        # Holds were under a constraint that needs it: whoever dropped it dropped that, too.
        found = "btree_gist was dropped, and the constraint against overlaps with it"
        remedy = "As a superuser: create extension btree_gist. Then: docs/runbooks/double-booking.md"
        return Diagnosis("extension", State.FAILED, found, remedy)
    return Diagnosis("extension", State.OK, f"btree_gist {row[0] or 'can be installed'}")


def _rights(connection: psycopg.Connection, limits: Limits) -> Diagnosis:
    login = connection.info.user
    with connection.cursor(row_factory=scalar_row) as cursor:
        roles = cursor.execute(query("roles_of_login")).fetchall()
    if not roles:
        found = f"the login {login} has none of the roles of holdwatch"
        remedy = f"As the owner: holdwatch db grant ROLE PERSON, or in psql: grant holds_app to {login}"
        return Diagnosis("rights", State.FAILED, found, remedy)
    return Diagnosis("rights", State.OK, f"{login} is {' and '.join(roles)}")


def _schema(connection: psycopg.Connection, limits: Limits) -> Diagnosis:
    try:
        require_schema(connection)
    except SchemaBehindError as error:
        return Diagnosis("schema", State.FAILED, str(error).partition(";")[0], _MIGRATE)
    ours = {migration.number: migration for migration in load_migrations()}
    for number, name, checksum in connection.execute(query("list_migrations")):
        if number not in ours:
            found = f"{name} is of a newer release than this program"
            return Diagnosis("schema", State.FAILED, found, "Install that release or a later one.")
        if checksum != ours[number].checksum:
            found = f"{name} was applied with another content than this program has"
            return Diagnosis("schema", State.FAILED, found, "Restore the file: migrations are never edited.")
    return Diagnosis("schema", State.OK, f"up to date: {load_migrations()[-1].name}")


def _environment(connection: psycopg.Connection, limits: Limits) -> Diagnosis:
    stored = stored_environment(connection)
    wanted = Settings.from_environ().environment
    if stored is None:
        return Diagnosis("environment", State.FAILED, "the database's settings are missing", _MIGRATE)
    if stored != wanted and "HOLDWATCH_ENVIRONMENT" in os.environ:
        found = f"the database serves {stored}, HOLDWATCH_ENVIRONMENT says {wanted}"
        remedy = f"Unset the variable, or: holdwatch db migrate --change-environment {wanted}"
        return Diagnosis("environment", State.WARNING, found, remedy)
    return Diagnosis("environment", State.OK, f"the database serves {stored}")


def _flags(connection: psycopg.Connection, limits: Limits) -> Diagnosis:
    verdict = verify_trail(connection)
    if verdict.problems:
        return Diagnosis("flags", State.FAILED, verdict.problems[0], "Look into it: holdwatch flags verify")
    snapshot = read_snapshot(connection)
    if snapshot.definitions != packaged_definitions():
        found = "the definitions of flags in the database are of another release"
        return Diagnosis("flags", State.WARNING, found, _MIGRATE)
    variables = read_variables(packaged_definitions())
    state = FlagState(snapshot.definitions, snapshot.environment, variables, snapshot.overrides)
    due = (datetime.now(UTC) + limits.flag_notice).date()
    expired = [f"{one.name} expires {one.expires}" for one in snapshot.definitions.values() if one.is_expired(due)]
    wrong = [*variables.problems, *(str(one) for one in find_contradictions(state))]
    if wrong:
        return Diagnosis("flags", State.WARNING, wrong[0], "Look into it: holdwatch flags audit")
    if expired:
        remedy = "Remove each, or look at it again and renew it: holdwatch flags stale"
        return Diagnosis("flags", State.WARNING, "; ".join(expired), remedy)
    return Diagnosis("flags", State.OK, f"{len(snapshot.definitions)} flags; their trail of {verdict.entries} is whole")


def _enforcement(connection: psycopg.Connection, limits: Limits) -> Diagnosis:
    problems = enforcement_problems(connection)
    if not problems:
        return Diagnosis("enforcement", State.OK, "overlapping holds are refused, and so was a probe")
    # Switched off or in part is somebody's decision; a constraint that is missing is nobody's.
    status = enforcement_status(connection)
    is_decided = (status.changed_by is not None or status.apart_count > 0) and not any(
        "constraint" in problem or "index" in problem or "accepted" in problem for problem in problems
    )
    remedy = "Who and why: holdwatch enforcement status. Then: docs/runbooks/double-booking.md"
    return Diagnosis("enforcement", State.WARNING if is_decided else State.FAILED, "; ".join(problems), remedy)


def _double_bookings(connection: psycopg.Connection, limits: Limits) -> Diagnosis:
    pairs = connection.execute(query("double_bookings"), {"since": None, "limit": 100}).fetchall()
    if pairs:
        more = "100 or more" if len(pairs) == 100 else str(len(pairs))
        return Diagnosis("double bookings", State.FAILED, f"{more} live", "holdwatch holds conflicts")
    return Diagnosis("double bookings", State.OK, "none")


def _partitions(connection: psycopg.Connection, limits: Limits) -> Diagnosis:
    row = connection.execute(query("last_event_partition")).fetchone()
    last = None if row is None else row[0]
    today = datetime.now(UTC).date()
    if last is None or last < today + timedelta(days=limits.days_ahead):
        found = f"events can be stored until {last or 'never'}"
        return Diagnosis("event partitions", State.FAILED, found, "holdwatch pipeline run, or holdwatch db migrate")
    return Diagnosis("event partitions", State.OK, f"made until {last}")


def _quarantine(connection: psycopg.Connection, limits: Limits) -> Diagnosis:
    row = connection.execute(query("quarantined_events")).fetchone()
    count, source = row or (0, None)
    if count:
        found = f"{count} events have a time that the history has no place for, the last from {source}"
        return Diagnosis("quarantine", State.WARNING, found, "Mend the clock there. See holds.quarantined_events.")
    return Diagnosis("quarantine", State.OK, "no event is in it")


def _rollups(connection: psycopg.Connection, limits: Limits) -> Diagnosis:
    if rolled_up_to(connection) is None:
        found = "not built yet, so that there are no views; or brought along by a dump, so that they read every event"
        return Diagnosis("rollups", State.WARNING, found, "holdwatch pipeline run")
    waiting = waiting_events(connection)
    if waiting >= REFRESH_AT_EVENTS:
        found = f"{waiting:,} events or more wait for a refresh: the views are slow"
        return Diagnosis("rollups", State.WARNING, found, "holdwatch up refreshes them, or: holdwatch pipeline run")
    row = connection.execute(query("last_refresh")).fetchone()
    if waiting and row is not None and row[0] < datetime.now(UTC) - limits.rollup_age:
        found = f"{waiting:,} events wait, and the last refresh was at {row[0]:%Y-%m-%d %H:%M} UTC"
        return Diagnosis("rollups", State.WARNING, found, "holdwatch up refreshes them, or: holdwatch pipeline run")
    return Diagnosis("rollups", State.OK, f"{waiting:,} events wait for the next refresh")


def _gates(connection: psycopg.Connection, limits: Limits) -> Diagnosis:
    if connection.execute("select to_regclass('analytics.pipeline_freshness')").fetchone() == (None,):
        return Diagnosis("data quality", State.WARNING, "nobody has checked the events yet", "holdwatch pipeline run")
    blocked = connection.execute(query("blocked_pipelines")).fetchall()
    if blocked:
        found = "; ".join(f"a gate blocks {environment}: {reason}" for environment, reason in blocked)
        return Diagnosis("data quality", State.FAILED, found, "Mend the rows, then: holdwatch pipeline run")
    return Diagnosis("data quality", State.OK, "no gate blocks the pipeline")


def _pipeline(connection: psycopg.Connection, limits: Limits) -> Diagnosis:
    if connection.execute("select to_regclass('analytics.pipeline_freshness')").fetchone() == (None,):
        return Diagnosis("pipeline", State.WARNING, "it has not run yet: there are no views", _RUN)
    row = connection.execute(query("last_ended_run")).fetchone()
    last = None if row is None else row[0]
    if last is None:
        return Diagnosis("pipeline", State.WARNING, "no run has ended yet", _RUN)
    age = datetime.now(UTC) - last
    found = f"the last run ended {age // timedelta(minutes=1):,} minutes ago, at {last:%Y-%m-%d %H:%M} UTC"
    if age <= limits.run_age:
        return Diagnosis("pipeline", State.OK, found)
    # Where nobody has ever started schedules, nobody counts on them.
    is_scheduled = connection.execute("select to_regclass('dagster.daemon_heartbeats')").fetchone() != (None,)
    return Diagnosis("pipeline", State.FAILED if is_scheduled else State.WARNING, found, _RUN)


def _alerts(connection: psycopg.Connection, limits: Limits) -> Diagnosis:
    if connection.execute("select to_regclass('analytics.alert_evaluations')").fetchone() == (None,):
        return Diagnosis("alerts", State.WARNING, "nothing is judged: there are no views", _RUN)
    firing = connection.execute(query("firing_alerts")).fetchall()
    if not firing:
        return Diagnosis("alerts", State.OK, "none fires")
    found = ", ".join(f"{alert} ({severity}, {environment})" for alert, severity, environment in firing)
    names = {alert for alert, _, _ in firing}
    pages = dict.fromkeys(f"docs/runbooks/{alert.signal.runbook}.md" for alert in ALERTS if alert.name in names)
    state = State.FAILED if any(severity == Severity.PAGE for _, severity, _ in firing) else State.WARNING
    return Diagnosis("alerts", state, f"firing: {found}", ", ".join(pages))


def _schedules(connection: psycopg.Connection, limits: Limits) -> Diagnosis:
    if connection.execute("select to_regclass('dagster.daemon_heartbeats')").fetchone() == (None,):
        found = "Dagster has never run on this database"
        return Diagnosis("schedules", State.WARNING, found, "holdwatch up runs them; without, the views get slow.")
    stopped = connection.execute(query("stopped_schedules")).fetchall()
    if stopped:
        found = f"switched off in Dagster: {', '.join(str(name) for (name,) in stopped)}"
        return Diagnosis("schedules", State.WARNING, found, "Switch them on in Dagster's UI, under Automation.")
    row = connection.execute(query("last_heartbeat")).fetchone()
    last = None if row is None else row[0]
    if last is None or last < datetime.now(UTC) - limits.heartbeat_age:
        since = "ever" if last is None else f"since {last:%Y-%m-%d %H:%M} UTC"
        found = f"no daemon of Dagster's has given a sign of life {since}"
        return Diagnosis("schedules", State.WARNING, found, "Start it: holdwatch up")
    return Diagnosis("schedules", State.OK, f"they run; the daemon's last sign was at {last:%H:%M:%S} UTC")


_CHECKS: dict[str, Check] = {
    "schema": _schema,
    "environment": _environment,
    "enforcement": _enforcement,
    "double bookings": _double_bookings,
    "event partitions": _partitions,
    "quarantine": _quarantine,
    "rollups": _rollups,
    "data quality": _gates,
    "pipeline": _pipeline,
    "alerts": _alerts,
    "flags": _flags,
    "schedules": _schedules,
}
