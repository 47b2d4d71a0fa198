"""Writes the page and the pictures of all dashboards, each file whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psycopg

from dashboards.files import replace_file
from dashboards.preview.asking import BoardAnswer, Wanted, ask_board, one_snapshot
from dashboards.preview.board import Board, Json, Panel, read_board
from dashboards.preview.layout import Drawn, draw_board
from dashboards.preview.page import html_page
from dashboards.preview.picture import board_svg, png
from holds_core.errors import HoldsError

PAGE = "index.html"
TITLE = "Holdwatch dashboards, a preview"


class MissingViewsError(HoldsError):
    """The database has no views."""

    def __init__(self) -> None:
        super().__init__(
            "The database has no views yet, so there is nothing to draw: holdwatch pipeline run builds them."
        )


@dataclass(frozen=True)
class Preview:
    """What was written.

    Attributes:
        files: The page first, then a picture of each dashboard.
        panels: How many panels were drawn.
        problems: One line for each query that failed.
        notes: What the reader should know of what was asked for.
    """

    files: tuple[Path, ...]
    panels: int
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def ask_boards(
    connection: psycopg.Connection,
    dashboards: Mapping[str, Json],
    wanted: Wanted,
    on_panel: Callable[[Board, Panel], None] = lambda board, panel: None,
) -> list[BoardAnswer]:
    """Ask what each dashboard shows, all in one snapshot of the database.

    Args:
        connection: An autocommit connection whose role may act as ``analytics_reader``.
        dashboards: Parsed dashboards by their path.
        wanted: The time range, and what is chosen.
        on_panel: Called before each panel is asked for.

    Raises:
        MissingViewsError: There is nothing yet to ask.
        ReaderRoleError: The connection may not act as ``analytics_reader``, or there is no such role.
        TimeRangeError: ``wanted`` names no range of times.
        psycopg.OperationalError: The connection was lost.
    """
    boards = [read_board(file, dashboard) for file, dashboard in dashboards.items()]
    # The overview is what people look at first; the others by name.
    boards.sort(key=lambda board: (board.name != "overview", board.name))
    with one_snapshot(connection) as now:
        row = connection.execute("select to_regclass('analytics.assignment_success_rate') is null").fetchone()
        if row == (True,):
            raise MissingViewsError
        return [ask_board(connection, board, now, wanted, partial(on_panel, board)) for board in boards]


def write_preview(
    answers: Sequence[BoardAnswer],
    directory: Path,
    width: int,
    on_file: Callable[[Path], None] = lambda path: None,
) -> Preview:
    """Write ``index.html`` and a PNG of each dashboard into a folder.

    Raises:
        OSError: The folder cannot be written.
    """
    boards: list[tuple[BoardAnswer, list[Drawn]]] = [(answer, list(draw_board(answer, width))) for answer in answers]
    files = [directory / PAGE, *(directory / f"{answer.board.name}.png" for answer in answers)]
    on_file(files[0])
    replace_file(files[0], html_page(boards, width, TITLE).encode("utf-8"))
    for file, (answer, drawn) in zip(files[1:], boards, strict=True):
        on_file(file)
        replace_file(file, png(board_svg(answer, drawn, width)))
    return Preview(
        files=tuple(files),
        panels=sum(one.drawing is not None for _, drawn in boards for one in drawn),
        problems=tuple(problem for answer in answers for problem in answer.problems),
        notes=tuple(dict.fromkeys(note for answer in answers for note in answer.notes)),
    )
