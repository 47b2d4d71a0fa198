"""Makes pictures of dashboards and of single panels: one SVG, which vl-convert makes a PNG of, without a browser."""

from __future__ import annotations

import io

from dashboards.preview.asking import BoardAnswer
from dashboards.preview.board import COLUMNS, GAP_PIXELS, ROW_PIXELS, Panel
from dashboards.preview.colours import DARK, colour, resolve
from dashboards.preview.layout import MARGIN, PAD, TITLE_LINE_PIXELS, Box, Drawn, draw_panel, grid_height, panel_width
from dashboards.preview.panels import SHADE
from dashboards.preview.svg import document, element, shortened, text, text_width

_TITLE, _SMALL, _CHIP_HEIGHT = 20, 13, 28
_COLOURS = 256
"""Of a picture's palette: plots have few, and the file is half as large."""


def board_svg(answer: BoardAnswer, drawn: list[Drawn], width: int, *, sections: int | None = None) -> str:
    """Draw a dashboard, its title, variables and time range above it.

    Args:
        answer: What it shows.
        drawn: Its panels.
        width: In pixels.
        sections: How many rows of panels, from the top; all of them where None.
    """
    headers = [one for one in drawn if one.drawing is None]
    ends = grid_height(answer) if sections is None or sections >= len(headers) else headers[sections].box.y
    head, top = _head(answer, width)
    panels = "".join(_panel(one) for one in drawn if one.box.y < ends)
    grid = element("g", panels, transform=f"translate(0 {top:.0f})")
    return _document(width, top + ends + MARGIN - GAP_PIXELS, head + grid, f"Dashboard {answer.board.title}")


def panel_svg(answer: BoardAnswer, panel: Panel, width: int) -> str:
    """Draw one panel alone, as large as it is on a page of this width; a table takes all of that."""
    columns, rows = panel.at[2:]
    if panel.type == "table":
        columns = COLUMNS  # A table alone need not be cut.
    box = Box(0, 0, panel_width(columns, width), rows * (ROW_PIXELS + GAP_PIXELS) - GAP_PIXELS)
    return _document(box.width, box.height, _panel(draw_panel(answer, panel, box)), panel.title)


def png(svg: str, scale: float = 1.0) -> bytes:
    """Make a PNG of a drawing, in the dark theme, with a palette so that it is small."""
    import vl_convert  # noqa: PLC0415  40 MB, for pictures alone
    from PIL import Image  # noqa: PLC0415

    whole = Image.open(io.BytesIO(vl_convert.svg_to_png(resolve(svg, DARK), scale=scale))).convert("RGB")
    small = whole.quantize(_COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    file = io.BytesIO()
    small.save(file, "PNG", optimize=True)
    return file.getvalue()


def _document(width: float, height: float, content: str, label: str) -> str:
    ground = element("rect", width=width, height=height, fill="var(--canvas)")
    return document(width, height, f"<defs>{SHADE}</defs>{ground}{content}", label=label)


def _head(answer: BoardAnswer, width: int) -> tuple[str, float]:
    """Draw what stands above the panels; return it and its height."""
    span = str(answer.range)
    parts = [
        text(MARGIN, 30, shortened(answer.board.title, width * 0.6, _TITLE), size=_TITLE, is_bold=True),
        text(width - MARGIN, 30, span, size=_SMALL, anchor="end"),
    ]
    chips: list[tuple[str, str, str | None]] = [(label, value, None) for label, value in answer.chosen.items()]
    kinds = {one.name: one.colour for one in answer.annotations}
    chips += [("", name, colour(name_colour)) for name, name_colour in kinds.items()]
    x, y = float(MARGIN), 44.0
    for label, value, mark in chips:
        shown = shortened(value, width / 3, _SMALL)
        needed = text_width(label, _SMALL) + text_width(shown, _SMALL) + (34 if mark is None else 30)
        if x > MARGIN and x + needed > width - MARGIN:
            x, y = float(MARGIN), y + _CHIP_HEIGHT + 6
        parts.append(_chip(x, y, needed, label, shown, mark))
        x += needed + 8
    return "".join(parts), y + (_CHIP_HEIGHT + 10 if chips else 0)


def _chip(x: float, y: float, width: float, label: str, value: str, mark: str | None) -> str:
    box = element(
        "rect",
        x=x + 0.5,
        y=y + 0.5,
        width=width,
        height=_CHIP_HEIGHT,
        rx=2,
        fill="var(--panel)",
        stroke="var(--border)",
    )
    middle = y + _CHIP_HEIGHT / 2 + 4.5
    if mark is not None:
        line = element(
            "line", x1=x + 13, x2=x + 13, y1=y + 6, y2=y + 22, stroke=mark, stroke_width=2, stroke_dasharray="4 2"
        )
        return box + line + text(x + 22, middle, value, size=_SMALL)
    return (
        box
        + text(x + 10, middle, label, size=_SMALL, fill="var(--faint)")
        + text(x + text_width(label, _SMALL) + 22, middle, value, size=_SMALL)
    )


def _panel(one: Drawn) -> str:
    box = one.box
    if one.drawing is None:
        # A path: few fonts have the triangle.
        mark = element("path", d="M5 12h10l-5 6Z", fill="var(--text)")
        title = mark + text(22, 21, one.title, size=16, is_bold=True)
        return element("g", title, transform=f"translate({box.x:.2f} {box.y:.2f})", class_="row")
    own = one.own_range or ""
    own_width = text_width(own, 12) + 8 if own else 0
    frame = element(
        "rect",
        x=0.5,
        y=0.5,
        width=box.width - 1,
        height=box.height - 1,
        rx=2,
        fill="var(--panel)",
        stroke="var(--border)",
    )
    room = box.width - 2 * PAD - own_width
    title = "".join(
        text(
            PAD,
            21 + index * TITLE_LINE_PIXELS,
            shortened(line, room, one.title_size),
            size=one.title_size,
            is_bold=True,
        )
        for index, line in enumerate(one.title_lines)
    )
    right = text(box.width - PAD, 21, own, size=12, fill="var(--link)", anchor="end") if own else ""
    content = element("g", one.drawing.svg, transform=f"translate({one.content.x} {one.content.y})")
    return element(
        "g",
        frame + title + right + content,
        transform=f"translate({box.x:.2f} {box.y:.2f})",
        class_="panel",
        data_panel=one.panel.id,
    )
