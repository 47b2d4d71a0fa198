"""Writes SVG, and knows how wide texts are in the pictures' font: Liberation Sans, as wide as Arial and Helvetica."""

from __future__ import annotations

from html import escape

FONT = "Inter, 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif"
"""What a browser is to take; for pictures there is Liberation Sans, which comes with vl-convert."""

# Of the characters from the blank to the tilde, in thousandths of the font's size; those of Helvetica's own metrics.
_HELVETICA = """
278 278 355 556 556 889 667 222 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556 556 556 278 278 584
584 584 556 1015 667 667 722 722 667 611 778 722 278 500 667 556 833 722 778 667 778 722 667 611 722 667 944 667 667
611 278 278 278 469 556 222 556 556 500 556 556 278 556 556 222 222 500 222 833 556 556 556 556 333 500 278 556 500
722 500 500 500 334 260 334 584
"""
_WIDTHS = tuple(map(int, _HELVETICA.split()))
_OTHER_WIDTH = 700
_BOLD = 1.07


def text_width(text: str, size: float, *, is_bold: bool = False) -> float:
    """Return the width in pixels."""
    width = sum(_WIDTHS[ord(one) - 32] if 32 <= ord(one) < 127 else _OTHER_WIDTH for one in text)
    return width * size / 1000 * (_BOLD if is_bold else 1)


def shortened(text: str, width: float, size: float, *, is_bold: bool = False) -> str:
    """Return as much of the text as fits, an ellipsis at the end of what does not."""
    if text_width(text, size, is_bold=is_bold) <= width:
        return text
    kept = text
    while kept and text_width(f"{kept}…", size, is_bold=is_bold) > width:
        kept = kept[:-1]
    return f"{kept.rstrip()}…" if kept else ""


def wrapped(text: str, width: float, size: float) -> list[str]:
    """Break a text into lines that fit, at blanks where it has any."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}" if line else word
            if line and text_width(longer, size) > width:
                lines.append(line)
                line = word
            else:
                line = longer
        lines.append(line)
    return [shortened(line, width, size) for line in lines]


def attributes(**values: object) -> str:
    """Write attributes; ``_`` stands for ``-``, a trailing one is dropped, and None leaves one out."""
    return "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(_plain(value))}"'
        for name, value in values.items()
        if value is not None
    )


def element(name: str, content: str = "", **values: object) -> str:
    """Write an element whose content is SVG already."""
    return f"<{name}{attributes(**values)}>{content}</{name}>" if content else f"<{name}{attributes(**values)}/>"


def text(
    x: float,
    y: float,
    content: str,
    *,
    size: float = 12,
    fill: str = "var(--text)",
    anchor: str | None = None,
    is_bold: bool = False,
    **values: object,
) -> str:
    """Write a text; ``y`` is its base line."""
    return element(
        "text",
        escape(content),
        x=x,
        y=y,
        font_size=size,
        fill=fill,
        text_anchor=anchor,
        font_weight=500 if is_bold else None,
        **values,
    )


def tooltip(content: str) -> str:
    """What a browser shows where the mouse rests."""
    return element("title", escape(content))


def document(width: float, height: float, content: str, *, label: str) -> str:
    """Write a whole SVG with a name for who does not see it."""
    return element(
        "svg",
        content,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_plain(width)} {_plain(height)}",
        width=width,
        height=height,
        role="img",
        aria_label=label,
        font_family=FONT,
    )


def _plain(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
