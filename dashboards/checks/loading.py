"""Reads the files that are checked; one that cannot be read is a finding."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dashboards.checks.findings import Finding


def load(directory: Path, folder: str) -> tuple[dict[str, dict[str, Any]], list[Finding]]:
    """Return the parsed ``*.json`` of a folder, by path below ``directory``, and a finding for each unreadable one."""
    return _load(directory, folder, "*.json", "JSON", json.loads, ValueError)


def load_yaml(directory: Path, folder: str) -> tuple[dict[str, dict[str, Any]], list[Finding]]:
    """Return the same of the ``*.yaml`` of a folder."""
    import yaml  # noqa: PLC0415  of the extra, which commands that load nothing do without

    return _load(directory, folder, "*.yaml", "YAML", yaml.safe_load, yaml.YAMLError)


def _load(
    directory: Path, folder: str, pattern: str, language: str, read: Callable[[str], Any], unreadable: type[Exception]
) -> tuple[dict[str, dict[str, Any]], list[Finding]]:
    parsed: dict[str, dict[str, Any]] = {}
    findings = []
    for path in sorted((directory / folder).glob(pattern)):
        file = path.relative_to(directory).as_posix()
        try:
            content = read(path.read_text(encoding="utf-8"))
        except (UnicodeDecodeError, unreadable) as error:
            said = " ".join(str(error).split())
            findings.append(Finding("unreadable", file, "", f"It is no {language}: {said}.", "Build it again."))
            continue
        if isinstance(content, dict):
            parsed[file] = content
        else:
            findings.append(Finding("unreadable", file, "", f"It is no {language} object.", "Build it again."))
    return parsed, findings
