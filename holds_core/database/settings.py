"""Settings from the environment, read once and checked here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import psycopg
from psycopg.conninfo import conninfo_to_dict

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
            raise SettingsError(
                "HOLDWATCH_DATABASE_URL must be a URL such as postgresql://user:password@host:5432/database, with "
                "special characters in the password percent-encoded (its value is not repeated: it may hold one)."
            )
        return cls(environment=environment, database_url=url)


def _is_readable(url: str) -> bool:
    """Tell whether libpq reads the URL as its writer meant it; its own complaints may quote the password."""
    if not url.startswith(("postgresql://", "postgres://")) or url.count("@") > 1:
        return False
    try:
        conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        return False
    return True
