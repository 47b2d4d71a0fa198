"""Whether every runbook link leads to a heading that exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from dashboards.anchors import anchor
from dashboards.checks.check import CheckResult, Material, counted
from dashboards.checks.findings import Finding
from dashboards.files import GENERATED_FOLDERS
from dashboards.settings import RUNBOOKS_VARIABLE, runbooks_url

VARIABLE = "${runbooks}"
"""What a dashboard's link may begin with instead: its variable that says where the runbooks are."""

_SUFFIXES = {".json", ".yaml", ".yml"}
_LINK = re.compile(
    rf"(?P<base>https?://[^\s\"'<>()#]+|{re.escape(VARIABLE)})/(?P<page>[\w-]+\.md)(?:#(?P<anchor>[\w-]+))?"
)
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def check_runbooks(material: Material) -> CheckResult:
    """Follow every link of every file, whatever its format."""
    if material.runbooks is None:
        return CheckResult.skip("docs/runbooks is not here.", "holdwatch dashboards check, in a checkout")
    pages = {path.name: anchors(path.read_text(encoding="utf-8")) for path in sorted(material.runbooks.glob("*.md"))}
    published = runbooks_url()
    findings = []
    links = 0
    for path in _files(material.directory):
        file = path.relative_to(material.directory).as_posix()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            for match in _LINK.finditer(line):
                links += 1
                if match["base"] not in (published, VARIABLE):
                    problem = f"{match[0]} is not below {published}."
                    remedy = f"Set {RUNBOOKS_VARIABLE} to where the runbooks are, and build again."
                    findings.append(Finding("foreign-runbook", file, f"line {number}", problem, remedy))
                elif dead := _why_dead(match["page"], match["anchor"], pages):
                    remedy = "Write the page, or correct the link."
                    findings.append(Finding("dead-runbook", file, f"line {number}", dead, remedy))
    return CheckResult(findings, counted(links, "link"))


def anchors(markdown: str) -> set[str]:
    """Return the anchors of a page's headings."""
    return {anchor(heading) for heading in _HEADING.findall(_FENCE.sub("", markdown))}


def _files(directory: Path) -> Iterator[Path]:
    for folder in GENERATED_FOLDERS:
        yield from sorted(path for path in (directory / folder).rglob("*") if path.suffix in _SUFFIXES)


def _why_dead(page: str, heading: str | None, pages: dict[str, set[str]]) -> str | None:
    if page not in pages:
        return f"There is no page {page}."
    if heading is None:
        return f"The link to {page} names no heading."
    return None if heading in pages[page] else f"{page} has no heading #{heading}."
