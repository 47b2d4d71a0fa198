"""dbt's models as assets, and its tests as their checks: one ``dbt build`` for all of them."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtProject, dbt_assets

from dashboards.catalogue import ALERT_VERDICTS, SIGNALS, VIEWS
from orchestration.asset_facts import Updates, docs, runbook, tags
from orchestration.dbt_manifest import manifest
from orchestration.jobs import ANALYTICS
from orchestration.resources import DbtResource
from orchestration.rollups import ROLLUPS

SCHEMA = "analytics"

# The first signal of a view is the one that it is named after.
_SIGNALS = {signal.view: signal for signal in (*reversed(SIGNALS), ALERT_VERDICTS)}

# Refreshed every five minutes: three that are missed are worth a look, six are wrong.
_REFRESHED = dg.FreshnessPolicy.time_window(warn_window=timedelta(minutes=15), fail_window=timedelta(minutes=30))


class Translator(DagsterDbtTranslator):
    """Keys as the database names the relations, groups as the project's folders."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """Return ``schema/relation``; sources have that form already."""
        if dbt_resource_props["resource_type"] == "source":
            return super().get_asset_key(dbt_resource_props)
        return dg.AssetKey([SCHEMA, dbt_resource_props["name"]])

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        """Return what Dagster knows of a model: how it is kept, who reads it, and where to read on.

        A rollup is stale when its refreshes stay away.
        """
        spec = super().get_asset_spec(manifest, unique_id, project)
        if not unique_id.startswith("model."):
            return spec
        name, props = spec.key.path[-1], self.get_resource_props(manifest, unique_id)
        is_public, is_rollup = name in VIEWS, name in ROLLUPS
        is_live = props["config"]["materialized"] == "view"
        stored = Updates.FIVE_MINUTES if props["fqn"][1] == "rollups" else Updates.HALF_HOUR
        spec = spec.merge_attributes(
            tags=tags(Updates.LIVE if is_live else stored, is_public=is_public),
            metadata=_links(manifest, unique_id, name),
        )
        return spec.replace_attributes(freshness_policy=_REFRESHED) if is_rollup else spec

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """Return the model's description. Its SQL is one click away, not between the reader and the columns."""
        return " ".join(dbt_resource_props["description"].split())

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """Return the model's folder: staging, intermediate, views."""
        folders = dbt_resource_props["fqn"][1:-1]
        return str(folders[0]) if folders else None

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:  # noqa: ARG002
        """Return the team that answers for the models."""
        return ANALYTICS


def _links(manifest: Mapping[str, Any], unique_id: str, name: str) -> dict[str, dg.MetadataValue[Any]]:
    """Return where to read on: its SQL, the dashboards that read it, the pages about it, what to do if it is bad."""
    node = manifest["nodes"][unique_id]
    links: dict[str, dg.MetadataValue[Any]] = {}
    if (signal := _SIGNALS.get(name)) is not None:
        links |= {"good is": dg.MetadataValue.text(signal.good), "runbook": runbook(signal.runbook)}
    readers = [one["label"] for one in manifest["exposures"].values() if unique_id in one["depends_on"]["nodes"]]
    if readers:
        links["read by"] = dg.MetadataValue.text("; ".join(sorted(readers)))
    if name in VIEWS:
        links["docs"] = docs(f"reference/views.md#{name}")
    elif node["fqn"][1] == "rollups":
        links["docs"] = docs("rollups.md")
    return links | {
        "file": dg.MetadataValue.path(f"dbt_project/{node['original_file_path']}"),
        "sql": dg.MetadataValue.md(f"```sql\n{node['raw_code']}\n```"),
    }


@dbt_assets(manifest=manifest(), dagster_dbt_translator=Translator(), name="dbt_build")
def views(context: dg.AssetExecutionContext, dbt: DbtResource) -> Iterator[Any]:
    """Build and test the models."""
    yield from dbt.build(context).stream()
