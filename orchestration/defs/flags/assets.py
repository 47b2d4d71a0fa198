"""The reports of feature flags, and what is wrong: an unsafe combination, a trail that somebody has changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from holds_core.flags.changes import list_changes
from holds_core.flags.loading import packaged_definitions
from holds_core.flags.matrix import Row, build_matrix
from holds_core.flags.reports import as_csv, as_markdown
from holds_core.flags.snapshot import read_snapshot
from holds_core.flags.trail import Verdict, verify_trail
from holds_core.flags.variables import read_variables
from orchestration.asset_facts import Updates, docs, runbook, tags
from orchestration.flag_sources import REGISTRY, all_sources, registry_page, write_registry
from orchestration.jobs import PLATFORM
from orchestration.resources import DatabaseResource

REGISTRY_KEY = dg.AssetKey(["flags", "registry"])
AUDIT_KEY = dg.AssetKey(["flags", "audit"])


@dg.multi_asset(
    name="flag_reports",
    specs=[
        dg.AssetSpec(
            REGISTRY_KEY,
            description="The page about every flag, docs/feature-flags/registry.md, made of the definitions.",
            group_name="flags",
            owners=PLATFORM,
            kinds={"markdown"},
            tags=tags(Updates.HALF_HOUR, is_public=True),
            metadata={"docs": docs("feature-flags/README.md")},
        ),
        dg.AssetSpec(
            AUDIT_KEY,
            description="Every flag in every environment: default, override, what is in force, why, since when, whose.",
            deps=[["holds", "settings"], ["holds", "flag_changes"], ["holds", "observability_events"]],
            group_name="flags",
            owners=PLATFORM,
            kinds={"csv", "markdown"},
            tags=tags(Updates.HALF_HOUR, is_public=True),
            metadata={"docs": docs("feature-flags/README.md"), "runbook": runbook("unsafe-flags")},
        ),
    ],
    check_specs=[
        dg.AssetCheckSpec(
            "trail_is_whole",
            asset=AUDIT_KEY,
            description="Every entry follows on the one before, and what is in force is what the last ones say.",
        ),
        dg.AssetCheckSpec(
            "nothing_is_unsafe",
            asset=AUDIT_KEY,
            description="No unsafe combination, break-glass change, direct setting or expired flag is in force.",
        ),
    ],
)
def flag_reports(database: DatabaseResource) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """Write the page and the audit, and check them."""
    page = registry_page()
    write_registry(page)
    yield dg.MaterializeResult(
        asset_key=REGISTRY_KEY,
        data_version=_version(page),
        metadata={"flags": len(packaged_definitions()), "file": dg.MetadataValue.path(REGISTRY)},
    )
    with database.connect_in_step() as connection:
        environment = read_snapshot(connection).environment
        variables = read_variables(packaged_definitions())
        rows = build_matrix(all_sources(connection, variables, environment), datetime.now(UTC).date())
        waiting = len(list_changes(connection))
        verdict = verify_trail(connection)
    known = [row for row in rows if row.missing is None]
    markdown = as_markdown(known, datetime.now(UTC))
    folder = _write({"audit.csv": as_csv(rows), "audit.md": markdown})
    yield dg.MaterializeResult(
        asset_key=AUDIT_KEY,
        data_version=_version(as_csv(rows)),
        metadata={
            "matrix": dg.MetadataValue.md(markdown),
            "folder": dg.MetadataValue.path(folder),
            "changes_waiting": waiting,
            "trail_entries": verdict.entries,
            "trail_head": "-" if verdict.head is None else f"{verdict.head[0]}:{verdict.head[1]}",
        },
    )
    yield from _checks(known, verdict)


def _checks(rows: Sequence[Row], verdict: Verdict) -> Iterator[dg.AssetCheckResult]:
    yield dg.AssetCheckResult(
        asset_key=AUDIT_KEY,
        check_name="trail_is_whole",
        passed=not verdict.problems,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(verdict.problems[:3]) or None,
        metadata={"problems": len(verdict.problems)},
    )
    unsafe = [f"{row.flag} in {row.environment}: {', '.join(row.unsafe)}" for row in rows if row.unsafe]
    yield dg.AssetCheckResult(
        asset_key=AUDIT_KEY,
        check_name="nothing_is_unsafe",
        passed=not unsafe,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(unsafe[:3]) or None,
        metadata={"unsafe": len(unsafe)},
    )


def _write(texts: dict[str, str]) -> Path:
    """Write the reports beside Dagster's home; return their folder."""
    folder = Path(os.environ["DAGSTER_HOME"]).parent / "flags"
    folder.mkdir(mode=0o700, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    return folder


def _version(text: str) -> dg.DataVersion:
    return dg.DataVersion(hashlib.sha256(text.encode()).hexdigest())
