"""Datadog's files against Datadog's own description of its API: types, enumerations, and no key that it does not know.

The API's clients check nothing of the kind, and neither does the API of every key: a misspelt option is dropped without
a word. The documents are Datadog's, large, and no part of this project.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from dashboards.checks.check import CheckResult, Material
from dashboards.checks.findings import Finding
from dashboards.checks.loading import load

V1 = "datadog-v1-openapi.yaml"
V2 = "datadog-v2-openapi-2.50.yaml"

SOURCE = "https://raw.githubusercontent.com/DataDog/datadog-api-client-python/2.50.0/.generator/schemas"
"""Where the documents are published; the tag is that of the client."""

INSTALL = (
    f"mkdir -p ../shared/schemas && curl -fsSL {SOURCE}/v1/openapi.yaml -o ../shared/schemas/{V1} && "
    f"curl -fsSL {SOURCE}/v2/openapi.yaml -o ../shared/schemas/{V2}"
)

_SCHEMAS = {
    "datadog/monitors": "Monitor",
    "datadog/dashboards": "Dashboard",
    "datadog/slos": "ServiceLevelObjectiveRequest",
}
"""The schema of the body of the call that creates what is in a folder; all of version 1."""

Json = dict[str, Any]


class OpenApi:
    """The schemas of an OpenAPI 3.0 document."""

    def __init__(self, document: Json) -> None:
        from openapi_schema_validator import OAS30Validator  # noqa: PLC0415  for developing

        self.document = document
        self._schemas: Json = document["components"]["schemas"]
        # One for all, since it keeps what it has found of the references.
        self._validator: Any = OAS30Validator({"components": {"schemas": self._schemas}})

    def problems(self, value: Any, name: str) -> list[str]:
        """Say in what a value does not fit the schema of this name; nothing if it does."""
        reference = {"$ref": f"#/components/schemas/{name}"}
        validator = self._validator.evolve(schema=reference)
        return [
            *(_sentence(error) for error in _innermost(validator.iter_errors(value))),
            *(f"{path or 'It'}: there is no such key." for path in self._unknown(value, reference, "")),
        ]

    def _unknown(self, value: Any, schema: Json, path: str) -> Iterator[str]:
        """Walk a value along its schema, and give the paths of keys that it does not have."""
        parts = list(self._parts(value, schema))
        if isinstance(value, list):
            items: Json = next((part["items"] for part in parts if "items" in part), {})
            for place, item in enumerate(value):
                yield from self._unknown(item, items, f"{path}[{place}]")
        elif isinstance(value, dict):
            properties: Json = {key: child for part in parts for key, child in part.get("properties", {}).items()}
            # Objects without any property of their own are open, and so are those that say what others may be.
            others = next((part["additionalProperties"] for part in parts if "additionalProperties" in part), None)
            is_open = not properties or bool(others) or others == {}
            for key, child in value.items():
                if key in properties:
                    yield from self._unknown(child, properties[key], f"{path}.{key}".lstrip("."))
                elif isinstance(others, dict) and others:
                    yield from self._unknown(child, others, f"{path}.{key}".lstrip("."))
                elif not is_open:
                    yield f"{path}.{key}".lstrip(".")

    def _parts(self, value: Any, schema: Json) -> Iterator[Json]:
        """Give the schemas that a value is to fit: what is referred to, all of ``allOf``, the first fitting choice."""
        schema = self._resolved(schema)
        yield schema
        for part in schema.get("allOf", []):
            yield from self._parts(value, part)
        choices = [
            one for one in (*schema.get("oneOf", []), *schema.get("anyOf", [])) if self._is_of_the_kind(value, one)
        ]
        for choice in choices:
            if len(choices) == 1 or self._validator.evolve(schema=choice).is_valid(value):
                yield from self._parts(value, choice)
                return

    def _is_of_the_kind(self, value: Any, choice: Json) -> bool:
        """Tell, without a look inside, whether a value may be meant: most choices name their kind in a property."""
        properties = self._resolved(choice).get("properties", {})
        return not isinstance(value, dict) or all(
            value[key] in enumeration
            for key, child in properties.items()
            if key in value and (enumeration := self._resolved(child).get("enum"))
        )

    def _resolved(self, schema: Json) -> Json:
        resolved: Json = self._schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        return resolved


@cache
def open_document(path: Path) -> OpenApi:
    """Return the document in a file; reading it takes seconds, so it is read once."""
    import yaml  # noqa: PLC0415  of the extra, which commands that read no description do without

    return OpenApi(yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader))


def check_openapi(material: Material) -> CheckResult:
    """Hold every body against the schema of the call that creates it."""
    path = material.schema(V1)
    if path is None:
        return CheckResult.skip(f"{V1}, Datadog's description of its API, is not at hand.", INSTALL)
    try:
        import openapi_schema_validator  # noqa: F401, PLC0415  for developing
    except ModuleNotFoundError:
        return CheckResult.skip("openapi-schema-validator is not installed.", "pip install openapi-schema-validator")
    document = open_document(path)
    findings: list[Finding] = []
    count = 0
    for folder, name in _SCHEMAS.items():
        bodies, unreadable = load(material.directory, folder)
        findings += unreadable
        for file, body in bodies.items():
            count += 1
            findings += [
                Finding("openapi", file, "", problem, f"Datadog's {name} does not have it so: correct the generator.")
                for problem in document.problems(body, name)
            ]
    return CheckResult(findings, f"{count} bodies")


def _innermost(errors: Any) -> Iterator[Any]:
    """Of a value that fits none of several schemas, give what is wrong by the one that it comes nearest to."""
    from jsonschema.exceptions import best_match  # type: ignore[import-untyped]  # noqa: PLC0415  for developing

    for error in errors:
        yield best_match([error])


def _sentence(error: Any) -> str:
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path).lstrip(".")
    said = str(error.message)
    if len(said) > 200:
        said = f"{json.dumps(error.instance)[:80]} … is not valid under the schema's {error.validator}"
    return f"{where or 'It'}: {said}."
