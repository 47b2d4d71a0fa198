"""`make check-full`: every check of what ops load, none skipped, on a database with views and events of each kind."""

from __future__ import annotations

import os
import sys

import psycopg

from holds_core.database.connections import connect
from holds_core.database.migrations import migrate
from holds_core.database.settings import Environment
from orchestration.cli import main
from orchestration.dbt import run_dbt
from orchestration.paths import state_dir
from orchestration.server.lease import ServerLease
from tests.conftest import with_database
from tests.dashboards.seed import seed_double_booking, seed_events

DATABASE = "holdwatch_check_full"
"""On the embedded server of the tests; made anew each time."""


def check_full() -> None:
    """Fill a database, check the files against it, and end as the check ends."""
    state = state_dir() / "tests"
    state.mkdir(mode=0o700, exist_ok=True)
    with ServerLease(state, {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}).held() as server:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute(f"drop database if exists {DATABASE} with (force)")
            connection.execute(f"create database {DATABASE}")
        url = with_database(server.url(), DATABASE)
        print("Building the views ...", file=sys.stderr)
        with connect(url) as connection:
            migrate(connection, Environment.DEV)
            seed_events(connection)
            seed_double_booking(connection)
        result = run_dbt(url, "run", state=state / "check-full")
        if not result.is_successful:
            sys.exit(f"The views were not built: {result.problems[0].message}")
        os.environ["HOLDWATCH_DATABASE_URL"] = url
        sys.argv = ["holdwatch", "dashboards", "check", "--strict"]
        main()


if __name__ == "__main__":
    check_full()
