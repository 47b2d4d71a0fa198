"""What an asset says of itself in Dagster: what keeps it up to date, who may rely on it, and where to read on."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import dagster as dg

from dashboards.catalogue import RUNBOOK_BASE_URL
from dashboards.settings import runbooks_url
from holds_core.errors import SettingsError


class Updates(StrEnum):
    """What keeps an asset up to date."""

    BY_THE_PLATFORM = "by-the-platform"
    """Whoever places holds writes it; the pipeline only reads it."""
    LIVE = "live"
    """A view: it has the newest committed event, whether or not anything runs."""
    FIVE_MINUTES = "every-5-minutes"
    HALF_HOUR = "every-30-minutes"
    NIGHTLY = "nightly"


def tags(updates: Updates, *, is_public: bool) -> dict[str, str]:
    """Return the tags by which assets can be filtered in the catalog.

    Args:
        updates: What keeps it up to date.
        is_public: Whether analysts and dashboards build on it: its columns are promises. Others may change any day.
    """
    return {"updates": updates.value, "contract": "public" if is_public else "internal"}


def docs(page: str) -> dg.MetadataValue[Any]:
    """Return where a page below docs/ is."""
    return dg.MetadataValue.path(f"docs/{page}")


def runbook(page: str) -> dg.MetadataValue[Any]:
    """Return a link to a runbook, where they are published; else its file. A placeholder would lead nowhere."""
    try:
        base = runbooks_url()
    except SettingsError:
        # Said by whatever writes the link into a file; it is no reason for Dagster to show nothing at all.
        base = RUNBOOK_BASE_URL
    return docs(f"runbooks/{page}.md") if base == RUNBOOK_BASE_URL else dg.MetadataValue.url(f"{base}/{page}.md")


def table(name: str, columns: Mapping[str, tuple[str, str]]) -> dict[str, dg.MetadataValue[Any]]:
    """Return what Dagster shows of a table: its name, and its columns by name with type and description."""
    schema = dg.TableSchema([dg.TableColumn(column, kind, text) for column, (kind, text) in columns.items()])
    return {
        "dagster/table_name": dg.MetadataValue.text(name),
        "dagster/column_schema": dg.MetadataValue.table_schema(schema),
    }
