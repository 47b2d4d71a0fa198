"""Whether the files are what the catalogue generates."""

from __future__ import annotations

from dashboards.checks.check import CheckResult, Material, counted
from dashboards.checks.findings import Finding
from dashboards.files import DASHBOARDS_DIR, differences, generate


def check_generated(material: Material) -> CheckResult:
    """Compare every file with what would be generated; in the project itself, dbt's models of the alerts too.

    Raises:
        DashboardsExtraMissingError: The extra ``dashboards`` is not installed.
    """
    is_project = material.directory == DASHBOARDS_DIR
    findings = []
    for difference in differences(None if is_project else material.directory):
        file, _, how = difference.partition(": ")
        findings.append(
            Finding("not-regenerated", file, "", f"It {how}.", "Run holdwatch dashboards build, and commit the files.")
        )
    return CheckResult(findings, counted(len(generate()), "file"))
