"""What MkDocs does otherwise than a Git host, made up for: the pages are written once, for both."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from posixpath import dirname, join, normpath, relpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from dashboards.anchors import anchor

ROOT = Path(__file__).resolve().parents[2]

PAGES_BESIDE = {
    "README.md": "project/readme.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changelog.md",
    "dashboards/README.md": "project/dashboards.md",
}
"""Pages of the repository outside of docs/, and where the site has them."""

_FENCE = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s#]*)(#[^()\s]*)?\)")
_ENTRY = re.compile(r"(?:\d+\.|-) ")
_INDENT = 4
"""How far Python-Markdown wants the rest of a list's entry; CommonMark takes the width of its marker."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Give headings the anchors that GitHub gives them."""
    config.mdx_configs["toc"] = {"slugify": lambda heading, separator: anchor(heading), "permalink": True}
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Take in the pages that are outside of docs/, and the decisions in their order."""
    for path, uri in PAGES_BESIDE.items():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / path)))
    decisions = sorted(file.src_uri for file in files.documentation_pages() if file.src_uri.startswith("adr/0"))
    config.nav = [
        {"Decisions": ["adr/README.md", *decisions]} if item == {"Decisions": "adr"} else item
        for item in config.nav or []
    ]
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links lead to where the site has their target, and lists be read as they are on a Git host."""
    pieces = _FENCE.split(markdown)
    pieces[::2] = (_LINK.sub(lambda link: _relinked(link, page.file.src_uri), piece) for piece in pieces[::2])
    return "\n".join(_reindented("".join(pieces).splitlines())) + "\n"


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Let the search say what it is to whoever does not see it, and the keyboard reach what is wider than its place."""
    labelled = output.replace('role="dialog"', 'role="dialog" aria-label="Search"')
    return labelled.replace("<pre><span></span><code>", '<pre><span></span><code tabindex="0">')


def _relinked(link: re.Match[str], uri: str) -> str:
    mark, words, target, anchor = link.groups()
    if not target or "://" in target or target.startswith("mailto:"):
        return link[0]
    beside = {site: path for path, site in PAGES_BESIDE.items()}
    path = normpath(join(dirname(beside.get(uri, f"docs/{uri}")), target))
    if (ROOT / path).is_dir() and (ROOT / path / "README.md").is_file():
        path = join(path, "README.md")
    if path in PAGES_BESIDE:
        there = PAGES_BESIDE[path]
    elif path.startswith("docs/"):
        there = path.removeprefix("docs/")
    elif (ROOT / path).exists():
        return words  # source, which the site does not have
    else:
        return link[0]  # dead: let MkDocs say so
    return f"{mark}[{words}]({relpath(there, dirname(uri) or '.')}{anchor or ''})"


def _reindented(lines: list[str]) -> Iterator[str]:
    width = 0
    is_in_fence = False
    has_paragraphs = False
    before = ""
    for line in lines:
        if line.startswith("```"):
            is_in_fence = not is_in_fence
        entry = None if is_in_fence else _ENTRY.match(line)
        if entry is not None:
            if before.strip() and (not width or has_paragraphs):
                yield ""  # an entry ends a paragraph
            width = len(entry[0])
            has_paragraphs = False
        elif line.strip() and not line.startswith(" "):
            width = 0
        has_paragraphs |= not line.strip()
        before = line
        yield " " * _INDENT + line[width:] if width and line.startswith(" " * width) else line
