"""Prometheus and Alertmanager for the length of a drill, with the files that ops load, and a receiver in this process.

What is changed of the files: addresses and ports, and how long Alertmanager waits to say that a group has changed.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dashboards.files import DASHBOARDS_DIR
from holds_core.errors import HoldsError
from orchestration.errors import MissingExtraError
from orchestration.ports import LOOPBACK, free_port
from orchestration.services import Services, running

PROMETHEUS_DIR = DASHBOARDS_DIR / "prometheus"

GROUP_INTERVAL = "15s"
"""In the files it is a minute or more, which nobody waits for in a drill."""

_INSTALL = "apt-get install prometheus prometheus-alertmanager"
_READY_SECONDS = 90.0
_POLL_SECONDS = 0.2


class MissingToolError(HoldsError):
    """A drill needs a program that is not installed."""

    def __init__(self, program: str) -> None:
        super().__init__(f"{program} is not installed: {_INSTALL}")


class MonitoringError(HoldsError):
    """Prometheus or Alertmanager does not come up."""


@dataclass(frozen=True)
class Notification:
    """What Alertmanager told of one alert.

    Attributes:
        at: When it came, by the monotonic clock.
        status: firing or resolved.
        rule: Name of the rule.
        environment: Of the alert; empty where it has none.
    """

    at: float
    status: str
    rule: str
    environment: str


class Monitoring:
    """What runs, and what has been told so far."""

    def __init__(self, services: Services, notifications: list[Notification]) -> None:
        self._services = services
        self._notifications = notifications

    def require_running(self) -> None:
        """Raise if one of the programs has ended.

        Raises:
            ServiceError: One has.
        """
        self._services.require_running()

    def is_told(self, rule: str, environment: str, status: str, *, since: float) -> bool:
        """Tell whether somebody was told of this alert since a time."""
        return any(
            (one.rule, one.environment, one.status) == (rule, environment, status) and one.at >= since
            for one in list(self._notifications)
        )

    def told_firing(self) -> list[str]:
        """Return the rules that somebody was told of as firing, in the order in which they were."""
        return [one.rule for one in list(self._notifications) if one.status == "firing"]


def missing_tool() -> str | None:
    """Return what has to be installed before Prometheus can take part, as the line that does it; None if nothing."""
    return None if _find("prometheus") and _find(*_ALERTMANAGER) else _INSTALL


_ALERTMANAGER = ("alertmanager", "prometheus-alertmanager")  # Debian calls it the second


@contextmanager
def monitoring(url: str) -> Iterator[Monitoring]:
    """Have ``metrics serve``, Prometheus and Alertmanager run on loopback within the block, judging already.

    Raises:
        MissingToolError: Prometheus or Alertmanager is not installed.
        MonitoringError: They do not come up.
    """
    prometheus, alertmanager = _find("prometheus"), _find(*_ALERTMANAGER)
    if prometheus is None or alertmanager is None:
        raise MissingToolError("Prometheus" if prometheus is None else "Alertmanager")
    with (
        tempfile.TemporaryDirectory(prefix="holdwatch-drill-") as temporary,
        _receiver() as (notifications, webhook),
        running(os.environ | {"HOLDWATCH_DATABASE_URL": url}, Path(temporary) / "logs") as services,
    ):
        folder = Path(temporary)
        exporter_port, prometheus_port, alertmanager_port = free_port(), free_port(), free_port()
        config = _write(folder / "prometheus.yaml", _prometheus_config(exporter_port, alertmanager_port))
        routes = _write(folder / "alertmanager.yaml", _alertmanager_config(webhook))
        services.start(
            "metrics exporter",
            [
                sys.executable, "-c", "from orchestration.cli import main; main()",
                "metrics", "serve", "--port", str(exporter_port),
            ],
        )  # fmt: skip
        services.start(
            "alertmanager",
            [
                alertmanager, f"--config.file={routes}", f"--storage.path={folder / 'alertmanager'}",
                f"--web.listen-address={LOOPBACK}:{alertmanager_port}", "--cluster.listen-address=",
                "--log.level=warn",
            ],
        )  # fmt: skip
        services.start(
            "prometheus",
            [
                prometheus, f"--config.file={config}", f"--storage.tsdb.path={folder / 'prometheus'}",
                f"--web.listen-address={LOOPBACK}:{prometheus_port}", "--log.level=warn",
            ],
        )  # fmt: skip
        _wait_for(services, "Alertmanager", lambda: bool(_get(alertmanager_port, "/-/ready")))
        _wait_for(services, "Prometheus", lambda: _has_series(prometheus_port, "alert:holdwatch_alert_firing:max"))
        yield Monitoring(services, notifications)


def _find(*names: str) -> str | None:
    return next((found for name in names if (found := shutil.which(name)) is not None), None)


def _prometheus_config(exporter_port: int, alertmanager_port: int) -> dict[str, Any]:
    config = _read("scrape.yaml")
    config["rule_files"] = [str(PROMETHEUS_DIR / path) for path in config["rule_files"]]
    (job,) = config["scrape_configs"]
    job["static_configs"] = [{"targets": [f"{LOOPBACK}:{exporter_port}"]}]
    config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [f"{LOOPBACK}:{alertmanager_port}"]}]}]
    return config


def _alertmanager_config(webhook: str) -> dict[str, Any]:
    config = _read("alertmanager.yaml")
    for route in (config["route"], *config["route"]["routes"]):
        route["group_interval"] = GROUP_INTERVAL
    for receiver in config["receivers"]:
        receiver["webhook_configs"] = [{"url": webhook, "send_resolved": True}]
    return config


def _read(name: str) -> dict[str, Any]:
    try:
        import yaml  # noqa: PLC0415  optional
    except ModuleNotFoundError as error:
        raise MissingExtraError("dashboards", "A drill with Prometheus") from error
    content: dict[str, Any] = yaml.safe_load((PROMETHEUS_DIR / name).read_text("utf-8"))
    return content


def _write(path: Path, content: dict[str, Any]) -> Path:
    path.write_text(json.dumps(content), "utf-8")  # JSON is YAML
    return path


@contextmanager
def _receiver() -> Iterator[tuple[list[Notification], str]]:
    """Listen for what Alertmanager tells; yields the growing list of it, and the address to tell."""
    notifications: list[Notification] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            at = time.monotonic()
            told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            notifications.extend(
                Notification(
                    at, one["status"], one["labels"].get("alertname", ""), one["labels"].get("environment", "")
                )
                for one in told["alerts"]
            )
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  the library's name
            pass

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, name="holdwatch-webhook", daemon=True)
    thread.start()
    try:
        yield notifications, f"http://{LOOPBACK}:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _has_series(port: int, query: str) -> bool:
    answer = _get(port, f"/api/v1/query?query={quote(query)}")
    return bool(answer) and bool(json.loads(answer)["data"]["result"])


def _get(port: int, path: str) -> bytes:
    """Return what is answered; nothing where there is no answer, or a bad one."""
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}{path}", timeout=5) as answer:
            body: bytes = answer.read()
            return body
    except OSError:
        return b""


def _wait_for(services: Services, who: str, is_ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while not is_ready():
        services.require_running()
        if time.monotonic() > deadline:
            raise MonitoringError(f"{who} is not ready after {_READY_SECONDS:.0f} seconds.")
        time.sleep(_POLL_SECONDS)
