"""Reads the files that are checked; one that cannot be read is a finding."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dashboards.checks.findings import Finding


def load(directory: Path, folder: str) -> tuple[dict[str, dict[str, Any]], list[Finding]]:
    """Return the parsed ``*.json`` of a folder, by path below ``directory``, and a finding for each unreadable one."""
    parsed: dict[str, dict[str, Any]] = {}
    findings = []
    for path in sorted((directory / folder).glob("*.json")):
        file = path.relative_to(directory).as_posix()
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            findings.append(Finding("unreadable", file, "", f"It is no JSON: {error}.", "Build it again."))
            continue
        if isinstance(content, dict):
            parsed[file] = content
        else:
            findings.append(Finding("unreadable", file, "", "It is no JSON object.", "Build it again."))
    return parsed, findings
