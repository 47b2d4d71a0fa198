"""What one check of the doctor found, and where it draws the line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from holds_core.database.migrations import MINIMUM_SERVER_VERSION


class State(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"
    NOT_INSTALLED = "not installed"


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


@dataclass(frozen=True)
class Limits:
    """What is still well.

    Attributes:
        free_bytes: Free on the disk; one pass of the pipeline with a day's events takes a tenth of it.
        least_free_bytes: Below that little, commands fail.
        oldest_server: PostgreSQL's version, as its protocol writes it: 150000 is 15.
        newest_server: The first version that no test has seen.
        days_ahead: For which there are partitions; the pipeline makes those of a fortnight.
        flag_notice: How long before it expires a flag is told of; it is due on the day.
        rollup_age: How old a refresh may be while events wait; it is due every five minutes.
        run_age: How long ago the last run of the pipeline may have ended; after that telemetry_stale fires.
        heartbeat_age: How old the last sign of Dagster's daemon may be; it gives one every half minute.
    """

    free_bytes: int = 1_000_000_000
    least_free_bytes: int = 200_000_000
    oldest_server: int = MINIMUM_SERVER_VERSION
    newest_server: int = 190000
    days_ahead: int = 2
    flag_notice: timedelta = timedelta(0)
    rollup_age: timedelta = timedelta(minutes=30)
    run_age: timedelta = timedelta(minutes=15)
    heartbeat_age: timedelta = timedelta(minutes=5)
