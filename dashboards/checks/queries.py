"""Runs the SQL of every panel and variable on a real database, as the role that Grafana uses, for each kind of choice.

Nothing is written: one read-only transaction, one snapshot, one ``now()``. What two choices show can thus be compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import psycopg

from dashboards.catalogue import ANALYTICS_SCHEMA
from dashboards.checks.check import CheckResult, Material
from dashboards.checks.findings import Finding
from dashboards.checks.lint import all_panels, place_of, relations, variables_in
from dashboards.checks.loading import load
from dashboards.checks.macros import All, Choice, TimeRange, expand
from dashboards.errors import MacroError
from dashboards.reader import become_reader

STATEMENT_TIMEOUT_SECONDS = 60
"""A panel that takes longer is broken for whoever looks at it."""

RANGES = {"24 hours": timedelta(hours=24), "7 days": timedelta(days=7), "90 days": timedelta(days=90)}
"""One time range for each grain: minute, hour, day."""

UNKNOWN = "no such restaurant"
QUOTED = "Chez d'Artagnan"
INJECTION = "x') or true --"
"""None of the three exists: all must show the same."""

_TIME_TYPES = {1114, 1184}  # timestamp, timestamptz
_NUMBER_TYPES = {20, 21, 23, 700, 701, 1700}
_TEXT_TYPES = {25, 1042, 1043}

_DURATION = re.compile(r"(\d+)([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}

Json = dict[str, Any]
_Result = tuple[tuple[tuple[str, int], ...], tuple[tuple[Any, ...], ...]]


@dataclass(frozen=True)
class Query:
    """One statement of a dashboard, as it stands in the file."""

    file: str
    place: str
    ref_id: str
    sql: str
    result: str
    time_from: str | None = None


@dataclass(frozen=True)
class QueryRun:
    """What one query returned for one choice.

    Attributes:
        case: What was chosen, for example "All" or "two restaurants".
        time_range: A key of :data:`RANGES`, or the panel's own.
        columns: Name and type (``oid``) of each.
        rows: All of them.
    """

    query: Query
    case: str
    time_range: str
    columns: tuple[tuple[str, int], ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class QueryReport:
    """All runs that worked, and what was found."""

    runs: tuple[QueryRun, ...]
    findings: tuple[Finding, ...]

    @property
    def empty_under_all(self) -> list[str]:
        """The panels that show nothing at all under All, in any time range: no fault where there is no data."""
        queries = {run.query for run in self.runs if run.case == "All"}
        filled = {run.query for run in self.runs if run.case == "All" and run.rows}
        return sorted(f"{query.file}, {query.place}, query {query.ref_id}" for query in queries - filled)


def check_queries(material: Material) -> CheckResult:
    """Run every query for every case; panels that show nothing yet are notes.

    Raises:
        ReaderRoleError: The connection may not act as ``analytics_reader``, or there is no such role.
        psycopg.OperationalError: The connection was lost.
    """
    if material.connection is None:
        return CheckResult.skip("No database was asked.", "holdwatch dashboards check")
    report = run_queries(material.connection, load(material.directory, "grafana")[0])
    return CheckResult(
        report.findings,
        f"{len(report.runs)} queries",
        [f"{place}: nothing to show yet" for place in report.empty_under_all],
    )


def queries_of(file: str, dashboard: Json) -> list[Query]:
    """Return the statements of the panels of a dashboard."""
    return [
        Query(
            file,
            place_of(panel),
            str(target.get("refId")),
            str(target.get("rawSql")),
            str(target.get("format")),
            panel.get("timeFrom"),
        )
        for panel in all_panels(dashboard)
        for target in panel.get("targets", [])
    ]


def run_queries(connection: psycopg.Connection, dashboards: Mapping[str, Json]) -> QueryReport:
    """Run every statement of the dashboards for every case.

    Args:
        connection: An autocommit connection whose role may act as ``analytics_reader``.
        dashboards: Parsed dashboards by their path.

    Raises:
        ReaderRoleError: The connection may not act as ``analytics_reader``, or there is no such role.
        psycopg.OperationalError: The connection was lost.
    """
    with connection.transaction(force_rollback=True):
        connection.execute("set transaction isolation level repeatable read read only")
        connection.execute(f"set local statement_timeout = '{STATEMENT_TIMEOUT_SECONDS}s'")
        become_reader(connection, until_commit=True)
        runs: list[QueryRun] = []
        findings: list[Finding] = []
        for file, dashboard in dashboards.items():
            for outcome in _Session(connection, file, dashboard).outcomes():
                if isinstance(outcome, Finding):
                    findings.append(outcome)
                else:
                    runs.append(outcome)
    return QueryReport(tuple(runs), tuple(findings))


class _Session:
    """One dashboard on one connection."""

    def __init__(self, connection: psycopg.Connection, file: str, dashboard: Json) -> None:
        self._connection = connection
        self._file = file
        self._dashboard = dashboard
        self._now = datetime.now(UTC)
        self._results: dict[str, _Result] = {}

    def outcomes(self) -> Iterator[QueryRun | Finding]:
        """Run the variables' statements, then the panels' with what the variables offer."""
        queries = queries_of(self._file, self._dashboard)
        variables = [variable for variable in variables_in(self._dashboard) if variable.get("type") == "query"]
        missing = self._missing_views([*(query.sql for query in queries), *(one["query"] for one in variables)])
        if missing:
            yield Finding(
                "missing-views",
                self._file,
                "",
                f"The database lacks {', '.join(missing)}.",
                "Build the views: holdwatch pipeline run.",
            )
            return
        choices: dict[str, Choice] = {}
        offered: dict[str, list[str]] = {}
        for variable in variables:
            query = Query(self._file, f"variable {variable['name']}", "", variable["query"], "variable")
            outcome = self._run(query, "All", "24 hours", choices)
            yield outcome
            if isinstance(outcome, Finding):
                return
            offered[variable["name"]] = [str(row[0]) for row in outcome.rows]
            choices[variable["name"]] = _first_choice(variable, offered[variable["name"]])
        for query in queries:
            yield from self._cases(query, choices, offered.get("restaurant", []))

    def _missing_views(self, statements: list[str]) -> list[str]:
        read = {name for statement in statements for name in relations(statement)}
        # Whatever else a statement reads is refused, or found missing, when it runs.
        names = sorted(name for name in read if name.startswith(f"{ANALYTICS_SCHEMA}."))
        found = self._connection.execute(
            "select name from unnest(%s::text[]) as name where to_regclass(name) is null order by name", (names,)
        )
        return [str(name) for (name,) in found]

    def _cases(self, query: Query, choices: dict[str, Choice], restaurants: list[str]) -> Iterator[QueryRun | Finding]:
        ranges = list(RANGES) if query.time_from is None else [query.time_from]
        for time_range in ranges:
            outcome = self._run(query, "All", time_range, choices)
            yield outcome
            if isinstance(outcome, Finding):
                return
        first = ranges[0]
        named = [name for name in restaurants if name != "(none)"]
        two = [*named, UNKNOWN, QUOTED][:2]
        for case, names in {"(none) alone": ["(none)"], "two restaurants": two}.items():
            yield self._run(query, case, first, choices | {"restaurant": names})
        reference = self._run(query, "an unknown name", first, choices | {"restaurant": [UNKNOWN]})
        yield reference
        for case, name in (("a name with a quote", QUOTED), ("an injection attempt", INJECTION)):
            outcome = self._run(query, case, first, choices | {"restaurant": [name]})
            yield outcome
            if isinstance(outcome, QueryRun) and isinstance(reference, QueryRun) and outcome.rows != reference.rows:
                yield self._finding(
                    query, "query-injection", f"{case} ({name}) shows other rows than a name nobody has.", "Quote it."
                )

    def _run(self, query: Query, case: str, time_range: str, choices: dict[str, Choice]) -> QueryRun | Finding:
        try:
            length = RANGES[time_range] if time_range in RANGES else _duration(time_range)
            statement = expand(query.sql, TimeRange(self._now - length, self._now), choices)
            columns, rows = self._result(statement)
        except (MacroError, psycopg.Error) as error:
            if self._connection.closed:
                raise  # The server went away; no query is to blame.
            said = str(error).strip().splitlines()[0]
            return self._finding(query, "query-fails", f"For {case}, {time_range}: {said}", "Mend the query.")
        run = QueryRun(query, case, time_range, columns, rows)
        problem = _shape_problem(run)
        if problem is not None:
            return self._finding(query, "query-shape", f"For {case}, {time_range}: {problem}", "Mend the query.")
        return run

    def _result(self, statement: str) -> _Result:
        """Run a statement, once: within one snapshot it cannot change its answer."""
        if statement not in self._results:
            with self._connection.transaction():
                # Sent as it is, without parameters: as Grafana does.
                cursor = self._connection.execute(cast("Any", statement))
                columns = tuple((column.name, column.type_code) for column in cursor.description or ())
                self._results[statement] = (columns, tuple(cursor.fetchall()))
        return self._results[statement]

    def _finding(self, query: Query, check: str, problem: str, remedy: str) -> Finding:
        place = f"{query.place}, query {query.ref_id}" if query.ref_id else query.place
        return Finding(check, self._file, place, problem, remedy)


def _first_choice(variable: Json, offered: list[str]) -> Choice:
    """What Grafana chooses when the dashboard is opened."""
    if variable.get("includeAll"):
        return All(variable["allValue"])
    return offered[:1] or [""]


def _duration(text: str) -> timedelta:
    """Read a panel's own time range, such as ``90d`` or ``6h``."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise MacroError(f"{text!r} is no time range such as 90d.")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _shape_problem(run: QueryRun) -> str | None:
    """Say why Grafana could not draw this; None if it can."""
    names = [name for name, _ in run.columns]
    if run.query.result == "variable":
        return None if len(names) == 1 else f"A variable needs one column, not {names}."
    if len(set(names)) < len(names):
        return f"Two columns have one name: {names}."
    return _time_series_problem(run, names) if run.query.result == "time_series" else None


def _time_series_problem(run: QueryRun, names: list[str]) -> str | None:
    types = dict(run.columns)
    if types.get("time") not in _TIME_TYPES:
        return "A time series needs a timestamp column named time."
    if not any(type_ in _NUMBER_TYPES for type_ in types.values()):
        return "A time series needs a column of numbers."
    labels = [index for index, (_, type_) in enumerate(run.columns) if type_ in _TEXT_TYPES]
    time = names.index("time")
    times = [row[time] for row in run.rows]
    if times != sorted(times):
        return "A time series must be ordered by time."
    keys = [(row[time], *(row[index] for index in labels)) for row in run.rows]
    if len(set(keys)) != len(keys):
        return "One series has several values at one time: restaurants were mixed, or not summed."
    return None
