"""Has Prometheus and Alertmanager judge their own files: promtool reads and tests the rules, amtool the routes."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from dashboards.checks.check import CheckResult, Material, counted
from dashboards.checks.findings import Finding

INSTALL_PROMTOOL = "apt-get install prometheus"
INSTALL_AMTOOL = "apt-get install prometheus-alertmanager"

_REMEDY = "Correct it in generators/prometheus.py, and build the files again."
_FAILED_TEST = re.compile(
    r"(?:name: (?P<name>.+?),\s+)?alertname: (?P<rule>\w+), time: (?P<time>\w+),\s+exp:(?P<rest>.+?)(?=\n +name: |\Z)",
    re.DOTALL,
)
_TIMEOUT_SECONDS = 120
_LONGEST = 400
"""Characters of a program's message that people still read."""


def check_rules(material: Material) -> CheckResult:
    """Check the rules and the example configuration, and run the rules' unit tests."""
    if shutil.which("promtool") is None:
        return CheckResult.skip("promtool is not installed.", INSTALL_PROMTOOL)
    folder = material.directory / "prometheus"
    rules, tests = sorted((folder / "rules").glob("*.yaml")), sorted((folder / "tests").glob("*.yaml"))
    config = folder / "scrape.yaml"
    findings = []
    for path in rules:
        if (said := _complaint(path, "promtool", "check", "rules")) is not None:
            findings.append(_finding(material, path, said))
    if (said := _complaint(config, "promtool", "check", "config")) is not None:
        findings.append(_finding(material, config, said))
    if not findings:  # else every test would say the same again
        for path in tests:
            if (said := _complaint(path, "promtool", "test", "rules")) is not None:
                findings += list(_failed_tests(material, path, said))
    return CheckResult(findings, f"{counted(len(rules), 'file')} of rules, {len(tests)} of tests")


def check_routes(material: Material) -> CheckResult:
    """Check the example of Alertmanager's configuration."""
    if shutil.which("amtool") is None:
        return CheckResult.skip("amtool is not installed.", INSTALL_AMTOOL)
    config = material.directory / "prometheus" / "alertmanager.yaml"
    said = _complaint(config, "amtool", "check-config")
    return CheckResult([] if said is None else [_finding(material, config, said)], "1 file")


def _complaint(path: Path, *command: str) -> str | None:
    """Return what the program says of the file where it does not accept it."""
    done = subprocess.run(
        [*command, path.name], cwd=path.parent, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
    )
    return None if done.returncode == 0 else f"{done.stdout}\n{done.stderr}"


def _failed_tests(material: Material, path: Path, said: str) -> Iterator[Finding]:
    failed = list(_FAILED_TEST.finditer(said))
    for match in failed:
        got = " ".join(match["rest"].split())
        yield _finding(
            material, path, f"It expects {got}", f"{match['name'] or '(no name)'}, {match['rule']} at {match['time']}"
        )
    if not failed:
        yield _finding(material, path, said)


def _finding(material: Material, path: Path, said: str, place: str = "") -> Finding:
    text = " ".join(line.strip() for line in said.splitlines() if line.strip() and "SUCCESS" not in line)
    problem = text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"
    return Finding(
        "prometheus", path.relative_to(material.directory).as_posix(), place, f"{problem.rstrip('.')}.", _REMEDY
    )
