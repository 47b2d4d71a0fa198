"""Where the reports of flags get what they know: databases, this process's variables; and where the registry goes."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import psycopg

from holds_core.database.connections import connect
from holds_core.database.settings import Environment
from holds_core.errors import HoldsError, first_line
from holds_core.flags.loading import packaged_definitions
from holds_core.flags.matrix import Source, read_overrides
from holds_core.flags.registry import registry
from holds_core.flags.snapshot import read_snapshot
from holds_core.flags.variables import Variables
from orchestration.paths import PROJECT_ROOT

REGISTRY = PROJECT_ROOT / "docs" / "feature-flags" / "registry.md"


def has_registry() -> bool:
    """Tell whether this is a checkout, which has a place for the page; what pip installs has none."""
    return REGISTRY.parent.is_dir()


def is_registry_current(page: str) -> bool:
    """Tell whether the file has this page."""
    return REGISTRY.is_file() and REGISTRY.read_text("utf-8") == page


def registry_page() -> str:
    """Return what the definitions make of the page."""
    return registry(packaged_definitions())


def write_registry(page: str) -> bool:
    """Bring the file up to date where it has a place; tell whether it was written."""
    is_to_write = has_registry() and not is_registry_current(page)
    if is_to_write:
        REGISTRY.write_text(page, "utf-8")
    return is_to_write


def all_sources(
    connection: psycopg.Connection,
    variables: Variables,
    process_environment: Environment,
    others: Sequence[tuple[Environment, str]] = (),
) -> list[Source]:
    """Return what is known of every environment: from this database, from others, or why nothing is.

    Args:
        connection: As ``holds_operator``, or the owner.
        variables: What the environment variables of this process say.
        process_environment: Of which environment this process is.
        others: URLs of databases that hold the flags of other environments.
    """
    held = {Environment(override.environment) for override in read_overrides(connection)}
    held.add(read_snapshot(connection).environment)
    found = {
        environment: own_source(connection, environment, variables if environment == process_environment else None)
        for environment in held
    }
    for environment, url in others:
        found[environment] = _other_source(environment, url)
    return [found.get(environment) or _unknown(environment) for environment in Environment]


def own_source(connection: psycopg.Connection, environment: Environment, variables: Variables | None) -> Source:
    """Return what a database knows of one environment."""
    snapshot = read_snapshot(connection, environment)
    definitions = snapshot.definitions or packaged_definitions()
    overrides = read_overrides(connection, environment)
    return Source(environment, definitions, overrides, variables, cohorts=snapshot.cohorts)


def _unknown(environment: Environment) -> Source:
    missing = f"not held by this database; add it with --database {environment}=URL"
    return Source(environment, packaged_definitions(), missing=missing)


def _other_source(environment: Environment, url: str) -> Source:
    host = urlsplit(url).hostname or "the server"
    try:
        with connect(url) as connection:
            source = own_source(connection, environment, None)
            serves = read_snapshot(connection).environment
    except (psycopg.Error, HoldsError) as error:
        missing = f"cannot be asked: {first_line(error)}"
        return Source(environment, packaged_definitions(), missing=missing)
    if serves != environment and not source.overrides:
        missing = f"the database on {host} serves {serves}, and holds nothing of {environment}"
        return Source(environment, packaged_definitions(), missing=missing)
    return source
