"""Checks of the files that ops load: are they current, sound, and do their queries run."""

from dashboards.checks.check import Check, CheckResult, Material, Skipped
from dashboards.checks.findings import Finding
from dashboards.checks.registry import CHECKS

__all__ = ["CHECKS", "Check", "CheckResult", "Finding", "Material", "Skipped"]
