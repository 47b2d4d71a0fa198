"""The panel "Text": its words, without its formatting; and a box for what the preview cannot draw."""

from __future__ import annotations

import re
from html import escape, unescape

from dashboards.preview.board import fill_in
from dashboards.preview.panels.drawing import Canvas, Drawing
from dashboards.preview.svg import element, shortened, text, wrapped

_SIZE, _LINE = 13, 19
_MARKS = re.compile(r"(\*\*|__|`)")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_TAG = re.compile(r"<[^>]+>")


def draw_text(canvas: Canvas, values: dict[str, str] | None = None) -> Drawing:
    """Draw the panel: headings, lists and paragraphs, as plain text."""
    options = canvas.panel.options
    source = fill_in(str(options.get("content") or ""), values or {})
    if options.get("mode") == "html":
        source = unescape(_TAG.sub("", source))
    drawn, html, y = [], [], 16.0
    for line in source.splitlines():
        heading = re.match(r"(#{1,6})\s+", line)
        item = re.match(r"\s*[-*]\s+", line)
        words = _LINK.sub(
            r"\1", _MARKS.sub("", line[heading.end() :] if heading else line[item.end() :] if item else line)
        )
        if not words.strip():
            y += _LINE / 2
            continue
        size = max(20 - 2 * len(heading[1]), _SIZE) if heading else _SIZE
        shown = f"• {words}" if item else words
        for part in wrapped(shown, canvas.width - 8, size):
            if y < canvas.height:
                drawn.append(text(4, y, part, size=size, is_bold=heading is not None))
            y += _LINE if size == _SIZE else size * 1.5
        html.append(f"<p class='{'heading' if heading else 'line'}'>{escape(shown)}</p>")
    return Drawing(element("g", "".join(drawn), class_="words"), f'<div class="words">{"".join(html)}</div>')


def draw_unknown(canvas: Canvas, what: str) -> Drawing:
    """Draw a box that says what is missing, which nobody can take for data."""
    width, height = canvas.width, canvas.height
    words = f"The preview cannot draw {what}."
    frame = element(
        "rect",
        x=1,
        y=1,
        width=width - 2,
        height=height - 2,
        fill="none",
        stroke="var(--orange)",
        stroke_width=2,
        stroke_dasharray="8 6",
    )
    shown = shortened(words, width - 20, 14)
    said = text(width / 2, height / 2, shown, size=14, fill="var(--orange)", anchor="middle")
    return Drawing(element("g", frame + said, class_="state-unknown"))
