"""Reads a dashboard's JSON: its panels in the order of the grid, its variables, annotations and links."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dashboards.checks.lint import variables_in

Json = dict[str, Any]

ROW_PIXELS, GAP_PIXELS, COLUMNS = 30, 8, 24
"""Grafana's grid: the height of a row, what is between panels, columns."""


@dataclass(frozen=True)
class Panel:
    """One panel, or the header of a row of panels.

    Attributes:
        id: As links to it say.
        type: Grafana's name of the visualization; "row" is a header.
        at: Column, row, width and height on the grid of 24 columns.
        json: All of it, as the file has it.
    """

    id: int
    type: str
    title: str
    description: str
    at: tuple[int, int, int, int]
    json: Json = field(repr=False)

    @property
    def options(self) -> Json:
        """What the visualization is told."""
        return dict(self.json.get("options") or {})

    @property
    def targets(self) -> list[Json]:
        """The queries that are not switched off."""
        return [target for target in self.json.get("targets") or [] if not target.get("hide")]

    @property
    def time_from(self) -> str | None:
        """The panel's own length of time, if it has one."""
        return self.json.get("timeFrom") or None

    @property
    def links(self) -> list[Json]:
        """Where the panel's title leads."""
        return list(self.json.get("links") or [])


@dataclass(frozen=True)
class Board:
    """One dashboard."""

    file: str
    uid: str
    title: str
    description: str
    panels: tuple[Panel, ...]
    json: Json = field(repr=False)

    @property
    def name(self) -> str:
        """The file's name without its suffix."""
        return self.file.rpartition("/")[2].removesuffix(".json")

    @property
    def variables(self) -> list[Json]:
        """In the order in which they may use each other."""
        return variables_in(self.json)

    @property
    def annotations(self) -> list[Json]:
        """Those that are drawn and come from a query."""
        listed = (self.json.get("annotations") or {}).get("list") or []
        return [one for one in listed if one.get("enable", True) and _annotation_sql(one)]

    @property
    def links(self) -> list[Json]:
        """Beside the dashboard's title."""
        return list(self.json.get("links") or [])

    @property
    def rows(self) -> int:
        """The height on the grid."""
        return max((panel.at[1] + panel.at[3] for panel in self.panels), default=0)


def read_board(file: str, dashboard: Json) -> Board:
    """Read a dashboard. What is inside collapsed rows is unfolded: a preview hides nothing."""
    panels: list[Panel] = []
    moved = 0
    for json in sorted(dashboard.get("panels", []), key=lambda one: _place(one)[:2][::-1]):
        panels.append(_panel(json, moved))
        inner = [] if json.get("type") != "row" else json.get("panels") or []
        if inner:
            below = _place(json)[1] + 1
            shift = below - min(_place(one)[1] for one in inner)
            panels.extend(_panel(one, moved + shift) for one in inner)
            moved += max(_place(one)[1] + _place(one)[3] for one in inner) + shift - below
    return Board(
        file=file,
        uid=str(dashboard.get("uid") or file),
        title=str(dashboard.get("title") or file),
        description=str(dashboard.get("description") or ""),
        panels=tuple(panels),
        json=dashboard,
    )


def annotation_sql(annotation: Json) -> str:
    """Return the query of an annotation that has one."""
    return _annotation_sql(annotation)


def fill_in(text: str, values: Mapping[str, str]) -> str:
    """Put variables' values into a title or a link; what is no variable of the dashboard stays."""
    return re.sub(r"\$\{(\w+)(?::\w+)?\}|\$(\w+)", lambda match: values.get(match[1] or match[2], match[0]), text)


def _panel(json: Json, moved: int) -> Panel:
    x, y, width, height = _place(json)
    return Panel(
        id=int(json.get("id") or 0),
        type=str(json.get("type") or ""),
        title=str(json.get("title") or ""),
        description=str(json.get("description") or ""),
        at=(x, y + moved, width, height),
        json=json,
    )


def _place(json: Json) -> tuple[int, int, int, int]:
    grid = json.get("gridPos") or {}
    return int(grid.get("x", 0)), int(grid.get("y", 0)), int(grid.get("w", COLUMNS)), int(grid.get("h", 1))


def _annotation_sql(annotation: Json) -> str:
    target = annotation.get("target") or {}
    return str(target.get("rawSql") or annotation.get("rawQuery") or "")
