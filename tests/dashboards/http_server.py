"""A small HTTP server of JSON for tests: routes, a log of what was asked, and faults on demand."""

from __future__ import annotations

import gzip
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Json = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """What was asked."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    raw_length: int


@dataclass(frozen=True)
class Answer:
    """What is answered; without a body, nothing is."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class Lost(Enum):
    """An answer that never arrives."""

    LOST = "lost"


LOST = Lost.LOST


class RefusedError(Exception):
    """A request is answered with an error."""

    def __init__(self, status: int, body: Any) -> None:
        self.answer = Answer(status, body)


@dataclass
class JsonServer:
    """A server, and what the test has told it to do wrong.

    Attributes:
        url: Where it listens.
        routes: Method and pattern of the path, and what answers; named groups of the pattern are arguments.
        log: Every request that came, faults included.
        faults: What the next requests are answered with instead of being carried out; ``LOST`` carries one out, and
            closes the connection without an answer; None is no fault.
    """

    url: str = ""
    routes: list[tuple[str, re.Pattern[str], Callable[..., Answer]]] = field(default_factory=list)
    log: list[Request] = field(default_factory=list)
    faults: list[Answer | Lost | None] = field(default_factory=list)

    def route(self, method: str, pattern: str, answer: Callable[..., Answer]) -> None:
        """Let a function answer a path."""
        self.routes.append((method, re.compile(pattern), answer))

    def writes(self) -> list[Request]:
        """Return the requests that were to change something."""
        return [one for one in self.log if one.method != "GET"]

    def answer(self, request: Request) -> Answer:
        """Carry a request out."""
        for method, pattern, respond in self.routes:
            match = pattern.fullmatch(request.path)
            if method == request.method and match is not None:
                return respond(request, **match.groupdict())
        return Answer(404, {"errors": [f"no route {request.method} {request.path}"]})


@contextmanager
def serving(server: JsonServer) -> Iterator[None]:
    """Serve on a free port of loopback within the block."""

    class Handler(_Handler):
        state = server

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        server.url = f"http://127.0.0.1:{listening.server_address[1]}"
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield
        finally:
            listening.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    state: JsonServer
    protocol_version = "HTTP/1.1"

    def _handle(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content = gzip.decompress(raw) if self.headers.get("Content-Encoding") == "gzip" else raw
        parts = urlsplit(self.path)
        request = Request(
            self.command,
            parts.path,
            {name: values[-1] for name, values in parse_qs(parts.query).items()},
            {name.lower(): value for name, value in self.headers.items()},
            json.loads(content) if content else None,
            len(raw),
        )
        self.state.log.append(request)
        fault = self.state.faults.pop(0) if self.state.faults else None
        if isinstance(fault, Answer):
            self._send(fault)
            return
        try:
            answer = self.state.answer(request)
        except RefusedError as refused:
            answer = refused.answer
        if fault is LOST:
            self.close_connection = True
            return
        self._send(answer)

    def _send(self, answer: Answer) -> None:
        data = b"" if answer.body is None else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815  the library calls them so

    def log_message(self, *_: object) -> None:
        """Say nothing: the tests do."""
