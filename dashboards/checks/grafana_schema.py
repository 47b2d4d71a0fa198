"""Holds the dashboards to the JSON Schema that the SDK's repository publishes: the SDK itself validates nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dashboards.checks.check import CheckResult, Material, counted
from dashboards.checks.findings import Finding
from dashboards.checks.loading import load

SCHEMA = "dashboard.jsonschema.json"
_LONGEST = 300

Json = dict[str, Any]


def check_schema(material: Material) -> CheckResult:
    """Validate every dashboard."""
    path = material.schema(SCHEMA)
    if path is None:
        return CheckResult.skip(
            f"There is no {SCHEMA} in the folder of the schemas.",
            "take it from grafana/grafana-foundation-sdk (tag 0.0.18, jsonschema/), and name its folder by --schemas",
        )
    try:
        import jsonschema  # type: ignore[import-untyped]  # noqa: PLC0415  comes with great-expectations
    except ModuleNotFoundError:
        return CheckResult.skip("jsonschema is not installed.", "pip install jsonschema")
    validator = jsonschema.Draft7Validator(_schema(path))
    dashboards, findings = load(material.directory, "grafana")
    for file, dashboard in dashboards.items():
        for error in validator.iter_errors(dashboard):
            problem = error.message if len(error.message) <= _LONGEST else f"{error.message[:_LONGEST]} …"
            findings.append(
                Finding("grafana-schema", file, error.json_path, f"{problem}.", "Correct it in the generator.")
            )
    return CheckResult(findings, counted(len(dashboards), "dashboard"))


def _schema(path: Path) -> Json:
    schema: Json = json.loads(path.read_text(encoding="utf-8"))
    # Two fields may be of any type, which the schema's generator wrote as "object"; the SDK itself puts strings there.
    schema["definitions"]["MatcherConfig"]["properties"]["options"] = {}
    schema["definitions"]["DynamicConfigValue"]["properties"]["value"] = {}
    return schema
