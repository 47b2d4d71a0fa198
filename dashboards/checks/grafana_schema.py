"""Holds dashboards and alerting to the JSON Schemas that the SDK's repository publishes: the SDK validates nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dashboards.checks.alerting import FOLDER, rules_of
from dashboards.checks.check import CheckResult, Material, counted
from dashboards.checks.findings import Finding
from dashboards.checks.loading import load, load_yaml

DASHBOARD_SCHEMA = "dashboard.jsonschema.json"
ALERTING_SCHEMA = "alerting.jsonschema.json"
_LONGEST = 300

Json = dict[str, Any]


def check_schema(material: Material) -> CheckResult:
    """Validate every dashboard, every alert rule and the notification policies."""
    paths = [material.schema(name) for name in (DASHBOARD_SCHEMA, ALERTING_SCHEMA)]
    if None in paths:
        return CheckResult.skip(
            f"{DASHBOARD_SCHEMA} or {ALERTING_SCHEMA} is not in the folder of the schemas.",
            "take both from grafana/grafana-foundation-sdk (tag 0.0.18, jsonschema/), name their folder by --schemas",
        )
    try:
        import jsonschema  # type: ignore[import-untyped]  # noqa: PLC0415  comes with great-expectations
    except ModuleNotFoundError:
        return CheckResult.skip("jsonschema is not installed.", "pip install jsonschema")
    dashboard_schema, alerting_schema = (_read(path) for path in paths if path is not None)
    # Two fields may be of any type, which the schema's generator wrote as "object"; the SDK itself puts strings there.
    dashboard_schema["definitions"]["MatcherConfig"]["properties"]["options"] = {}
    dashboard_schema["definitions"]["DynamicConfigValue"]["properties"]["value"] = {}
    dashboards, findings = load(material.directory, "grafana")
    alerting, unreadable = load_yaml(material.directory, FOLDER)
    findings += unreadable
    things = [
        *((file, "", dashboard, dashboard_schema) for file, dashboard in dashboards.items()),
        *(
            (file, place, value, alerting_schema | {"$ref": f"#/definitions/{name}"})
            for file, content in alerting.items()
            for place, name, value in _alerting(content)
        ),
    ]
    for file, place, value, schema in things:
        for error in jsonschema.Draft7Validator(schema).iter_errors(value):
            problem = error.message if len(error.message) <= _LONGEST else f"{error.message[:_LONGEST]} …"
            where = f"{place}, {error.json_path}" if place else error.json_path
            findings.append(Finding("grafana-schema", file, where, f"{problem}.", "Correct it in the generator."))
    rules = len(things) - len(dashboards)
    return CheckResult(findings, f"{counted(len(dashboards), 'dashboard')}, {rules} alert rules and policies")


def _alerting(content: Json) -> Iterator[tuple[str, str, Json]]:
    """Return place, name and value of what the schema knows, in the shapes of the HTTP API: nearly the files'."""
    for rule in rules_of(content):
        said = {key: value for key, value in rule.items() if key not in ("dashboardUid", "panelId")}
        # What the API has on each rule, the file has on the group.
        yield f"rule {rule.get('uid')}", "Rule", said | {"orgID": 1, "folderUID": "holdwatch", "ruleGroup": "holdwatch"}
    for policy in content.get("policies") or []:
        said = {key: value for key, value in policy.items() if key != "orgId"}
        yield "policy", "NotificationPolicy", said


def _read(path: Path) -> Json:
    schema: Json = json.loads(path.read_text(encoding="utf-8"))
    return schema
