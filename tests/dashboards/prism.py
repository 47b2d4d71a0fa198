"""Prism: a mock of Datadog's API, made of Datadog's own OpenAPI documents; it refuses what they have no place for.

Installed beside the other npm packages of the checks; ``make check-full`` does it.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3

from dashboards.checks.openapi import OpenApi
from orchestration.paths import PROJECT_ROOT
from tests.dashboards.http_server import Answer, JsonServer, Request, serving

NODE_DIR = PROJECT_ROOT / "dashboards" / "checks" / "node"
INSTALL = "npm ci --prefix dashboards/checks/node"
VARIABLE = "HOLDWATCH_PRISM"
"""Where the program is, if it is not where ``INSTALL`` puts it."""

_READY_SECONDS = 60.0

SLOWEST_SECONDS = 120
"""For an answer: it compiles a schema when it first meets it."""

_PASSED_ON = ("accept", "content-type", "dd-api-key", "dd-application-key")

PATHS = {
    "v1": (
        "/api/v1/monitor",
        "/api/v1/monitor/validate",
        "/api/v1/monitor/{monitor_id}",
        "/api/v1/slo",
        "/api/v1/slo/{slo_id}",
        "/api/v1/dashboard",
        "/api/v1/dashboard/{dashboard_id}",
    ),
    "v2": ("/api/v2/series", "/api/v2/downtime", "/api/v2/downtime/{downtime_id}"),
}
"""What is called, by the version whose document describes it."""

WIDGETS = frozenset({"group", "manage_status", "note", "query_value", "slo_list", "timeseries", "toplist"})
"""The kinds of widgets that are pushed; the schemas of all forty of them take Prism the better part of a minute."""

Json = dict[str, Any]


def program() -> str | None:
    """Return Prism's path; None where it is not installed."""
    named = os.environ.get(VARIABLE)
    return shutil.which(named if named else str(NODE_DIR / "node_modules" / ".bin" / "prism"))


def one_document(documents: dict[str, OpenApi]) -> Json:
    """Return the paths that are called, of both versions, and all that they refer to, as one document."""
    merged: Json = {"openapi": "3.0.0", "info": {"title": "Datadog", "version": "1"}, "paths": {}, "components": {}}
    for version, paths in PATHS.items():
        document = documents[version].document
        merged["components"].setdefault("securitySchemes", {}).update(document["components"]["securitySchemes"])
        components = dict(document["components"])
        if version == "v1":
            components["schemas"] = _with_our_widgets(components["schemas"])
        waiting = [document["paths"][path] for path in paths]
        merged["paths"] |= {path: _renamed(document["paths"][path], version) for path in paths}
        seen = set()
        while waiting:
            for kind, name in _references(waiting.pop()):
                if (kind, name) not in seen:
                    seen.add((kind, name))
                    found = components[kind][name]
                    merged["components"].setdefault(kind, {})[f"{version}{name}"] = _renamed(found, version)
                    waiting.append(found)
    return merged


@contextmanager
def prism(executable: str, document: Json, folder: Path) -> Iterator[str]:
    """Serve a document within the block; give the URL."""
    path = folder / "datadog.json"
    path.write_text(json.dumps(document, default=lambda at: at.isoformat()), "utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder / "prism.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [executable, "mock", "--errors", "--host", "127.0.0.1", "--port", str(port), str(path)],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + _READY_SECONDS
        while not _accepts(port):
            assert process.poll() is None, log.read_text("utf-8")
            assert time.monotonic() < deadline, log.read_text("utf-8")
            time.sleep(0.1)  # nobody announces that a port is open
        server = InFront(f"http://127.0.0.1:{port}")
        with serving(server):
            yield server.url
    finally:
        process.terminate()
        process.wait(timeout=20)


def _with_our_widgets(schemas: Json) -> Json:
    def kinds(choice: Json) -> set[str]:
        widget = schemas[choice["$ref"].rpartition("/")[2]]
        named = widget.get("properties", {}).get("type", {}).get("$ref", "").rpartition("/")[2]
        return set(schemas.get(named, {}).get("enum", []))

    definition = schemas["WidgetDefinition"]
    kept = [choice for choice in definition["oneOf"] if WIDGETS & kinds(choice)]
    return {**schemas, "WidgetDefinition": {**definition, "oneOf": kept}}


class InFront(JsonServer):
    """Before Prism, which reads no compressed body, and whose example of an answer to series is no success."""

    def __init__(self, prism_url: str) -> None:
        super().__init__()
        self._prism_url = prism_url
        self._pool = urllib3.PoolManager(timeout=SLOWEST_SECONDS, retries=False)

    def answer(self, request: Request) -> Answer:
        """Pass a request on."""
        headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        query = f"?{urlencode(request.query)}" if request.query else ""
        body = None if request.body is None else json.dumps(request.body)
        said = self._pool.request(request.method, f"{self._prism_url}{request.path}{query}", body=body, headers=headers)
        if request.path == "/api/v2/series" and said.status == 202:
            return Answer(202, {"errors": []})
        return Answer(said.status, json.loads(said.data) if said.data else None)


def _references(node: Any) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        if isinstance(reference := node.get("$ref"), str):
            _, _, kind, name = reference.split("/")
            yield kind, name
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _references(child)


def _renamed(node: Any, version: str) -> Any:
    """Return a part of a document whose references carry its version: both have a Monitor of their own."""
    if isinstance(node, dict):
        if isinstance(reference := node.get("$ref"), str):
            head, _, name = reference.rpartition("/")
            return {"$ref": f"{head}/{version}{name}"}
        return {key: _renamed(child, version) for key, child in node.items()}
    return [_renamed(child, version) for child in node] if isinstance(node, list) else node


def _accepts(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
