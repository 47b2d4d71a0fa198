"""What a refresh takes: of each model by dbt's clock and by its statements, and all in all in processor time."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

from holds_core.database.queries import query
from holds_core.database.settings import Environment
from orchestration.dagster_instance import dagster_home, process_environment
from orchestration.history import History, copy_lines
from orchestration.rollups import ROLLUPS, refresh_rollups
from tests.benchmarks.measuring import postmaster_of, server_seconds

_EVENT_COLUMNS = "id, occurred_at, environment, source, event_type, severity, restaurant_id, booking_id, context"


def seconds_of_models(url: str) -> dict[str, float]:
    """Refresh as the schedule does; return how long each rollup took by dbt's clock, from its start to its end."""
    result = refresh_rollups(url)
    assert result.is_successful, result.problems
    ran = json.loads((result.log.parent / "run_results.json").read_text())["results"]
    seconds = {one["unique_id"].rpartition(".")[2]: float(one["execution_time"]) for one in ran}
    return {rollup: seconds[rollup] for rollup in ROLLUPS}


@dataclass(frozen=True)
class DatabaseTime:
    """What the database takes for something.

    Attributes:
        seconds: By the clock of whoever asks: of a model, how long dbt waited for its statements.
        processor_seconds: Of the server's processes. On shared cores this is what can be compared.
    """

    seconds: float
    processor_seconds: float


def database_time_of_copy(connection: psycopg.Connection[Any], url: str, lines: bytes) -> DatabaseTime:
    """Insert lines by COPY; return what it took."""
    postmaster = postmaster_of(url)
    before, began = server_seconds(postmaster), time.perf_counter()
    insert_lines(connection, lines)
    seconds = time.perf_counter() - began
    return DatabaseTime(seconds, server_seconds(postmaster) - before)


def database_time_of_refresh(url: str, rollup: str) -> DatabaseTime:
    """Refresh one rollup with a log of each statement; return what they took."""
    postmaster = postmaster_of(url)
    before = server_seconds(postmaster)
    result = refresh_rollups(url, "--log-level-file", "debug", "--log-format-file", "json", rollups=[rollup])
    processor_seconds = server_seconds(postmaster) - before
    assert result.is_successful, result.problems
    entries = [json.loads(line) for line in result.log.read_text().splitlines()]
    return DatabaseTime(
        sum(
            entry["data"]["elapsed"]
            for entry in entries
            if entry["info"]["name"] == "SQLQueryStatus"
            and entry["data"].get("node_info", {}).get("node_name") == rollup
        ),
        processor_seconds,
    )


def processor_seconds_of_a_run(url: str) -> float:
    """Run the job once, in a process of its own as the daemon would; return the processor time of all it started."""
    command = [sys.executable, "-m", "dagster", "job", "execute", "-m", "orchestration.definitions", "-j", "refresh"]
    environment = os.environ | process_environment(url, Environment.DEV, dagster_home())
    # Dagster's tables are made when it is first used.
    subprocess.run(
        [sys.executable, "-c", "import dagster; dagster.DagsterInstance.get()"],
        check=True, env=environment, capture_output=True,
    )  # fmt: skip
    postmaster = postmaster_of(url)
    before = _processor_seconds() + server_seconds(postmaster)
    subprocess.run(command, check=True, env=environment, capture_output=True)
    return _processor_seconds() + server_seconds(postmaster) - before


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def lines_before(connection: psycopg.Connection[Any], until: datetime, span: timedelta, count: int, seed: int) -> bytes:
    """Make a day's events, pressed together into a shorter span before a time; as COPY lines of the event table."""
    lines = [line for batch in copy_lines(History(count, 1, until, seed=seed)) for line in batch]
    connection.execute(query("create_event_import"))
    with connection.transaction(), connection.cursor() as cursor:
        with cursor.copy(query("copy_event_import")) as copy:
            copy.write(b"".join(lines))
        cursor.execute(
            "update pg_temp.event_import set occurred_at = %(until)s - (%(until)s - occurred_at) * %(share)s",
            {"until": until, "share": span / timedelta(days=1)},
        )
        with cursor.copy(f"copy (select {_EVENT_COLUMNS} from pg_temp.event_import) to stdout") as copy:
            return b"".join(bytes(block) for block in copy)


def insert_lines(connection: psycopg.Connection[Any], lines: bytes) -> None:
    """COPY such lines into the event table."""
    statement = f"copy holds.observability_events ({_EVENT_COLUMNS}) from stdin"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(lines)
