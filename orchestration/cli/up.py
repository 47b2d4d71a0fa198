"""``holdwatch up``: database, Dagster's UI, and the daemon with the schedule on."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from orchestration.cli.output import notes, results
from orchestration.cli.progress import open_database
from orchestration.dagster_instance import dagster_home, process_environment
from orchestration.dagster_services import choose_port, start_dagster
from orchestration.dbt_manifest import manifest_path
from orchestration.extras import require_extras
from orchestration.services import ServiceError, running


def up(
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Of the UI, on loopback; else 3000, or a free one.")
    ] = None,
) -> None:
    """Bring everything up: the database, the Dagster UI, and the schedules of the pipeline.

    Prints the addresses once the UI answers. Ctrl-C, or SIGTERM, stops it all.

    Example: holdwatch up --port 3001
    """
    require_extras("What up starts", "pipeline", "dashboards")
    # A shell that starts it in the background has Ctrl-C ignored; whoever sends one all the same means it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    chosen = choose_port(port)
    try:
        with open_database() as database:
            home = dagster_home()
            environment = os.environ | process_environment(database.url, database.environment, home)
            with only_one(home.parent / "up.lock") as announce, notes.status("parsing the dbt project") as status:
                manifest_path()
                with running(environment, home.parent / "logs") as services:
                    address = start_dagster(services, home, chosen, status.update)
                    status.stop()
                    announce(address)
                    _print_addresses(address, database.url)
                    services.wait()
    except KeyboardInterrupt:
        notes.print("Stopped.")


@contextmanager
def only_one(lock: Path) -> Iterator[Callable[[str], None]]:
    """Make sure that nobody else is up from this state folder; yields what tells the next one where this one is.

    Raises:
        ServiceError: Somebody is: a second daemon would take the first one's definitions away.
    """
    with lock.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            where = file.read().strip() or "it is still starting"
            raise ServiceError(f"holdwatch is up already from this folder: {where}") from None

        def announce(address: str) -> None:
            file.truncate(0)
            file.write(address)
            file.flush()

        file.truncate(0)
        yield announce


def _print_addresses(address: str, url: str) -> None:
    parts = urlsplit(url)
    where = f"{parts.hostname or 'socket'}:{parts.port or 5432}{parts.path}"
    results.print(f"Dagster UI   {address}")
    results.print(f"Database     {where} (holdwatch db url prints all of it)")
    results.print("Rollups      refreshed every 5 minutes, and when many events wait; the views are live meanwhile")
    results.print("Pipeline     10 and 40 past the hour; at first as soon as it can; now: holdwatch pipeline run")
    results.print("Ctrl-C stops everything.")
    results.file.flush()
