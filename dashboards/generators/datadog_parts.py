"""What Datadog's dashboards are made of: widgets over formulas, markers, and a grid of twelve columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dashboards.catalogue import RUNBOOK_BASE_URL, Signal

COLUMNS = 12

Json = dict[str, Any]


@dataclass(frozen=True)
class Line:
    """One formula of a widget.

    Attributes:
        alias: As the legend has it; empty where the tags say it better.
        formula: Over the names of queries, for example ``100 * assigned / (assigned + skipped)``.
        queries: By name, in Datadog's language. One name is one query in all of a widget.
        limit: How many series at most, the highest first, or with a minus the lowest; None: all.
        aggregator: What makes one number of the time range, where one is shown.
    """

    alias: str
    formula: str
    queries: dict[str, str]
    limit: int | None = None
    aggregator: str = "last"


@dataclass(frozen=True)
class Limit:
    """Where a value is bad, and where it is good again; in the unit that is shown."""

    breach: float
    recovery: float
    is_bad_above: bool


def link(signal: Signal) -> list[Json]:
    """Return the link to the signal's runbook."""
    return [{"label": "Runbook", "link": f"{RUNBOOK_BASE_URL}/{signal.runbook}.md#first-five-minutes"}]


def number(title: str, signal: Signal, line: Line, limit: Limit, *, unit: str = "", precision: int = 1) -> Json:
    """Return a widget that shows one number, in colour where it is good or bad."""
    bad, good = (">", "<=") if limit.is_bad_above else ("<", ">=")
    request = _request([line], "scalar")
    request["conditional_formats"] = [
        {"comparator": bad, "value": limit.breach, "palette": "white_on_red"},
        {"comparator": good, "value": limit.recovery, "palette": "white_on_green"},
    ]
    if limit.recovery != limit.breach:
        # What is between the two is neither yet, or no longer.
        request["conditional_formats"].append({"comparator": good, "value": limit.breach, "palette": "white_on_yellow"})
    widget: Json = {
        "type": "query_value",
        "title": title,
        "requests": [request],
        "autoscale": False,
        "precision": precision,
        "custom_links": link(signal),
    }
    if unit:
        widget["custom_unit"] = unit
    return widget


def lines(title: str, signal: Signal, *drawn: Line, limit: Limit | None = None, unit: str = "") -> Json:
    """Return a widget that draws lines over time; dashed, where a value is bad and where it is good again."""
    return _over_time(title, signal, "line", drawn, unit) | {"markers": [] if limit is None else _markers(limit)}


def bars(title: str, signal: Signal, *drawn: Line, unit: str = "") -> Json:
    """Return a widget that draws stacked bars over time."""
    return _over_time(title, signal, "bars", drawn, unit)


def toplist(title: str, signal: Signal, line: Line) -> Json:
    """Return a widget that lists series by their value."""
    return {
        "type": "toplist",
        "title": title,
        "requests": [_request([line], "scalar")],
        "custom_links": link(signal),
    }


def note(text: str) -> Json:
    """Return a widget of Markdown."""
    return {"type": "note", "content": text, "background_color": "white", "font_size": "14", "show_tick": False}


def group(title: str, *rows: list[Json], heights: tuple[int, ...]) -> Json:
    """Return a group of widgets: rows of widgets that share the twelve columns evenly.

    Args:
        title: Its heading.
        rows: The widgets, row by row.
        heights: Of each row.
    """
    placed = []
    y = 0
    for row, height in zip(rows, heights, strict=True):
        width, rest = divmod(COLUMNS, len(row))
        assert rest == 0, f"{len(row)} widgets do not share {COLUMNS} columns evenly"
        placed += [
            {"definition": widget, "layout": {"x": place * width, "y": y, "width": width, "height": height}}
            for place, widget in enumerate(row)
        ]
        y += height
    return {"type": "group", "layout_type": "ordered", "title": title, "show_title": True, "widgets": placed}


def stacked(groups: list[Json]) -> list[Json]:
    """Return the groups one below the other, each as high as what is in it and its heading."""
    widgets = []
    y = 0
    for one in groups:
        inside = [widget["layout"] for widget in one["widgets"]]
        height = 1 + max(layout["y"] + layout["height"] for layout in inside)
        widgets.append({"definition": one, "layout": {"x": 0, "y": y, "width": COLUMNS, "height": height}})
        y += height
    return widgets


def _over_time(title: str, signal: Signal, display: str, drawn: tuple[Line, ...], unit: str) -> Json:
    request = _request(list(drawn), "timeseries")
    request["display_type"] = display
    return {
        "type": "timeseries",
        "title": title,
        "show_legend": True,
        "legend_layout": "auto",
        "requests": [request],
        "yaxis": {"include_zero": True, "label": unit},
        "custom_links": link(signal),
    }


def _request(drawn: list[Line], response_format: str) -> Json:
    queries: dict[str, Json] = {}
    for line in drawn:
        for name, query in line.queries.items():
            one: Json = {"data_source": "metrics", "name": name, "query": query}
            if response_format == "scalar":
                one["aggregator"] = line.aggregator
            assert queries.setdefault(name, one) == one, f"{name} is two queries"
    return {
        "response_format": response_format,
        "queries": list(queries.values()),
        "formulas": [_formula(line) for line in drawn],
    }


def _formula(line: Line) -> Json:
    made: Json = {"formula": line.formula}
    if line.alias:
        made["alias"] = line.alias
    if line.limit is not None:
        made["limit"] = {"count": abs(line.limit), "order": "desc" if line.limit > 0 else "asc"}
    return made


def _markers(limit: Limit) -> list[Json]:
    sign, back = (">", "<=") if limit.is_bad_above else ("<", ">=")
    markers = [
        {"value": f"y = {limit.breach:g}", "display_type": "error dashed", "label": f" bad {sign} {limit.breach:g} "}
    ]
    if limit.recovery != limit.breach:
        markers.append(
            {
                "value": f"y = {limit.recovery:g}",
                "display_type": "ok dashed",
                "label": f" good again {back} {limit.recovery:g} ",
            }
        )
    return markers
