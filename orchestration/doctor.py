"""What is set up, what is wrong, and how to mend it. Each check stands for itself: one that fails stops no other."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg

from holds_core.database.connections import connect
from holds_core.database.settings import Settings
from holds_core.errors import HoldsError, first_line
from holds_core.events.spool import EventSpool, default_spool, other_spools
from holds_core.extras import install_command
from orchestration.diagnosis import Diagnosis, Limits, State
from orchestration.doctor_database import examine_database
from orchestration.extras import MODULES, missing_modules
from orchestration.paths import state_dir
from orchestration.server.layout import ServerLayout
from orchestration.server.lease import ServerLease

__all__ = ["Diagnosis", "Limits", "State", "as_rows", "examine"]


def examine(limits: Limits | None = None) -> list[Diagnosis]:
    """Look at everything; start nothing and change nothing.

    Args:
        limits: What is still well; those of a running system unless given.
    """
    limits = limits or Limits()
    return [*_installation(), *_disks(limits), *_database(limits), *_spools()]


def as_rows(diagnoses: list[Diagnosis]) -> list[dict[str, Any]]:
    """Return the diagnoses as JSON has them."""
    return [
        {"check": one.check, "state": one.state, "found": one.found, "remedy": one.remedy} for one in diagnoses
    ]  # fmt: skip


def _installation() -> Iterator[Diagnosis]:
    yield Diagnosis("program", State.OK, f"holdwatch {version('holdwatch')}")
    for extra, modules in MODULES.items():
        remedy = install_command(extra)
        missing = missing_modules(extra)
        if not missing:
            yield Diagnosis(f"extra {extra}", State.OK, "installed")
        elif len(missing) < len(modules):
            found = f"installed in part; missing: {', '.join(missing)}"
            yield Diagnosis(f"extra {extra}", State.WARNING, found, remedy)
        else:
            # An application that embeds the core has none of them, and lacks nothing.
            yield Diagnosis(f"extra {extra}", State.NOT_INSTALLED, "needed only for what it is for", remedy)


def _disks(limits: Limits) -> Iterator[Diagnosis]:
    """Look at where state is kept, and where the embedded server has its data: as root that may be another disk."""
    state = state_dir()
    server = _nearest(ServerLayout.of(state).home)
    folders = [state] if state.stat().st_dev == server.stat().st_dev else [state, server]
    for folder in folders:
        free = shutil.disk_usage(folder).free
        found = f"{free / 1e6:.0f} MB free for {folder}" if free < 1e9 else f"{free / 1e9:.1f} GB free for {folder}"
        if free < limits.free_bytes:
            remedy = "Make room: the embedded server stops where its disk is full. Old logs and reports may go. Or set "
            remedy += "HOLDWATCH_STATE_DIR to a folder elsewhere." if folder == state else "HOLDWATCH_DATABASE_URL."
            state_of_disk = State.FAILED if free < limits.least_free_bytes else State.WARNING
            yield Diagnosis("disk", state_of_disk, found, remedy)
        else:
            yield Diagnosis("disk", State.OK, found)


def _database(limits: Limits) -> Iterator[Diagnosis]:
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
            if lease.is_kept():
                found = f"the embedded server was started to stay up, and is down; log: {lease.server.log}"
                yield Diagnosis("database", State.FAILED, found, "holdwatch db start")
                return
            found = "the embedded server is not up; commands start it, and stop it again"
            yield Diagnosis("database", State.SKIPPED, found, "To look into it: holdwatch db start")
            return
        url = lease.server.url()
    try:
        connection = connect(url)
    except psycopg.OperationalError as error:
        yield Diagnosis(
            "database", State.FAILED, first_line(error), "Start the server, or mend HOLDWATCH_DATABASE_URL."
        )
        return
    with connection:
        yield from examine_database(connection, limits)


def _spools() -> Iterator[Diagnosis]:
    """Look at what waits for the database here, and for others."""
    own = default_spool(_url())
    yield from _spool(own)
    with suppress(OSError):
        yield from map(_other, other_spools(own))


def _other(spool: EventSpool) -> Diagnosis:
    found = f"{spool.depth()} events wait in {spool.directory}, for another database or since an older release"
    remedy = f"If they are this database's: holdwatch events drain --spool {shlex.quote(str(spool.directory))}"
    return Diagnosis("other events", State.WARNING, found, remedy)


def _url() -> str | None:
    """Return the database's URL, where it is known which one that is."""
    with suppress(HoldsError):
        return Settings.from_environ().database_url or ServerLease(state_dir()).server.url()
    return None


def _spool(spool: EventSpool) -> Iterator[Diagnosis]:
    where = str(spool.directory)
    if not os.access(_nearest(spool.directory), os.W_OK | os.X_OK):
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


def _nearest(folder: Path) -> Path:
    """Return the folder, or the nearest above it that exists."""
    return next(one for one in (folder, *folder.parents) if one.exists())
