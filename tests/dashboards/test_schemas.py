"""The files fit the official descriptions of their formats, where those are at hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # comes with great-expectations, its stubs do not
import pytest
import yaml

import dashboards
from orchestration.paths import PROJECT_ROOT

SCHEMAS = PROJECT_ROOT.parent / "shared" / "schemas"

Json = dict[str, Any]


def _file(name: str) -> Path:
    path = SCHEMAS / name
    if not path.is_file():
        pytest.skip(f"SKIPPED: {name} is not in ../shared/schemas")
    return path


@cache
def _datadog_schemas(path: Path) -> Json:
    """The components' schemas, ``nullable`` of OpenAPI 3.0 turned into JSON Schema."""
    document = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    schemas: Json = {"components": {"schemas": document["components"]["schemas"]}}
    _allow_null(schemas)
    return schemas


def _allow_null(node: Any) -> None:
    if isinstance(node, dict):
        if node.get("nullable") is True and isinstance(node.get("type"), str):
            node["type"] = [node["type"], "null"]
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            _allow_null(child)


def _unknown_keys(value: Any, schema: Json, schemas: Json, path: str = "") -> Iterator[str]:
    """Walk a value along its schema: the models of the API's own clients let unknown keys pass."""
    if "$ref" in schema:
        schema = schemas["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if isinstance(value, dict) and "properties" in schema:
        for key, child in value.items():
            if key not in schema["properties"]:
                yield f"{path}.{key}"
            else:
                yield from _unknown_keys(child, schema["properties"][key], schemas, f"{path}.{key}")


def _monitors() -> dict[str, Json]:
    return {file: json.loads(text) for file, text in dashboards.generate().items() if "/monitors/" in file}


def _problems(monitor: Json, schemas: Json) -> list[str]:
    reference = {"$ref": "#/components/schemas/Monitor"}
    validator = jsonschema.Draft7Validator(schemas | reference)
    return [
        *(error.message for error in validator.iter_errors(monitor)),
        *_unknown_keys(monitor, reference, schemas),
    ]


@pytest.mark.parametrize("file", sorted(_monitors()))
def test_monitor_fits_datadogs_openapi_document(file: str) -> None:
    """The API takes it: types, enumerations, and no key it does not know."""
    schemas = _datadog_schemas(_file("datadog-v1-openapi.yaml"))

    assert _problems(_monitors()[file], schemas) == []


def test_broken_monitor_does_not_fit_datadogs_openapi_document() -> None:
    """The check above can fail: on a type, an enumeration, a key, and what is inside the options."""
    schemas = _datadog_schemas(_file("datadog-v1-openapi.yaml"))
    monitor = _monitors()["datadog/monitors/double_booking.json"]

    assert _problems(monitor | {"type": "metric alarm"}, schemas)
    assert _problems(monitor | {"priority": "high"}, schemas)
    assert _problems(monitor | {"querry": "x"}, schemas)
    assert _problems(monitor | {"options": {"thresholds": {"critical": "2"}}}, schemas)
    assert _problems(monitor | {"options": {"thresholds": {"crit": 2}}}, schemas)
