"""Grafana's HTTP API, as far as dashboards need it. The token comes from ``GRAFANA_TOKEN`` alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from dashboards.errors import PushError
from dashboards.pushing.secrets import secret, without

TOKEN = "GRAFANA_TOKEN"  # noqa: S105  a name, no token
TIMEOUT_SECONDS = 20.0

_LOOPBACK = ("127.0.0.1", "::1", "localhost")

Json = dict[str, Any]


@dataclass(frozen=True)
class GrafanaSettings:
    """Where Grafana is, and who asks. The token is no part of its ``repr``.

    Attributes:
        url: Of Grafana, with the path that it is served below, if there is one.
        token: Of a service account that may write dashboards and folders.
    """

    url: str
    token: str

    def __repr__(self) -> str:
        return f"GrafanaSettings({self.url!r})"

    @property
    def is_in_the_clear(self) -> bool:
        """Whether the token goes over a network unencrypted."""
        parts = urlsplit(self.url)
        return parts.scheme == "http" and parts.hostname not in _LOOPBACK

    @classmethod
    def from_environ(cls, url: str) -> GrafanaSettings:
        """Read the token from the environment.

        Raises:
            PushError: It is missing, or the URL is none to send it to.
        """
        parts = urlsplit(url)
        if "@" in parts.netloc or not parts.hostname or parts.scheme not in ("http", "https"):
            raise PushError(f"Grafana's URL is to be like https://grafana.example, without a login: {TOKEN} holds it.")
        return cls(url.rstrip("/"), secret(TOKEN, "service account token"))


class GrafanaApi:
    """The API. Make one by :meth:`open`."""

    def __init__(self, settings: GrafanaSettings, client: httpx.Client) -> None:
        self._settings = settings
        self.url = settings.url
        self.is_in_the_clear = settings.is_in_the_clear
        self._client = client

    @classmethod
    @contextmanager
    def open(cls, settings: GrafanaSettings) -> Iterator[GrafanaApi]:
        """Give the API for the length of the block."""
        client = httpx.Client(
            headers={"Authorization": f"Bearer {settings.token}", "Accept": "application/json"},
            timeout=TIMEOUT_SECONDS,
            # A redirection would take the token along.
            follow_redirects=False,
        )
        with client:
            yield cls(settings, client)

    def call(self, what: str, method: str, path: str, body: Json | None = None, *, may_be_missing: bool = False) -> Any:
        """Make a call; return what it answers, parsed; None where it is missing and may be.

        Args:
            what: What it does, for the error: "list the dashboards".
            method: Of HTTP.
            path: With its query.
            body: JSON.
            may_be_missing: Whether 404 is an answer.

        Raises:
            PushError: It did not work, and why, in one line.
        """
        try:
            answer = self._client.request(method, f"{self.url}{path}", json=body)
            if answer.status_code == 404 and may_be_missing:
                return None
            if answer.is_success:
                return answer.json()
        except httpx.TimeoutException:
            raise PushError(f"Could not {what}: {self.url} does not answer (timed out).") from None
        except (httpx.HTTPError, ValueError) as error:
            said = without(str(error), self._settings.token) or type(error).__name__
            raise PushError(f"Could not {what}: {self.url} does not answer as Grafana does ({said}).") from None
        raise PushError(self._said(what, answer))

    def _said(self, what: str, answer: httpx.Response) -> str:
        try:
            content = answer.json()
            said = str(content.get("message", "")) if isinstance(content, dict) else ""
        except ValueError:
            said = ""
        said = without(said, self._settings.token)[:300]
        match answer.status_code:
            case 401:
                reason = f"401, the token is refused. Check {TOKEN}, and that it is of {self.url}"
            case 403:
                reason = f"403, the token may not do this: its service account needs the role Editor ({TOKEN})"
            case 404:
                reason = f"404, there is no such thing at {self.url}: is that where Grafana is, with its whole path?"
            case 412:
                reason = "412, somebody has changed it meanwhile; push again"
            case status:
                reason = f"{status} {answer.reason_phrase}"
        return f"Could not {what}: {reason}.{f' Grafana said: {said}' if said else ''}"
