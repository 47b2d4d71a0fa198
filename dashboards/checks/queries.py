"""Runs the SQL of every panel, variable, annotation and alert rule on a real database, for each kind of choice.

It acts as the role that Grafana uses.

Nothing is written: one read-only transaction, one snapshot, one ``now()``. What two choices show can thus be compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any, cast

import psycopg

from dashboards.catalogue import ANALYTICS_SCHEMA
from dashboards.checks.alerting import FOLDER, rules_of
from dashboards.checks.check import CheckResult, Material
from dashboards.checks.findings import Finding
from dashboards.checks.lint import all_panels, annotations_in, place_of, relations, variables_in
from dashboards.checks.loading import load, load_yaml
from dashboards.checks.macros import All, Choice, TimeRange, expand
from dashboards.checks.shapes import Query, QueryRun, shape_problem
from dashboards.errors import MacroError
from dashboards.reader import become_reader
from holds_core.errors import first_line

__all__ = ["Query", "QueryReport", "QueryRun", "alert_queries_of", "check_queries", "queries_of", "run_queries"]

STATEMENT_TIMEOUT_SECONDS = 60
"""A panel that takes longer is broken for whoever looks at it."""

RANGES = {"24 hours": timedelta(hours=24), "7 days": timedelta(days=7), "90 days": timedelta(days=90)}
"""One time range for each grain: minute, hour, day."""

UNKNOWN = "no such restaurant"
QUOTED = "Chez d'Artagnan"
INJECTION = "x') or true --"
"""None of the three exists, neither as a restaurant nor as an environment: all must show the same."""

_DURATION = re.compile(r"(\d+)([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}

Json = dict[str, Any]
_Result = tuple[tuple[tuple[str, int], ...], tuple[tuple[Any, ...], ...]]


@dataclass(frozen=True)
class QueryReport:
    """All runs that worked, and what was found."""

    runs: tuple[QueryRun, ...]
    findings: tuple[Finding, ...]

    @property
    def empty_under_all(self) -> list[str]:
        """What shows nothing at all under All, in any time range: no fault where there is no data.

        Annotations are left out: most of the time nothing was changed.
        """
        queries = {run.query for run in self.runs if run.case == "All" and run.query.result != "annotation"}
        filled = {run.query for run in self.runs if run.case == "All" and run.rows}
        return sorted(f"{query.file}, {query.whole_place}" for query in queries - filled)


def check_queries(material: Material) -> CheckResult:
    """Run every query for every case; panels that show nothing yet are notes.

    Raises:
        ReaderRoleError: The connection may not act as ``analytics_reader``, or there is no such role.
        psycopg.OperationalError: The connection was lost.
    """
    if material.connection is None:
        return CheckResult.skip("No database was asked.", "holdwatch dashboards check")
    report = run_queries(
        material.connection, load(material.directory, "grafana")[0], load_yaml(material.directory, FOLDER)[0]
    )
    return CheckResult(
        report.findings,
        f"{len(report.runs)} runs of queries",
        [f"{place}: nothing to show yet" for place in report.empty_under_all],
    )


def queries_of(file: str, dashboard: Json) -> list[Query]:
    """Return the statements of the panels and annotations of a dashboard."""
    of_panels = (
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
    )
    of_annotations = (
        Query(file, f"annotation {annotation.get('name')}", "", str(annotation["target"].get("rawSql")), "annotation")
        for annotation in annotations_in(dashboard)
        if annotation.get("target")
    )
    return [*of_panels, *of_annotations]


def alert_queries_of(file: str, content: Json) -> list[Query]:
    """Return the statements of the rules of an alerting file."""
    return [
        Query(file, f"rule {rule.get('uid')}", str(query.get("refId")), str(query["model"]["rawSql"]), "alert")
        for rule in rules_of(content)
        for query in rule.get("data") or []
        if "rawSql" in (query.get("model") or {})
    ]


def run_queries(
    connection: psycopg.Connection, dashboards: Mapping[str, Json], alerting: Mapping[str, Json] | None = None
) -> QueryReport:
    """Run every statement of the dashboards for every case, and those of the alert rules, which have no choices.

    Args:
        connection: An autocommit connection whose role may act as ``analytics_reader``.
        dashboards: Parsed dashboards by their path.
        alerting: Parsed alerting files by their path.

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
        snapshot = _Snapshot(connection)
        sessions = [
            *(_Session(snapshot, file, dashboard).outcomes() for file, dashboard in dashboards.items()),
            *(_Session(snapshot, file, {}).verdicts(content) for file, content in (alerting or {}).items()),
        ]
        for outcome in chain.from_iterable(sessions):
            if isinstance(outcome, Finding):
                findings.append(outcome)
            else:
                runs.append(outcome)
    return QueryReport(tuple(runs), tuple(findings))


class _Snapshot:
    """What the database says at one moment: every statement is run once, whichever pages have it."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        self.now = datetime.now(UTC)
        self._results: dict[str, _Result] = {}

    def result(self, statement: str) -> _Result:
        """Return the columns and rows of a statement."""
        if statement not in self._results:
            with self.connection.transaction():
                # Sent as it is, without parameters: as Grafana does.
                cursor = self.connection.execute(cast("Any", statement))
                columns = tuple((column.name, column.type_code) for column in cursor.description or ())
                self._results[statement] = (columns, tuple(cursor.fetchall()))
        return self._results[statement]


class _Session:
    """One file and the database."""

    def __init__(self, snapshot: _Snapshot, file: str, dashboard: Json) -> None:
        self._snapshot = snapshot
        self._file = file
        self._dashboard = dashboard

    def verdicts(self, content: Json) -> Iterator[QueryRun | Finding]:
        """Run the statements of the alert rules: each has a row, always."""
        queries = alert_queries_of(self._file, content)
        if missing := self._missing_views([query.sql for query in queries]):
            yield missing
            return
        for query in queries:
            outcome = self._run(query, "All", "24 hours", {})
            yield outcome
            if isinstance(outcome, QueryRun) and not outcome.rows:
                yield self._finding(query, "alert-no-row", "There is no verdict on it.", "Name an alert that there is.")

    def outcomes(self) -> Iterator[QueryRun | Finding]:
        """Run the variables' statements, then those of panels and annotations with what the variables offer."""
        queries = queries_of(self._file, self._dashboard)
        variables = [variable for variable in variables_in(self._dashboard) if variable.get("type") == "query"]
        missing = self._missing_views([*(query.sql for query in queries), *(one["query"] for one in variables)])
        if missing:
            yield missing
            return
        choices: dict[str, Choice] = {}
        offered: dict[str, list[str]] = {}
        for variable in variables:
            query = Query(self._file, f"variable {variable['name']}", "", variable["query"], "variable")
            outcome = self._run(query, "All", "24 hours", choices)
            yield outcome
            if isinstance(outcome, Finding):
                return
            yield from self._environments(query, choices)
            offered[variable["name"]] = [str(row[0]) for row in outcome.rows]
            choices[variable["name"]] = _first_choice(variable, offered[variable["name"]])
        for query in queries:
            yield from self._cases(query, choices, offered.get("restaurant", []))

    def _missing_views(self, statements: list[str]) -> Finding | None:
        read = {name for statement in statements for name in relations(statement)}
        # Whatever else a statement reads is refused, or found missing, when it runs.
        names = sorted(name for name in read if name.startswith(f"{ANALYTICS_SCHEMA}."))
        found = self._snapshot.connection.execute(
            "select name from unnest(%s::text[]) as name where to_regclass(name) is null order by name", (names,)
        )
        missing = ", ".join(str(name) for (name,) in found)
        if not missing:
            return None
        return Finding(
            "missing-views",
            self._file,
            "",
            f"The database lacks {missing}.",
            "Build the views: holdwatch pipeline run.",
        )

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
        hostile = {"an unknown name": UNKNOWN, "a name with a quote": QUOTED, "an injection attempt": INJECTION}
        yield from self._hostile(query, first, choices, "restaurant", hostile)
        yield from self._environments(query, choices, first)

    def _environments(
        self, query: Query, choices: dict[str, Choice], time_range: str = "24 hours"
    ) -> Iterator[QueryRun | Finding]:
        hostile = {"an unknown environment": UNKNOWN, "an injection as an environment": INJECTION}
        yield from self._hostile(query, time_range, choices, "environment", hostile)

    def _hostile(
        self, query: Query, time_range: str, choices: dict[str, Choice], variable: str, names: dict[str, str]
    ) -> Iterator[QueryRun | Finding]:
        """Choose names that nobody has: whatever they look like, they show what the first of them shows."""
        reference: QueryRun | None = None
        for case, name in names.items():
            outcome = self._run(query, case, time_range, choices | {variable: [name]})
            yield outcome
            if isinstance(outcome, Finding):
                continue
            reference = reference or outcome
            if outcome.rows != reference.rows:
                yield self._finding(
                    query, "query-injection", f"{case} ({name}) shows other rows than a name nobody has.", "Quote it."
                )

    def _run(self, query: Query, case: str, time_range: str, choices: dict[str, Choice]) -> QueryRun | Finding:
        try:
            length = RANGES[time_range] if time_range in RANGES else _duration(time_range)
            now = self._snapshot.now
            statement = expand(query.sql, TimeRange(now - length, now), choices)
            columns, rows = self._snapshot.result(statement)
        except (MacroError, psycopg.Error) as error:
            if self._snapshot.connection.closed:
                raise  # The server went away; no query is to blame.
            said = f"For {case}, {time_range}: {first_line(error)}"
            return self._finding(query, "query-fails", said, "Mend the query.")
        run = QueryRun(query, case, time_range, columns, rows)
        problem = shape_problem(run)
        if problem is not None:
            return self._finding(query, "query-shape", f"For {case}, {time_range}: {problem}", "Mend the query.")
        return run

    def _finding(self, query: Query, check: str, problem: str, remedy: str) -> Finding:
        return Finding(check, self._file, query.whole_place, problem, remedy)


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
