"""Datadog's API through its own client: JSON in, JSON out, patience where it helps, and errors in one line.

Keys and site come from the environment alone: ``DD_API_KEY``, ``DD_APP_KEY``, ``DD_SITE``; ``DD_URL`` instead of the
site where the API is behind a proxy.
"""

from __future__ import annotations

import json
import logging
import os
import re
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import urllib3
from datadog_api_client import ApiClient, Configuration
from datadog_api_client.exceptions import ApiException

from dashboards.errors import PushError
from dashboards.pushing.secrets import secret, without

API_KEY = "DD_API_KEY"
APP_KEY = "DD_APP_KEY"
SITE = "DD_SITE"
URL = "DD_URL"
DEFAULT_SITE = "datadoghq.com"

TIMEOUT_SECONDS = (5, 20)
"""To connect, and to answer."""

TRIES = 3
"""How often a call is made again at most."""

BACKOFF_SECONDS = 1
"""Between tries where the server does not say how long: nothing, then twice this, and twice as long each time."""

LONGEST_WAIT_SECONDS = 60
"""If the server says more, somebody who waits is told so at once."""

_SITE = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
_PASSING = frozenset({408, 500, 502, 503, 504})
_LOOPBACK = ("127.0.0.1", "::1", "localhost")

Json = dict[str, Any]


@dataclass(frozen=True)
class DatadogSettings:
    """Where Datadog is, and who asks. Nothing prints the keys: they are no part of its ``repr`` either.

    Attributes:
        url: Of the API.
        api_key: Of the organisation.
        app_key: Of a person or service account; None where series alone are sent, which takes none.
    """

    url: str
    api_key: str
    app_key: str | None = None

    def __repr__(self) -> str:
        return f"DatadogSettings({self.url!r})"

    @classmethod
    def from_environ(cls, *, with_app_key: bool) -> DatadogSettings:
        """Read the environment.

        Raises:
            PushError: A key is missing or cannot be one, or the site is no site.
        """
        return cls(_url(), secret(API_KEY, "API key"), secret(APP_KEY, "application key") if with_app_key else None)


def _url() -> str:
    url = os.environ.get(URL, "").strip().rstrip("/")
    if not url:
        site = os.environ.get(SITE, "").strip() or DEFAULT_SITE
        if _SITE.fullmatch(site) is None:
            raise PushError(f"{SITE} is {site!r}, which is no site such as {DEFAULT_SITE} or datadoghq.eu.")
        return f"https://api.{site}"
    parts = urlsplit(url)
    if "@" in parts.netloc or not parts.hostname:
        raise PushError(f"{URL} is to be a plain URL such as https://api.{DEFAULT_SITE}, without a login in it.")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise PushError(f"{URL} begins with {parts.scheme}://: keys go over https alone, but for loopback.")
    return url


class Patience(urllib3.util.Retry):
    """When a call is made again: after 429 and 5xx and broken connections, and not for longer than somebody waits.

    The time to wait is what ``X-RateLimit-Reset`` says. What creates something is made again only after 429 and where
    no connection came about: after anything else it may be there.
    """

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:  # noqa: ARG002
        """Tell whether an answer of this status is worth asking again."""
        is_worth_it = status_code == 429 or (status_code in _PASSING and method in (self.allowed_methods or ()))
        return bool(self.total) and is_worth_it

    def get_retry_after(self, response: urllib3.response.BaseHTTPResponse) -> float | None:
        """Return the seconds until the limit is lifted, by Datadog's own header."""
        said = response.headers.get("X-RateLimit-Reset", "")
        return float(said) if said.isdigit() else super().get_retry_after(response)

    def increment(self, *arguments: Any, **named: Any) -> Patience:
        """Count a try; give up where the server says that it would take longer than that."""
        response = named.get("response")
        if response is not None and (self.get_retry_after(response) or 0) > LONGEST_WAIT_SECONDS:
            raise urllib3.exceptions.MaxRetryError(named["_pool"], "", None)
        return super().increment(*arguments, **named)


class DatadogApi:
    """The API. Make one by :meth:`open`."""

    def __init__(self, settings: DatadogSettings, client: ApiClient) -> None:
        self._settings = settings
        self.url = settings.url
        self.client = client

    @classmethod
    @contextmanager
    def open(
        cls, settings: DatadogSettings, *, tries: int = TRIES, repeats_posts: bool = False
    ) -> Iterator[DatadogApi]:
        """Give the API for the length of the block.

        Args:
            settings: Where it is, and who asks.
            tries: How often a call is made again at most.
            repeats_posts: Whether a POST may be made again although it may have been carried out: where doing it twice
                is doing it once.
        """
        methods = urllib3.util.Retry.DEFAULT_ALLOWED_METHODS | ({"POST"} if repeats_posts else frozenset())
        configuration = Configuration(
            host=settings.url,
            api_key={"apiKeyAuth": settings.api_key, "appKeyAuth": settings.app_key or ""},
            # The bodies are ours and were checked; the answers are read as they are, with all that they say.
            check_input_type=False,
            preload_content=False,
            request_timeout=TIMEOUT_SECONDS,
            retry_policy=Patience(
                total=tries,
                # A redirection would take the keys along, to wherever it points.
                redirect=0,
                raise_on_redirect=False,
                raise_on_status=False,
                allowed_methods=methods,
                backoff_factor=BACKOFF_SECONDS,
                backoff_jitter=BACKOFF_SECONDS / 2,
            ),
        )
        if not urllib.request.proxy_bypass(urlsplit(settings.url).hostname or ""):
            configuration.proxy = urllib.request.getproxies().get(urlsplit(settings.url).scheme)
        # It says of each new try what the error says once at the end.
        logger = logging.getLogger("urllib3.connectionpool")
        level = logger.level
        logger.setLevel(logging.ERROR)
        try:
            with ApiClient(configuration) as client:
                yield cls(settings, client)
        finally:
            logger.setLevel(level)

    def call(self, what: str, operation: Callable[..., Any], **arguments: Any) -> Any:
        """Make a call; return what it answers, parsed.

        Args:
            what: What it does, for the error: "list the monitors".
            operation: A method of one of the client's APIs.
            arguments: Its arguments.

        Raises:
            PushError: It did not work, and why, in one line.
        """
        try:
            data = operation(**arguments).data
        except ApiException as error:
            raise PushError(self._said(what, error)) from None  # whose text holds headers
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise PushError(f"Could not {what}: {self._settings.url} does not answer ({_cause(error)}).") from None
        if not data:
            return None
        try:
            return json.loads(data)
        except ValueError:
            raise PushError(
                f"Could not {what}: {self._settings.url} answered with something that is no JSON."
            ) from None

    def listed(self, what: str, key: str | None, operation: Callable[..., Any], **arguments: Any) -> list[Json]:
        """Make a call that answers with objects, each with its ``id``: below a key, or with nothing around them.

        Raises:
            PushError: As of :meth:`call`; or it answers with something else.
        """
        answer = self.call(what, operation, **arguments)
        found = answer.get(key) if key is not None and isinstance(answer, dict) else answer
        if not isinstance(found, list) or not all(isinstance(one, dict) and "id" in one for one in found):
            raise PushError(f"Could not {what}: {self.url} answered with something that is no list of them.")
        return found

    def _said(self, what: str, error: ApiException) -> str:
        body = error.body.get("errors", error.body) if isinstance(error.body, dict) else error.body
        said = "; ".join(str(one) for one in body) if isinstance(body, list) else str(body or "")
        said = without(said, self._settings.api_key, self._settings.app_key or "")[:500]
        url = self._settings.url
        match error.status:
            case 401:
                reason = f"401, the keys are refused. Check {API_KEY} and {APP_KEY}, and that they are of {url}"
            case 403:
                reason = (
                    f"403, the keys may not do this. Check {API_KEY} and {APP_KEY}, that they are of {url}, and the "
                    "application key's scopes"
                )
            case 404:
                reason = f"404, {url} has no such thing. Check {SITE}"
            case 429:
                headers = {name.lower(): value for name, value in (error.headers or {}).items()}
                reset = headers.get("x-ratelimit-reset", "some")
                reason = f"429, too many calls; the limit is lifted in {reset} s"
            case 0:
                reason = f"{url} cannot be trusted, {without(str(error.reason))}"
            case _:
                reason = f"{error.status} {error.reason}"
        return f"Could not {what}: {reason}.{f' Datadog said: {said}' if said else ''}"


def _cause(error: Exception) -> str:
    """Return the innermost reason of a failed call, in a word or two."""
    reason: BaseException = error
    while (inner := getattr(reason, "reason", None) or reason.__cause__) is not None and isinstance(
        inner, BaseException
    ):
        reason = inner
    if isinstance(reason, (TimeoutError, urllib3.exceptions.TimeoutError)):
        return "timed out"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return type(reason).__name__
