"""The docs as a site: it builds without a warning, loads nothing from a network, and can be searched without one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

from tests.docs.pages import DOCS, ROOT

NOWHERE = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
CHROMIUM = shutil.which("chromium")


class Page(HTMLParser):
    """What a page of the site links to and loads, which anchors it has, and its paragraphs without code."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.text = ""
        self._code = self._paragraph = 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        self.anchors |= {known[name] for name in ("id", "name") if name in known}
        if tag == "a" and "href" in known:
            self.links.append(known["href"])
        elif tag == "link" and known.get("rel") != "canonical":
            self.loads.append(known["href"])
        elif "src" in known:
            self.loads.append(known["src"])
        self._code += tag in ("code", "pre", "script")
        self._paragraph += tag == "p"

    def handle_endtag(self, tag: str) -> None:
        self._code -= tag in ("code", "pre", "script")
        self._paragraph -= tag == "p"

    def handle_data(self, data: str) -> None:
        self.text += data if self._paragraph and not self._code else ""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs-site` does, with no way to a network."""
    directory = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(DOCS / "site" / "mkdocs.yml")]
    built = subprocess.run(
        [*command, "--site-dir", str(directory)],
        env=os.environ | NOWHERE | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    return directory


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    """Every page of the site."""
    return {path: Page(path) for path in site.rglob("*.html") if path.name != "404.html"}


def test_site_has_every_page(pages: dict[Path, Page], site: Path) -> None:
    """Each Markdown file of docs/, and those beside it."""
    sources = {path.relative_to(DOCS) for path in DOCS.rglob("*.md")}
    expected = {
        path.parent / "index.html" if path.name == "README.md" else path.with_suffix(".html") for path in sources
    }
    beside = {Path("project") / f"{name}.html" for name in ("readme", "contributing", "changelog", "dashboards")}

    assert {path.relative_to(site) for path in pages} == expected | beside


def test_links_lead_somewhere_within_the_site(pages: dict[Path, Page]) -> None:
    """Files and headings, as the browser finds them; none leads out into the checkout."""
    dead = []
    for path, page in pages.items():
        for link in page.links:
            if urlsplit(link).scheme:
                continue
            target, anchor = urldefrag(link)
            there = (path.parent / unquote(target)).resolve() if target else path
            anchors = pages[there].anchors if there in pages else set()
            if not there.is_file() or (anchor and unquote(anchor) not in anchors):
                dead.append(f"{path.name}: {link}")

    assert dead == []


def test_nothing_is_loaded_from_a_network(pages: dict[Path, Page]) -> None:
    """No font, script, style or picture of another host."""
    assert [load for page in pages.values() for load in page.loads if urlsplit(load).netloc] == []
    assert any("iframe-worker" in load for page in pages.values() for load in page.loads)


def test_lists_and_fences_are_read_as_on_a_git_host(pages: dict[Path, Page]) -> None:
    """No page shows Markdown that was not understood."""
    odd = re.compile(r"```.*|^\d+\. .*|^- .*|\]\(.*", re.MULTILINE)
    left = {path.name: odd.findall(page.text) for path, page in pages.items()}

    assert {name: found for name, found in left.items() if found} == {}


@pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium")
def test_search_works_in_pages_that_are_opened_as_files(site: Path, tmp_path: Path) -> None:
    """Without a server, where browsers refuse the search its worker."""
    assert CHROMIUM is not None
    shown = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}",
         "--virtual-time-budget=20000", "--dump-dom", f"{(site / 'index.html').as_uri()}?q=grandfather"],
        env=os.environ | NOWHERE, capture_output=True, text=True, check=True, timeout=120,
    ).stdout  # fmt: skip

    assert re.search(r"md-search-result__meta\">\d+ matching documents", shown)
    assert "holds.html" in re.findall(r'href="[^"]*?([\w-]+\.html)[^"]*" class="md-search-result__link"', shown)
