"""Writes the page: every dashboard in one HTML file that loads nothing and runs nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from pathlib import Path

from dashboards.preview.asking import BoardAnswer
from dashboards.preview.board import Json, fill_in
from dashboards.preview.colours import DARK, LIGHT, colour
from dashboards.preview.layout import MARGIN, Drawn
from dashboards.preview.panels import SHADE
from dashboards.preview.svg import document

_STYLE = Path(__file__).with_name("page.css")

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""What a browser is told: nothing is loaded, nothing runs, whatever a database's texts may hold."""


def html_page(boards: list[tuple[BoardAnswer, list[Drawn]]], width: int, title: str) -> str:
    """Write the page.

    Args:
        boards: What each dashboard shows, and its panels as they are drawn.
        width: The widest that the page gets; on a narrow screen panels stand below each other.
        title: In the browser's tab, and on top.
    """
    uids = {answer.board.uid for answer, _ in boards}
    links = "".join(f'<a href="#{escape(answer.board.uid)}">{escape(answer.board.title)}</a>' for answer, _ in boards)
    asked = min(answer.asked_at for answer, _ in boards)
    sections = "".join(_section(answer, drawn, uids) for answer, drawn in boards)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(title)}</title>\n'
        f"<style>\n{_variables(width)}{_STYLE.read_text('utf-8')}</style>\n</head>\n<body>\n"
        f'<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs>{SHADE}</defs></svg>\n'
        f"<nav><strong>{escape(title)}</strong>{links}<span>as of {asked:%Y-%m-%d %H:%M:%S} UTC</span></nav>\n"
        f"<main>\n{sections}</main>\n</body>\n</html>\n"
    )


def _variables(width: int) -> str:
    def written(theme: Mapping[str, str]) -> str:
        return " ".join(f"--{name}: {value};" for name, value in theme.items())

    return (
        f":root {{ --page: {width + MARGIN}px; {written(DARK)} }}\n"
        f"@media (prefers-color-scheme: light) {{ :root {{ {written(LIGHT)} }} }}\n"
    )


def _section(answer: BoardAnswer, drawn: list[Drawn], uids: set[str]) -> str:
    board = answer.board
    chips = [f"<li><span>{escape(label)}</span>{escape(value)}</li>" for label, value in answer.chosen.items()]
    chips.append(f"<li><span>Time range (UTC)</span>{escape(str(answer.range))}</li>")
    for name, ink in {one.name: one.colour for one in answer.annotations}.items():
        count = sum(one.name == name for one in answer.annotations)
        chips.append(f'<li><i style="border-color:{escape(colour(ink))}"></i>{escape(name)} ({count})</li>')
    links = "".join(f"<li>{_link(link, answer, uids)}</li>" for link in board.links if link.get("url"))
    problems = "".join(f"<li>{escape(one)}</li>" for one in answer.problems)
    return (
        f'<section id="{escape(board.uid)}">\n<h1>{escape(board.title)}</h1>\n'
        f'<p class="lead">{escape(board.description)}</p>\n'
        f'<ul class="chips">{"".join(chips)}{links}</ul>\n'
        + (f'<ul class="problems">{problems}</ul>\n' if problems else "")
        + f'<div class="grid">\n{"".join(_panel(one, answer, uids) for one in drawn)}</div>\n</section>\n'
    )


def _panel(one: Drawn, answer: BoardAnswer, uids: set[str]) -> str:
    x, y, width, height = one.panel.at
    place = f'style="grid-area:{y + 1}/{x + 1}/span {height}/span {width}"'
    if one.drawing is None:
        return f'<div class="row" {place}><h2>▾ {escape(one.title)}</h2></div>\n'
    about = one.panel.description
    body = one.drawing.html
    if body is None:
        body = document(one.content.width, one.content.height, one.drawing.svg, label=one.title)
    return (
        f'<article class="panel" {place} data-panel="{one.panel.id}"><header>'
        f'<h3 title="{escape(one.title)}">{escape(one.title)}</h3>'
        + (
            f'<details class="about"><summary title="{escape(about)}" aria-label="What this shows">i</summary>'
            f"<p>{escape(about)}</p></details>"
            if about
            else ""
        )
        + "".join(_link(link, answer, uids) for link in one.panel.links)
        + (f'<span class="own">{escape(one.own_range)}</span>' if one.own_range else "")
        + f'</header><div class="body">{body}</div></article>\n'
    )


def _link(link: Json, answer: BoardAnswer, uids: set[str]) -> str:
    """Write a link to a page on the web, or to a dashboard on this page; others lead nowhere here, and are words."""
    title = escape(str(link.get("title") or "link"))
    url = fill_in(str(link.get("url") or ""), answer.values)
    inside = re.match(r"/d/([\w-]+)", url)
    if inside and inside[1] in uids:
        return f'<a href="#{escape(inside[1])}">{title}</a>'
    if url.startswith(("https://", "http://")):
        return f'<a href="{escape(url)}" target="_blank" rel="noopener noreferrer">{title}</a>'
    return f"<span>{title}</span>"
