"""Settings from the environment, read once and checked here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from holds_core.database.connections import UNREADABLE, read_url
from holds_core.errors import SettingsError

RETENTION_DAYS = 90
"""History kept: today and the 90 UTC days before it."""

MAX_FUTURE_DAYS = 1
"""An event whose time is further ahead than this is out of range."""


class Environment(StrEnum):
    """The deployment an event, a flag or a database belongs to."""

    DEV = "dev"
    STAGING = "staging"
    PROD = "prod"


@dataclass(frozen=True)
class Settings:
    """What the environment variables say.

    Attributes:
        environment: ``HOLDWATCH_ENVIRONMENT``; dev where it is unset.
        database_url: ``HOLDWATCH_DATABASE_URL``; None means the embedded server.
    """

    environment: Environment
    database_url: str | None

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read the settings.

        Raises:
            SettingsError: A variable has a value that means nothing.
        """
        name = environ.get("HOLDWATCH_ENVIRONMENT") or Environment.DEV
        try:
            environment = Environment(name)
        except ValueError:
            raise SettingsError(
                f"HOLDWATCH_ENVIRONMENT is {name!r}; set it to one of: {', '.join(Environment)}."
            ) from None
        url = environ.get("HOLDWATCH_DATABASE_URL") or None
        if url is not None and not _is_readable(url):
            raise SettingsError(f"HOLDWATCH_DATABASE_URL {UNREADABLE}")
        return cls(environment=environment, database_url=url)


def _is_readable(url: str) -> bool:
    if not url.startswith(("postgresql://", "postgres://")):
        return False
    with suppress(SettingsError):
        return bool(read_url(url))
    return False
