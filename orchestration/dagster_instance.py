"""Dagster's own state: its home folder, its settings, and the environment in which its processes find both.

Runs and events are stored in the schema ``dagster`` of the database that they are about. On the disk there are logs
and settings only, under ``.holdwatch/dagster``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from string import Template
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from holds_core.database.settings import Environment
from orchestration.paths import state_dir
from orchestration.server.layout import write_atomically

STORAGE_SCHEMA = "dagster"

DATABASE_URL_VARIABLE = "HOLDWATCH_DATABASE_URL"
STORAGE_URL_VARIABLE = "HOLDWATCH_DAGSTER_STORAGE_URL"


def dagster_home(state: Path | None = None) -> Path:
    """Return Dagster's home in a state folder, made and with its settings written if they are missing or others."""
    home = (state_dir() if state is None else state) / "dagster"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    template = Template((files("orchestration") / "dagster.yaml").read_text("utf-8"))
    settings = template.substitute(home=home)
    path = home / "dagster.yaml"
    if not path.exists() or path.read_text("utf-8") != settings:
        write_atomically(path, settings)
    return home


def storage_url(url: str) -> str:
    """Return the URL of Dagster's storage in the database at ``url``.

    The driver is named, since SQLAlchemy 2.1 would take psycopg 3, with which dagster-postgres fails at its first
    write. The schema is chosen by ``search_path``; other options that the URL has are kept. A commit does not wait for
    the disk: a power cut may cost the history of runs its last second, and nothing else.
    """
    parts = urlsplit(url)
    parameters = dict(parse_qsl(parts.query, keep_blank_values=True))
    options = [parameters.get("options", ""), f"-c search_path={STORAGE_SCHEMA}", "-c synchronous_commit=off"]
    parameters["options"] = " ".join(options).strip()
    return urlunsplit(parts._replace(scheme="postgresql+psycopg2", query=urlencode(parameters, quote_via=quote)))


def process_environment(url: str, environment: Environment, home: Path) -> dict[str, str]:
    """Return the variables by which a Dagster process finds its home, its storage and the database."""
    return {
        "DAGSTER_HOME": str(home),
        STORAGE_URL_VARIABLE: storage_url(url),
        DATABASE_URL_VARIABLE: url,
        "HOLDWATCH_ENVIRONMENT": str(environment),
    }


@contextmanager
def environment_variables(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process within the block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
