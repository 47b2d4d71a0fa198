"""Dagster's web server and daemon, over one server that holds the definitions."""

from __future__ import annotations

import http.client
import json
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from orchestration.ports import LOOPBACK, free_port, is_free
from orchestration.server.layout import write_atomically
from orchestration.services import ServiceError, Services

DEFAULT_PORT = 3000

_READY_SECONDS = 180.0
_POLL_SECONDS = 0.2
_LOCATION = "holdwatch"


def choose_port(wanted: int | None) -> int:
    """Return the port for the web server: the one that is wanted, else 3000 if it is free, else any.

    Raises:
        ServiceError: The one that is wanted is taken.
    """
    if wanted is not None:
        if not is_free(wanted):
            raise ServiceError(f"Port {wanted} is taken; leave --port out to have a free one chosen.")
        return wanted
    return DEFAULT_PORT if is_free(DEFAULT_PORT) else free_port()


def start_dagster(services: Services, home: Path, port: int, on_stage: Callable[[str], None]) -> str:
    """Start Dagster and wait until its UI answers and shows the definitions; return the UI's address.

    Raises:
        ServiceError: One of the programs ends, or the UI does not answer in time.
    """
    code_port = free_port()
    workspace = home / "workspace.yaml"
    write_atomically(
        workspace,
        f"load_from:\n  - grpc_server: {{host: {LOOPBACK}, port: {code_port}, location_name: {_LOCATION}}}\n",
    )
    # One server of the definitions for both, where each would load its own.
    on_stage("loading the definitions")
    services.start(
        "code server",
        [
            sys.executable, "-m", "dagster", "api", "grpc", "--module-name", "orchestration.definitions",
            "--host", LOOPBACK, "--port", str(code_port), "--location-name", _LOCATION,
            "--use-python-environment-entry-point", "--log-level", "warning",
        ],
    )  # fmt: skip
    _wait_for(services, lambda: _accepts(code_port), "The code server does not answer")
    on_stage("starting the web server and the daemon")
    services.start(
        "web server",
        [
            sys.executable, "-m", "dagster_webserver", "--host", LOOPBACK, "--port", str(port),
            "--workspace", str(workspace), "--dagster-log-level", "warning",
        ],
    )  # fmt: skip
    services.start("daemon", [sys.executable, "-m", "dagster._daemon", "run", "--workspace", str(workspace)])
    _wait_for(services, lambda: _shows_definitions(port), "The web server does not answer")
    return f"http://{LOOPBACK}:{port}"


def _wait_for(services: Services, condition: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while not condition():
        services.require_running()
        if time.monotonic() > deadline:
            raise ServiceError(f"{otherwise} after {_READY_SECONDS:.0f} seconds; see the logs in .holdwatch/logs.")
        time.sleep(_POLL_SECONDS)


def _accepts(port: int) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False


def _shows_definitions(port: int) -> bool:
    """Tell whether the web server answers, and knows the job."""
    query = "{ repositoriesOrError { ... on RepositoryConnection { nodes { pipelines { name } } } } }"
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=30)
    try:
        connection.request(
            "POST", "/graphql", body=json.dumps({"query": query}), headers={"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        return answer.status == http.HTTPStatus.OK and b'"pipeline"' in answer.read()
    except OSError:
        return False
    finally:
        connection.close()
