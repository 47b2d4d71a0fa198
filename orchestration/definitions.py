"""What Dagster loads. ``holdwatch up`` serves it; ``holdwatch pipeline run`` executes it in its own process.

::

    holds/observability_events     counted; partitions made ahead
      └─ events gate               critical expectations block all that follows
          └─ analytics/*           dbt: staging, intermediate, rollups, views, and their tests
              └─ views gate        critical expectations block the files
                  └─ dashboards/*  what ops load, and the report for who has none of the tools
    flags/*                        the page about feature flags, and what they are everywhere
"""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from pathlib import Path

import dagster as dg

from orchestration import defs as topics
from orchestration.dagster_instance import DATABASE_URL_VARIABLE
from orchestration.dbt import dbt_executable
from orchestration.paths import DBT_PROJECT_DIR
from orchestration.resources import (
    DashboardsResource,
    DatabaseResource,
    DbtResource,
    ExpectationsResource,
    PipelineLock,
)

# Dagster calls backfill policies beta, and what it gives sensors itself; each process that loads this would say so.
warnings.filterwarnings("ignore", category=dg.BetaWarning)


def build_definitions(dashboards_directory: Path | None = None) -> dg.Definitions:
    """Merge what the topics define, and give it its resources.

    Args:
        dashboards_directory: Where the dashboard files go; the package's own folder where it is None.
    """
    # By name, not by value: a value would stand in Dagster's storage and UI, password and all.
    url = dg.EnvVar(DATABASE_URL_VARIABLE)
    resources = {
        "database": DatabaseResource(url=url),
        "pipeline_lock": PipelineLock(url=url),
        "expectations": ExpectationsResource(url=url),
        "dbt": DbtResource(
            project_dir=str(DBT_PROJECT_DIR),
            profiles_dir=str(DBT_PROJECT_DIR),
            dbt_executable=dbt_executable(),
            url=url,
        ),
        "dashboard_folder": DashboardsResource(
            directory=None if dashboards_directory is None else str(dashboards_directory)
        ),
    }
    return dg.Definitions.merge(
        *(
            importlib.import_module(f"{topics.__name__}.{topic.name}").definitions()
            for topic in pkgutil.iter_modules(topics.__path__)
        ),
        dg.Definitions(resources=resources, executor=dg.in_process_executor),
    )


defs = build_definitions()
