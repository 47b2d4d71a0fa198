"""Every relative link of every Markdown file leads to a file or folder, and to a heading that is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dashboards.checks.runbooks import anchors
from tests.docs.pages import ROOT, all_pages, without_code

LINK = re.compile(r"\]\(([^()\s]+)\)")
PAGES = all_pages()


def dead_links(page: Path) -> list[str]:
    """Return the links of a page that lead nowhere."""
    dead = []
    for link in LINK.findall(without_code(page)):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        path = page.parent / target if target else page
        known = anchors(path.read_text(encoding="utf-8")) if path.suffix == ".md" and path.is_file() else set()
        if not path.exists() or (anchor and anchor not in known):
            dead.append(link)
    return dead


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Files, folders and headings, as a Git host finds them."""
    assert dead_links(page) == []


def test_dead_links_are_found(tmp_path: Path) -> None:
    """The check does find what it is for."""
    (tmp_path / "other.md").write_text("# There\n")
    page = tmp_path / "page.md"
    page.write_text(
        "# Here\n[a](other.md#there) [b](other.md#gone) [c](gone.md) [d](#here) [e](#gone)\n```\n[f](gone)\n```\n"
    )

    assert dead_links(page) == ["other.md#gone", "gone.md", "#gone"]


def test_pages_are_many() -> None:
    """All of them are looked at."""
    assert {ROOT / "README.md", ROOT / "dashboards" / "README.md", ROOT / "docs" / "index.md"} <= set(PAGES)
