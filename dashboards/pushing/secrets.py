"""Keys and tokens: from the environment alone, and never in anything that is printed."""

from __future__ import annotations

import os
import re

from dashboards.errors import PushError

_PRINTABLE = re.compile(r"[\x21-\x7e]+")


def secret(variable: str, what: str) -> str:
    """Return the secret that an environment variable holds.

    Raises:
        PushError: It is not set, or cannot be one: a client that was given it would say it in its error.
    """
    value = os.environ.get(variable, "").strip()
    if not value:
        raise PushError(f"{variable} is not set: it holds the {what}.")
    if _PRINTABLE.fullmatch(value) is None:
        raise PushError(f"{variable} holds spaces or characters that no {what} has.")
    return value


def without(text: str, *secrets: str) -> str:
    """Return a text, as one line, with the secrets struck out: servers and proxies repeat what they were sent."""
    for one in secrets:
        if one:
            text = text.replace(one, "…")
    return " ".join(text.split())
