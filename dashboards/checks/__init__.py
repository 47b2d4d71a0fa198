"""Checks of the files that ops load: are they current, sound, and do their queries run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dashboards.checks.findings import Finding
from dashboards.checks.lint import lint_dashboard
from dashboards.checks.monitors import lint_monitor
from dashboards.checks.queries import QueryReport, QueryRun, run_queries
from dashboards.files import DASHBOARDS_DIR, differences

__all__ = ["Finding", "QueryReport", "QueryRun", "check_files", "load", "run_queries"]


def check_files(directory: Path | None = None, runbooks: Path | None = None) -> list[Finding]:
    """Compare the files with what would be generated, and lint them.

    Args:
        directory: The folder that holds ``grafana/`` and ``datadog/``; the package's own where it is None.
        runbooks: The folder of the runbooks; None leaves the links' targets unchecked.

    Raises:
        DashboardsExtraMissingError: The extra ``dashboards`` is not installed.
    """
    target = DASHBOARDS_DIR if directory is None else directory
    findings = []
    for difference in differences(target):
        file, _, how = difference.partition(": ")
        findings.append(
            Finding("not-regenerated", file, "", f"It {how}.", "Run holdwatch dashboards build, and commit the files.")
        )
    dashboards, unreadable = load(target, "grafana")
    monitors, unreadable_monitors = load(target, "datadog/monitors")
    findings += [*unreadable, *unreadable_monitors]
    uids: dict[str, str] = {}
    for file, dashboard in dashboards.items():
        findings += lint_dashboard(file, dashboard, runbooks)
        uid = str(dashboard.get("uid"))
        if uid in uids:
            findings.append(Finding("duplicate-uid", file, "", f"{uids[uid]} has its uid.", "Give it one of its own."))
        uids.setdefault(uid, file)
    for file, monitor in monitors.items():
        findings += lint_monitor(file, monitor, runbooks)
    return findings


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
