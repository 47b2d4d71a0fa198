"""The panel "Table": rows with units, colours by threshold or mapping, and the widths that columns need."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from dashboards.preview.colours import text_on
from dashboards.preview.fields import Look, Shown, looks
from dashboards.preview.frames import Field
from dashboards.preview.panels.drawing import Canvas, Drawing, message
from dashboards.preview.svg import element, shortened, text, text_width

_SIZE, _PAD = 13, 7
_ROW_PIXELS = {"sm": 32, "md": 40, "lg": 48}
_NARROWEST = 56
_LOOKED_AT = 50
"""Rows by which widths are chosen."""


@dataclass(frozen=True)
class Column:
    """One field.

    Attributes:
        cells: Its values as they are shown.
        style: How colours are used: "auto" (not at all), "color-text", "color-background".
        is_number: Numbers stand on the right.
        is_text: Neither a number nor a time.
        wanted: The width that its content, or the dashboard, asks for.
        is_fixed: Whether the dashboard asks for it.
    """

    look: Look
    cells: tuple[Shown, ...]
    style: str
    is_number: bool
    is_text: bool
    wanted: float
    is_fixed: bool
    colours_row: bool


def draw_table(canvas: Canvas) -> Drawing:
    """Draw the panel."""
    columns = read_columns(canvas)
    count = max((len(column.cells) for column in columns), default=0)
    if not count:
        return message(canvas, canvas.no_value, kind="no-data")
    return Drawing(_svg(canvas, columns, count), _html(canvas, columns, count))


def read_columns(canvas: Canvas) -> list[Column]:
    """Return the columns that are shown; like Grafana, a table shows the first of several queries."""
    if not canvas.answer.frames:
        return []
    first = canvas.answer.frames[0]
    return [
        _column(look, one)
        for frame, one, look in looks(canvas.panel, canvas.answer.frames, canvas.now)
        if frame is first and not look.custom.get("hidden") and not (look.custom.get("hideFrom") or {}).get("viz")
    ]


def _column(look: Look, one: Field) -> Column:
    options = look.custom.get("cellOptions") or {}
    style = str(options.get("type") or look.custom.get("displayMode") or "auto")
    cells = tuple(look.show(value) for value in one.values)
    widest = max((text_width(cell.text, _SIZE) for cell in cells[:_LOOKED_AT]), default=0.0)
    needed = max(widest, text_width(look.name, _SIZE, is_bold=True)) + 2 * _PAD
    fixed = look.custom.get("width")
    align = look.custom.get("align") or "auto"
    return Column(
        look=look,
        cells=cells,
        style=style,
        is_number=align == "right" or (align in ("auto", None) and one.kind == "number"),
        is_text=one.kind == "string",
        wanted=float(fixed) if fixed else max(needed, _NARROWEST),
        is_fixed=bool(fixed),
        colours_row=bool(options.get("applyToRow")),
    )


def _widths(columns: list[Column], width: float) -> list[float]:
    """Give each column what it needs; what is left goes to all, and what is missing is taken from the widest."""
    widths = [column.wanted for column in columns]
    left = width - sum(widths)
    if left >= 0:
        shared = [not column.is_fixed for column in columns]
        many = sum(shared) or len(widths)
        return [
            one + (left / many if is_shared or not any(shared) else 0)
            for one, is_shared in zip(widths, shared, strict=True)
        ]
    # Texts can be cut and still be told apart; numbers and times cannot.
    for at in (
        [index for index, column in enumerate(columns) if column.is_text and not column.is_fixed],
        list(range(len(columns))),
    ):
        _cut(widths, at, width)
    return widths


def _cut(widths: list[float], at: list[int], width: float) -> None:
    """Make the widest of some columns narrower, down to what each needs at least, until all fit."""
    while (
        at and (missing := sum(widths) - width) > 1e-6 and (widest := max(widths[index] for index in at)) > _NARROWEST
    ):
        these = [index for index in at if widths[index] >= widest - 1e-6]
        below = max([widths[index] for index in at if widths[index] < widest - 1e-6] + [_NARROWEST])
        for index in these:
            widths[index] -= min(missing / len(these), widest - below)


def _row_colour(columns: list[Column], row: int) -> str | None:
    return next((one.cells[row].colour for one in columns if one.colours_row and row < len(one.cells)), None)


def _inks(column: Column, cell: Shown, row_colour: str | None) -> tuple[str, str | None]:
    """Return the colours of a cell's text and ground."""
    if column.style == "color-background":
        return text_on(cell.colour), cell.colour
    if row_colour is not None:
        return text_on(row_colour), row_colour
    return (cell.colour if column.style == "color-text" else "var(--text)"), None


def _row_height(canvas: Canvas) -> int:
    return _ROW_PIXELS.get(str(canvas.panel.options.get("cellHeight") or "sm"), 32)


def _svg(canvas: Canvas, columns: list[Column], count: int) -> str:
    height = _row_height(canvas)
    room = max(1, int((canvas.height - height) // height))
    # The last line says how many more there are, where not all fit.
    shown = count if count <= room else room - 1
    widths = _widths(columns, canvas.width)
    parts = []
    has_header = canvas.panel.options.get("showHeader") is not False
    x = 0.0
    for column, width in zip(columns, widths, strict=True):
        if has_header:
            parts.append(_cell(x, 0, width, height, column.look.name, "var(--link)", is_number=column.is_number))
        for row, cell in enumerate(column.cells[:shown]):
            y = (row + has_header) * height
            ink, ground = _inks(column, cell, _row_colour(columns, row))
            if ground is not None:
                parts.append(element("rect", x=x, y=y + 1, width=width, height=height - 1, fill=ground))
            parts.append(_cell(x, y, width, height, cell.text, ink, is_number=column.is_number))
        x += width
    lines = [
        element("line", x1=0, x2=canvas.width, y1=y, y2=y, stroke="var(--border)")
        for y in (height * index for index in range(1, shown + 1 + has_header))
    ]
    if shown < count:
        words = f"… and {count - shown:,} more rows"
        parts.append(text(_PAD, (shown + has_header) * height + height / 2 + 4, words, size=12, fill="var(--faint)"))
    return element("g", "".join([*lines, *parts]), class_="table", data_rows=count)


def _cell(x: float, y: float, width: float, height: float, content: str, ink: str, *, is_number: bool) -> str:
    is_header = ink == "var(--link)"
    words = shortened(" ".join(content.split()), width - 2 * _PAD, _SIZE, is_bold=is_header)
    left = x + width - _PAD if is_number else x + _PAD
    return text(
        left, y + height / 2 + 4.5, words, size=_SIZE, fill=ink, anchor="end" if is_number else None, is_bold=is_header
    )


def _html(canvas: Canvas, columns: list[Column], count: int) -> str:
    rows = []
    for row in range(count):
        colour = _row_colour(columns, row)
        rows.append("<tr>" + "".join(_html_cell(column, column.cells[row], colour) for column in columns) + "</tr>")
    head = "".join(f'<th scope="col"{_aligned(column)}>{escape(column.look.name)}</th>' for column in columns)
    header = "" if canvas.panel.options.get("showHeader") is False else f"<thead><tr>{head}</tr></thead>"
    return f'<div class="rows" tabindex="0"><table>{header}<tbody>{"".join(rows)}</tbody></table></div>'


def _html_cell(column: Column, cell: Shown, row_colour: str | None) -> str:
    ink, ground = _inks(column, cell, row_colour)
    style = "" if ink == "var(--text)" else f"color:{ink}"
    style += "" if ground is None else f";background:{ground}"
    styled = f' style="{escape(style)}"' if style else ""
    return f"<td{_aligned(column)}{styled}>{escape(cell.text)}</td>"


def _aligned(column: Column) -> str:
    return ' class="number"' if column.is_number else ""
