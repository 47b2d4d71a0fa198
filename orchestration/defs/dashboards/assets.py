"""Dashboards and monitors, generated from one catalogue; each file is replaced whole, and only when it has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg

import dashboards
from dashboards.files import GENERATED_FOLDERS
from expectations.suites.views import VIEW_NAMES, VIEWS_SCHEMA
from orchestration.asset_facts import Updates, docs, tags
from orchestration.jobs import PLATFORM
from orchestration.resources import DashboardsResource

_DESCRIPTIONS = {
    "datadog": "Bodies of Datadog monitors, for its API, for Terraform and for its UI.",
    "grafana": "Grafana dashboards that read the views in PostgreSQL: for file provisioning, its UI and its API.",
    "grafana-alerting": "Grafana alert rules over the verdicts of SQL, and whom they tell: for file provisioning.",
    "prometheus": "Prometheus rules over the verdicts of SQL, their unit tests, and examples of scraping and routing.",
}


_KINDS = {
    "datadog": {"datadog", "json"},
    "grafana": {"grafana", "json"},
    "grafana-alerting": {"grafana", "yaml"},
    "prometheus": {"prometheus", "yaml"},
}

_DOCS = {
    "datadog": "datadog.md",
    "grafana": "views.md",
    "grafana-alerting": "alerting.md",
    "prometheus": "metrics.md",
}


@dg.multi_asset(
    name="dashboard_files",
    specs=[
        dg.AssetSpec(
            ["dashboards", folder],
            description=_DESCRIPTIONS[folder],
            deps=[[VIEWS_SCHEMA, name] for name in VIEW_NAMES],
            group_name="dashboards",
            owners=PLATFORM,
            kinds=_KINDS[folder],
            tags=tags(Updates.HALF_HOUR, is_public=True),
            metadata={"how to load them": docs("how-to/load-dashboards.md"), "docs": docs(_DOCS[folder])},
        )
        for folder in GENERATED_FOLDERS
    ],
)
def dashboard_files(dashboard_folder: DashboardsResource) -> Iterator[dg.MaterializeResult[None]]:
    """Generate the files, and say what is in them by their hash."""
    directory = dashboard_folder.path()
    paths = dashboards.write(directory)
    for folder in GENERATED_FOLDERS:
        files = [path for path in paths if (directory / folder) in path.parents]
        yield dg.MaterializeResult(
            asset_key=["dashboards", folder],
            data_version=dg.DataVersion(_digest(directory, files)),
            metadata={
                "files": dg.MetadataValue.int(len(files)),
                "names": dg.MetadataValue.md(_listed(directory / folder, files)),
                "folder": dg.MetadataValue.path(directory / folder),
            },
        )


def _listed(folder: Path, files: Sequence[Path]) -> str:
    return "\n".join(f"- {path.relative_to(folder).as_posix()}" for path in files)


def _digest(directory: Path, files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(directory).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()
