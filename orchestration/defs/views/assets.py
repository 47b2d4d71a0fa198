"""dbt's models as assets, and its tests as their checks: one ``dbt build`` for all of them."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtProject, dbt_assets

from orchestration.dbt_manifest import manifest
from orchestration.resources import DbtResource
from orchestration.rollups import ROLLUPS

OWNERS = ["team:analytics"]
SCHEMA = "analytics"

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
        """Return what Dagster knows of a model; a rollup is stale when its refreshes stay away."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        return spec.replace_attributes(freshness_policy=_REFRESHED) if spec.key.path[-1] in ROLLUPS else spec

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """Return the model's folder: staging, intermediate, views."""
        folders = dbt_resource_props["fqn"][1:-1]
        return str(folders[0]) if folders else None

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:  # noqa: ARG002
        """Return the team that answers for the models."""
        return OWNERS


@dbt_assets(manifest=manifest(), dagster_dbt_translator=Translator(), name="dbt_build")
def views(context: dg.AssetExecutionContext, dbt: DbtResource) -> Iterator[Any]:
    """Build and test the models."""
    yield from dbt.build(context).stream()
