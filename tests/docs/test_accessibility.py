"""Pages can be read by who does not see them: headings in order, tables with headers, pictures in words."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, all_pages, without_code

_HEADING = re.compile(r"^(#+) ", re.MULTILINE)
_PICTURE = re.compile(r"!\[([^\]]*)\]\(([^()\s]+)\)")
_TABLE_HEAD = re.compile(r"^(\|.*\|)\n\|(?: *:?-+:? *\|)+$", re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\([^()]+\)")
_SAYS_NOTHING = {"", "here", "click here", "link", "this", "more", "this page"}


def faults(page: Path) -> list[str]:
    """Return what of a page cannot be told without eyes."""
    text = re.sub(r"<!--.*?-->", "", without_code(page), flags=re.DOTALL)
    found = []
    levels = [len(marks) for marks in _HEADING.findall(text)]
    if levels[:1] != [1] or levels.count(1) != 1:
        found.append("not one title, first of all")
    found += [
        f"a heading of level {now} under {before}" for before, now in itertools.pairwise(levels) if now > before + 1
    ]
    found += [
        f"a picture in too few words: {target}" for words, target in _PICTURE.findall(text) if len(words.split()) < 8
    ]
    found += [f"a column without a name: {head}" for head in _TABLE_HEAD.findall(text) if "" in _cells(head)]
    found += [
        f"a link that does not say where to: {words}" for words in _LINK.findall(text) if words.lower() in _SAYS_NOTHING
    ]
    return found


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


@pytest.mark.parametrize("page", all_pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_page_is_told_without_eyes(page: Path) -> None:
    """What a screen reader goes by is there."""
    assert faults(page) == []


def test_faults_are_found(tmp_path: Path) -> None:
    """The check does find what it is for."""
    page = tmp_path / "page.md"
    page.write_text("## Here\n#### There\n![a plot](a.png) [here](a.md)\n\n| a | |\n| --- | ---: |\n| 1 | |\n")

    assert len(faults(page)) == 5
