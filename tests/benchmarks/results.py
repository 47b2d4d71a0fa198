"""What the benchmarks promise, whether it is kept, and where that is written."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg

from holds_core.database.connections import connect
from holds_core.database.migrations import migrate
from holds_core.database.settings import Environment
from orchestration.paths import state_dir


@dataclass(frozen=True)
class Result:
    """One promised figure."""

    name: str
    value: float
    unit: str
    goal: float
    is_at_most: bool = False

    @property
    def is_met(self) -> bool:
        """Whether the goal is met."""
        return self.value <= self.goal if self.is_at_most else self.value >= self.goal


@contextmanager
def scratch_database(server_url: str) -> Iterator[str]:
    """A database of this run's own, dropped afterwards."""
    name = f"holdwatch_bench_{uuid4().hex[:8]}"
    url = urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'create database "{name}"')
        try:
            with connect(url) as scratch:
                migrate(scratch, Environment.DEV)
            yield url
        finally:
            connection.execute(f'drop database "{name}" with (force)')


def report(results: Sequence[Result]) -> None:
    """Print the results, and put them into .holdwatch/bench.json in the place of those of the same names."""
    for result in results:
        sign = "at most" if result.is_at_most else "at least"
        met = "met" if result.is_met else "NOT met"
        print(f"{result.name}: {result.value:.4g} {result.unit} (goal: {sign} {result.goal:g}): {met}")
    path = state_dir() / "bench.json"
    rows = {row["name"]: row for row in (json.loads(path.read_text()) if path.exists() else [])}
    for one in results:
        rows[one.name] = {
            "name": one.name, "value": round(one.value, 4), "unit": one.unit, "goal": one.goal, "met": one.is_met
        }  # fmt: skip
    path.write_text(json.dumps(list(rows.values()), indent=2) + "\n")
    print(f"Written: {path}", file=sys.stderr)
