"""Asks the database what a dashboard shows, as Grafana would: the same statements, the same role, one snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import psycopg

from dashboards.checks.macros import All, Choice, expand
from dashboards.checks.queries import STATEMENT_TIMEOUT_SECONDS
from dashboards.errors import MacroError
from dashboards.preview.board import Board, Json, Panel, annotation_sql
from dashboards.preview.frames import Frame, ShapeError, read_frame
from dashboards.preview.times import Range, TimeRangeError
from dashboards.reader import become_reader
from holds_core.errors import first_line


@dataclass(frozen=True)
class Annotation:
    """Something that happened, or went on for a while.

    Attributes:
        name: The kind, as the dashboard calls it.
        colour: As the dashboard names it.
        text: What happened.
        at: When, or since when.
        until: None for a moment.
    """

    name: str
    colour: str
    text: str
    at: datetime
    until: datetime | None


@dataclass(frozen=True)
class PanelAnswer:
    """What a panel shows.

    Attributes:
        range: Of its time axis.
        frames: One for each query; empty where one failed.
        error: What the database said, in one line; None where all went well.
    """

    range: Range
    frames: tuple[Frame, ...] = ()
    error: str | None = None


@dataclass(frozen=True)
class BoardAnswer:
    """What a dashboard shows.

    Attributes:
        range: What the time picker says.
        asked_at: The database's clock when it was asked; everything is of this moment.
        chosen: By the variable's label: what is chosen, in words. Hidden variables are left out.
        values: By the variable's name: its value, for titles and links.
        panels: By the panel's id.
        problems: One line for each query that failed: where, and what the database said.
        notes: What the reader should know, such as a choice that the database does not offer.
    """

    board: Board
    range: Range
    asked_at: datetime
    chosen: Mapping[str, str]
    values: Mapping[str, str]
    annotations: tuple[Annotation, ...]
    panels: Mapping[int, PanelAnswer]
    problems: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Wanted:
    """What to show.

    Attributes:
        from_text: Where the time range begins, as Grafana writes it; the dashboard's own where None.
        to_text: Where it ends.
        choices: By the variable's name; variables that are missing are as when the dashboard is opened.
    """

    from_text: str | None = None
    to_text: str | None = None
    choices: Mapping[str, Sequence[str]] | None = None


@contextmanager
def one_snapshot(connection: psycopg.Connection) -> Iterator[datetime]:
    """Ask within one read-only snapshot, as the role that Grafana uses; yield the snapshot's ``now()``.

    Raises:
        ReaderRoleError: The connection may not act as ``analytics_reader``, or there is no such role.
    """
    with connection.transaction(force_rollback=True):
        connection.execute("set transaction isolation level repeatable read read only")
        connection.execute(f"set local statement_timeout = '{STATEMENT_TIMEOUT_SECONDS}s'")
        become_reader(connection, until_commit=True)
        row = connection.execute("select now()").fetchone()
        assert row is not None
        yield row[0].astimezone(UTC)


def ask_board(
    connection: psycopg.Connection,
    board: Board,
    now: datetime,
    wanted: Wanted,
    on_panel: Callable[[Panel], None] = lambda panel: None,
) -> BoardAnswer:
    """Ask what one dashboard shows, within :func:`one_snapshot`.

    A query that fails is that panel's error, and the others are asked all the same.

    Raises:
        TimeRangeError: ``wanted`` names no range of times.
        psycopg.OperationalError: The connection was lost.
    """
    times = board.json.get("time") or {}
    picked = Range.read(
        wanted.from_text or str(times.get("from", "now-6h")), wanted.to_text or str(times.get("to", "now")), now
    )
    session = _Session(connection, board, picked, wanted)
    session.choose()
    annotations = tuple(session.annotations())
    panels = {}
    for panel in board.panels:
        on_panel(panel)
        if panel.type != "row":
            panels[panel.id] = session.panel(panel)
    return BoardAnswer(
        board=board,
        range=picked,
        asked_at=now,
        chosen=session.chosen,
        values=session.values,
        annotations=annotations,
        panels=panels,
        problems=tuple(session.problems),
        notes=tuple(session.notes),
    )


class _Session:
    """One dashboard on one connection."""

    def __init__(self, connection: psycopg.Connection, board: Board, picked: Range, wanted: Wanted) -> None:
        self._connection = connection
        self._board = board
        self._range = picked
        self._wanted = wanted.choices or {}
        self._choices: dict[str, Choice] = {}
        self.chosen: dict[str, str] = {}
        self.values: dict[str, str] = {}
        self.problems: list[str] = []
        self.notes: list[str] = []

    def choose(self) -> None:
        """Choose a value for each variable: what is wanted, else what Grafana chooses when the dashboard is opened."""
        for variable in self._board.variables:
            name, kind = str(variable["name"]), variable.get("type")
            if kind == "datasource":
                continue
            if kind == "query":
                choice = self._choose_offered(variable, self._offered(variable))
            elif kind == "custom":
                # "label : value" offers a value under another name.
                parts = [part.rpartition(" : ")[2].strip() for part in str(variable.get("query", "")).split(",")]
                choice = self._choose_offered(variable, parts)
            else:
                current = (variable.get("current") or {}).get("value") or variable.get("query") or ""
                choice = [str(current)]
            self._choices[name] = choice
            is_all = variable.get("includeAll") and not self._wanted.get(name)
            words = "All" if is_all or isinstance(choice, All) else " + ".join(choice)
            self.values[name] = words
            if variable.get("hide") != 2:
                self.chosen[str(variable.get("label") or name)] = words

    def annotations(self) -> Iterator[Annotation]:
        """Ask for what happened."""
        for annotation in self._board.annotations:
            name = str(annotation.get("name") or "annotation")
            try:
                columns, rows = self._ask(annotation_sql(annotation), self._range)
            except (psycopg.Error, MacroError) as error:
                self._note_problem(f"annotation {name!r}", error)
                continue
            names = [column for column, _ in columns]
            for row in rows:
                values = dict(zip(names, row, strict=True))
                at, until = _moment(values.get("time")), _moment(values.get("timeend"))
                if at is not None:
                    text = str(values.get("text") or values.get("title") or name)
                    is_moment = until is None or until <= at
                    yield Annotation(
                        name, str(annotation.get("iconColor") or "blue"), text, at, None if is_moment else until
                    )

    def panel(self, panel: Panel) -> PanelAnswer:
        """Ask for what a panel shows."""
        picked = self._range
        try:
            picked = self._range.of_panel(panel.time_from)
            frames = tuple(self._frame(target, picked) for target in panel.targets if target.get("rawSql"))
        except (psycopg.Error, MacroError, ShapeError, TimeRangeError) as error:
            return PanelAnswer(picked, error=self._note_problem(f"panel {panel.id} {panel.title!r}", error))
        return PanelAnswer(picked, frames)

    def _frame(self, target: Json, picked: Range) -> Frame:
        columns, rows = self._ask(str(target["rawSql"]), picked)
        return read_frame(str(target.get("refId")), str(target.get("format")), columns, rows)

    def _ask(self, sql: str, picked: Range) -> tuple[list[tuple[str, int]], list[tuple[Any, ...]]]:
        statement = expand(sql, picked.at, self._choices)
        with self._connection.transaction():
            # Sent as it is, without parameters: as Grafana does.
            cursor = self._connection.execute(cast("Any", statement))
            return [(column.name, column.type_code) for column in cursor.description or ()], cursor.fetchall()

    def _offered(self, variable: Json) -> list[str]:
        query = variable.get("query")
        sql = str(query.get("rawSql") if isinstance(query, dict) else query)
        try:
            return [str(row[0]) for row in self._ask(sql, self._range)[1]]
        except (psycopg.Error, MacroError) as error:
            self._note_problem(f"variable {variable['name']!r}", error)
            return []

    def _choose_offered(self, variable: Json, offered: list[str]) -> Choice:
        name = str(variable["name"])
        wanted = list(self._wanted.get(name, ()))
        if wanted:
            for value in (value for value in wanted if value not in offered):
                self.notes.append(f"The database offers no {name} {value!r}.")
            return wanted
        if variable.get("includeAll"):
            return All(str(variable["allValue"])) if variable.get("allValue") else offered or [""]
        current = (variable.get("current") or {}).get("value")
        return [str(current)] if current in offered else offered[:1] or [""]

    def _note_problem(self, place: str, error: Exception) -> str:
        if self._connection.closed:
            raise error  # The server went away; no query is to blame.
        said = first_line(error)
        self.problems.append(f"{self._board.title}, {place}: {said}")
        return said


def _moment(value: object) -> datetime | None:
    """Read a time of an annotation: a timestamp, or a number of milliseconds since 1970."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, (int, float)):
        return datetime.fromtimestamp(value / 1000 if value > 1e11 else value, UTC)
    return None
