"""Answers scrapes over HTTP: ``/metrics``, with a password where one is set, and ``/healthz``."""

from __future__ import annotations

import base64
import hmac
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any, cast
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from dashboards.errors import DashboardsExtraMissingError, MetricsServerError
from dashboards.exposition import PREFIX, UP, families
from dashboards.metrics_reader import MetricsReader

if TYPE_CHECKING:
    from prometheus_client.core import Metric
    from prometheus_client.registry import Collector

_IDLE_SECONDS = 30
"""After which whoever connects and says nothing is let go of."""


class _MetricsCollector:
    """The snapshot as the library's registry asks for it."""

    def __init__(self, reader: MetricsReader, version: str) -> None:
        self._reader = reader
        self._version = version

    def describe(self) -> Iterable[Metric]:
        """Nothing in advance: to be registered must not take a reading."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield every metric that could be read, and those about the reading."""
        from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415  optional

        snapshot = self._reader.snapshot()
        is_read = snapshot.rows is not None
        yield GaugeMetricFamily(UP, "Whether the database could be read: 1 or 0.", value=int(is_read))
        build = GaugeMetricFamily(f"{PREFIX}build_info", "1, with the version.", labels=["version"])
        build.add_metric([self._version], 1)
        yield build
        if snapshot.rows is not None:
            yield GaugeMetricFamily(
                f"{PREFIX}reading_seconds", "How long reading the series took.", value=snapshot.seconds
            )
            yield GaugeMetricFamily(
                f"{PREFIX}reading_age_seconds",
                "Time since the series were read.",
                value=time.monotonic() - snapshot.taken_at,
            )
            yield from families(snapshot.rows)


Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WsgiApp = Callable[[Environ, StartResponse], Iterable[bytes]]


def metrics_app(
    reader: MetricsReader, *, version: str, username: str = "prometheus", password: str | None = None
) -> WsgiApp:
    """Return the WSGI application: ``/metrics``; ``/healthz``, which says that this process is alive; nothing else.

    Args:
        reader: Where the metrics come from.
        version: Of this program; exposed.
        username: Who may read the metrics, with a password.
        password: None lets everybody read them.

    Raises:
        DashboardsExtraMissingError: The extra ``dashboards`` is not installed.
    """
    try:
        from prometheus_client import CollectorRegistry, make_wsgi_app  # noqa: PLC0415  optional
    except ModuleNotFoundError as error:
        raise DashboardsExtraMissingError from error
    registry = CollectorRegistry(auto_describe=False)
    registry.register(cast("Collector", _MetricsCollector(reader, version)))
    metrics = cast("WsgiApp", make_wsgi_app(registry))
    expected = None if password is None else base64.b64encode(f"{username}:{password}".encode())

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/healthz":
                return _answer(start_response, "200 OK", "ok\n")
            case "/metrics" if expected is None or _is_authorized(environ, expected):
                return metrics(environ, start_response)
            case "/metrics":
                challenge = ("WWW-Authenticate", 'Basic realm="holdwatch", charset="UTF-8"')
                return _answer(start_response, "401 Unauthorized", "name and password, please\n", challenge)
            case _:
                return _answer(start_response, "404 Not Found", "there are /metrics and /healthz\n")

    return app


def _is_authorized(environ: Environ, expected: bytes) -> bool:
    scheme, _, given = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    return scheme.lower() == "basic" and hmac.compare_digest(given.strip().encode("latin-1", "replace"), expected)


def _answer(start_response: StartResponse, status: str, text: str, *headers: tuple[str, str]) -> Iterable[bytes]:
    body = text.encode()
    start_response(
        status, [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body))), *headers]
    )
    return [body]


class MetricsServer(ThreadingMixIn, WSGIServer):
    """Serves an application on an address, each request in a thread of its own."""

    daemon_threads = True

    def __init__(self, host: str, port: int, app: WsgiApp) -> None:
        """Listen, and answer once :meth:`serve_forever` is called.

        Args:
            host: A name or an address, of IPv4 or IPv6.
            port: 0 takes a free one; ``server_port`` says which.
            app: From :func:`metrics_app`.

        Raises:
            MetricsServerError: One cannot listen there.
        """
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[
                0
            ]
            self.address_family = family
            super().__init__((str(address[0]), port), _QuietHandler)
        except OSError as error:
            raise MetricsServerError(f"Cannot listen on {host}, port {port}: {error.strerror or error}.") from error
        self.set_app(cast("Any", app))

    def server_bind(self) -> None:
        """Bind without asking the name server who this machine is, which may take long."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()


class _QuietHandler(WSGIRequestHandler):
    timeout = _IDLE_SECONDS

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  the library's name
        """Say nothing: a scrape every few seconds is no news."""
