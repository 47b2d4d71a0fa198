"""A TCP proxy between a client and the database that loses what it is told to lose."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

_BUFFER = 65_536
_QUERY_MESSAGES = (b"Q", b"P", b"B")


@dataclass(eq=False)
class _Link:
    """One client's connection through the proxy."""

    client: socket.socket
    server: socket.socket
    # What a client sends before its first query is the start-up; losing that would be another fault.
    has_asked: bool = False

    def close(self) -> None:
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class FaultyProxy:
    """Forwards to a server; cuts replies after the server has sent them, goes silent, or closes everything.

    A reply that is cut has been committed by then: the client knows nothing of it.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._links: set[_Link] = set()
        self._lock = threading.Lock()
        self._cut_every = 0
        self._to_cut = 0
        self._replies = 0
        self._may_speak = threading.Event()
        self._may_speak.set()
        self.cut_count = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        port: int = self._listener.getsockname()[1]
        return port

    def cut_replies(self, count: int = 1) -> None:
        """Cut the connection instead of passing on each of the next ``count`` replies."""
        with self._lock:
            self._to_cut = count

    def cut_every(self, nth: int) -> None:
        """Cut the connection instead of passing on every ``nth`` reply; 0 stops that."""
        with self._lock:
            self._cut_every = nth

    def go_silent(self) -> None:
        """Pass no reply on any more, and leave the connections open."""
        self._may_speak.clear()

    def resume(self) -> None:
        """Pass on again, what has piled up first."""
        self._may_speak.set()

    def close_all(self) -> None:
        """Cut every connection there is; new ones are welcome."""
        with self._lock:
            links = list(self._links)
        for link in links:
            link.close()

    def close(self) -> None:
        """End."""
        self.resume()
        self._listener.close()
        self.close_all()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target)
            except OSError:
                client.close()
                continue
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = _Link(client, server)
            with self._lock:
                self._links.add(link)
            threading.Thread(target=self._forward, args=(link,), daemon=True).start()
            threading.Thread(target=self._answer, args=(link,), daemon=True).start()

    def _forward(self, link: _Link) -> None:
        with suppress(OSError):
            while data := link.client.recv(_BUFFER):
                if data[:1] in _QUERY_MESSAGES:
                    link.has_asked = True
                link.server.sendall(data)
        self._end(link)

    def _answer(self, link: _Link) -> None:
        with suppress(OSError):
            while data := link.server.recv(_BUFFER):
                self._may_speak.wait()
                # ReadyForQuery, in no transaction: whatever was asked is committed.
                is_reply = link.has_asked and data.endswith(b"Z\x00\x00\x00\x05I")
                if is_reply and self._is_to_be_cut():
                    break
                link.client.sendall(data)
        self._end(link)

    def _is_to_be_cut(self) -> bool:
        with self._lock:
            self._replies += 1
            if self._to_cut > 0:
                self._to_cut -= 1
            elif not (self._cut_every and self._replies % self._cut_every == 0):
                return False
            self.cut_count += 1
            return True

    def _end(self, link: _Link) -> None:
        link.close()
        with self._lock:
            self._links.discard(link)


@contextmanager
def faulty_proxy(url: str) -> Iterator[tuple[FaultyProxy, str]]:
    """Put a proxy before the database at ``url``; yields it, and the URL that leads through it."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    proxy = FaultyProxy(parts.hostname, parts.port or 5432)
    login, at, _ = parts.netloc.rpartition("@")
    try:
        yield proxy, urlunsplit(parts._replace(netloc=f"{login}{at}127.0.0.1:{proxy.port}"))
    finally:
        proxy.close()
