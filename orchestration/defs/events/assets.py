"""What the holds core writes; the pipeline reads it, counts it and makes room for what is to come."""

from __future__ import annotations

import dagster as dg

from holds_core.database.migrations import ensure_event_partitions
from orchestration.dbt_manifest import source_columns
from orchestration.resources import DatabaseResource, PipelineLock

OWNERS = ["team:platform"]
GROUP = "holds"
KINDS = {"postgres", "table"}

_COUNTS = """
select environment, count(*), count(*) filter (where restaurant_id is null), min(occurred_at), max(occurred_at)
from holds.observability_events
group by environment
order by environment
"""

_COLUMN_TYPES = """
select attname::text, format_type(atttypid, null)
from pg_attribute
where attrelid = 'holds.observability_events'::regclass and attnum > 0 and not attisdropped
order by attnum
"""

hold_windows = dg.AssetSpec(
    ["holds", "table_hold_windows"],
    description="One row per table of a hold. Written by the holds core, guarded by its exclusion constraint.",
    group_name=GROUP,
    owners=OWNERS,
    kinds=KINDS,
)

settings = dg.AssetSpec(
    ["holds", "settings"],
    description="One row: which deployment this database serves, and whether strict enforcement is on.",
    group_name=GROUP,
    owners=OWNERS,
    kinds=KINDS,
)

restaurant_settings = dg.AssetSpec(
    ["holds", "restaurant_settings"],
    description="Where a restaurant differs from the settings of its database: strict by name, limits of its own.",
    group_name=GROUP,
    owners=OWNERS,
    kinds=KINDS,
)


@dg.asset(
    key=["holds", "observability_events"],
    description=(
        "Every event of the platform: assignments, holds, conflicts, manual operations. Written by the holds core and "
        "by imports, partitioned by UTC day. A run counts what is there and makes the partitions of the days to come."
    ),
    group_name=GROUP,
    owners=OWNERS,
    kinds=KINDS,
)
def observability_events(database: DatabaseResource, pipeline_lock: PipelineLock) -> dg.MaterializeResult[None]:
    """Count the events of each environment, and make the partitions that are missing."""
    with database.connect() as connection:
        partitions_made = ensure_event_partitions(connection)
        counts = connection.execute(_COUNTS).fetchall()
        types = connection.execute(_COLUMN_TYPES).fetchall()
    descriptions = source_columns("observability_events")
    newest = [row[4] for row in counts]
    metadata: dict[str, dg.MetadataValue] = {
        "dagster/row_count": dg.MetadataValue.int(sum(row[1] for row in counts)),
        "dagster/column_schema": dg.MetadataValue.table_schema(
            dg.TableSchema([dg.TableColumn(name, kind, descriptions.get(name)) for name, kind in types])
        ),
        "by_environment": dg.MetadataValue.table(
            [
                dg.TableRecord(
                    {
                        "environment": environment,
                        "events": count,
                        "without a restaurant": without,
                        "oldest": oldest.isoformat(),
                        "newest": latest.isoformat(),
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
