"""From dbt's problems to findings that name rows: dbt says how many there are, and keeps the query that finds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import psycopg
from psycopg.rows import dict_row

from expectations.model import GUIDE, SAMPLE_ROWS
from holds_core.database.connections import connect
from orchestration.dbt import DbtProblem
from orchestration.pipeline.report import Finding

_REBUILD = "Make the rollups anew (holdwatch pipeline rebuild), then run again (holdwatch pipeline run). "
_MEND = "Mend it at the source that the rows name. "

_LONGEST_VALUE = 200
_FREE_TEXT = {"reason", "message"}
"""Columns with what an application, or a person, wrote: for the owner to look up, not for a report."""


def dbt_findings(url: str, problems: Iterable[DbtProblem], compiled: Path) -> tuple[Finding, ...]:
    """Say of each problem what it is, of tests with some of their rows.

    Args:
        url: The database that dbt worked in.
        problems: What dbt found.
        compiled: Where dbt left its queries.
    """
    return tuple(
        Finding(
            title=f"dbt {problem.name}",
            observed=problem.message or problem.status,
            affected_rows=problem.row_count,
            remedy=f"{_remedy(problem)}Its SQL: find {compiled} -name '{problem.name}*'",
            guide=f"{GUIDE}#tests-of-dbt" if problem.row_count else "",
            rows=_rows(url, problem),
        )
        for problem in problems
    )


def _remedy(problem: DbtProblem) -> str:
    if not problem.row_count:
        return ""
    # Those that warn look at the events as they came, the others at what was made of them.
    return _MEND if problem.status == "warn" else _REBUILD


def _rows(url: str, problem: DbtProblem) -> tuple[Mapping[str, str], ...]:
    """Some of the rows that a test found; none where they are gone, or take too long to find again."""
    if not problem.row_count or not problem.query:
        return ()
    # dbt's own query, of a test of this project.
    query = f"select * from ({problem.query}) as failing limit {SAMPLE_ROWS}".encode()  # noqa: S608
    try:
        with connect(url, application_name="holdwatch-pipeline") as connection:
            connection.execute("set default_transaction_read_only = on")
            connection.execute("set statement_timeout = '10s'")
            rows = connection.cursor(row_factory=dict_row).execute(query).fetchall()
    except psycopg.Error:
        return ()
    return tuple(
        {
            name: "NULL" if value is None else str(value)[:_LONGEST_VALUE]
            for name, value in row.items()
            if name not in _FREE_TEXT
        }
        for row in rows
    )
