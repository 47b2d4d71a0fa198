"""What the holds core writes; the pipeline reads it, counts it and makes room for what is to come."""

from __future__ import annotations

from typing import Any

import dagster as dg

from holds_core.database.migrations import ensure_event_partitions
from orchestration.asset_facts import Updates, docs, runbook, table, tags
from orchestration.dbt_manifest import source_columns
from orchestration.jobs import PLATFORM
from orchestration.resources import DatabaseResource, PipelineLock

SCHEMA = "holds"
GROUP = "holds"
KINDS = {"postgres", "table"}

_COUNTS = """
select environment, count(*), count(*) filter (where restaurant_id is null), min(occurred_at), max(occurred_at)
from holds.observability_events
group by environment
order by environment
"""


def source(name: str, description: str, **metadata: dg.MetadataValue[Any]) -> dg.AssetSpec:
    """Return a table of the holds core that models read and no run writes."""
    return dg.AssetSpec(
        [SCHEMA, name],
        description=f"{description} Written by the holds core alone: there is nothing to materialize.",
        group_name=GROUP,
        owners=PLATFORM,
        kinds=KINDS,
        tags=tags(Updates.BY_THE_PLATFORM, is_public=False),
        metadata=table(f"{SCHEMA}.{name}", source_columns(name)) | metadata,
    )


hold_windows = source(
    "table_hold_windows",
    "One row per table of a hold; its exclusion constraint refuses what overlaps.",
    docs=docs("holds.md"),
    runbook=runbook("double-booking"),
)

settings = source(
    "settings",
    "One row: which deployment this database serves, and whether strict enforcement is on.",
    docs=docs("holds.md"),
)

restaurant_settings = source(
    "restaurant_settings",
    "Where a restaurant differs from the settings of its database: strict by name, limits of its own.",
    docs=docs("holds.md"),
)

flag_changes = source(
    "flag_changes",
    "Every change of a feature flag that was asked for, and what became of it.",
    docs=docs("feature-flags/README.md"),
    runbook=runbook("unsafe-flags"),
)


@dg.asset(
    key=[SCHEMA, "observability_events"],
    description=(
        "Every event of the platform: assignments, holds, conflicts, manual operations. Written by the holds core and "
        "by imports, partitioned by UTC day. A run counts what is there and makes the partitions of the days to come."
    ),
    group_name=GROUP,
    owners=PLATFORM,
    kinds=KINDS,
    tags=tags(Updates.BY_THE_PLATFORM, is_public=False),
    metadata=table(f"{SCHEMA}.observability_events", source_columns("observability_events"))
    | {"docs": docs("events.md"), "runbook": runbook("telemetry-stale")},
)
def observability_events(database: DatabaseResource, pipeline_lock: PipelineLock) -> dg.MaterializeResult[None]:
    """Count the events of each environment, and make the partitions that are missing."""
    with database.connect_in_step() as connection:
        partitions_made = ensure_event_partitions(connection)
        counts = connection.execute(_COUNTS).fetchall()
    newest = [row[4] for row in counts]
    metadata: dict[str, dg.MetadataValue[Any]] = {
        "dagster/row_count": dg.MetadataValue.int(sum(row[1] for row in counts)),
        "by_environment": dg.MetadataValue.table(
            [
                dg.TableRecord(
                    {
                        "environment": environment,
                        "events": count,
                        "without a restaurant": without,
                        "oldest": f"{oldest:%Y-%m-%d %H:%M:%S} UTC",
                        "newest": f"{latest:%Y-%m-%d %H:%M:%S} UTC",
                    }
                )
                for environment, count, without, oldest, latest in counts
            ],
            dg.TableSchema(
                [
                    dg.TableColumn("environment", "string"),
                    dg.TableColumn("events", "int"),
                    dg.TableColumn("without a restaurant", "int"),
                    dg.TableColumn("oldest", "string"),
                    dg.TableColumn("newest", "string"),
                ]
            ),
        ),
        "partitions_made": dg.MetadataValue.int(partitions_made),
    }
    if newest:
        metadata["newest_event_at"] = dg.MetadataValue.timestamp(max(newest))
    return dg.MaterializeResult(metadata=metadata)
