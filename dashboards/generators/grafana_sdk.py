"""The parts of grafana-foundation-sdk that are used, imported in the one place that knows about their warning."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    # The SDK would rather have the v2 schema; Grafana 13.0's file provisioning refuses that (grafana issue 127928).
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.builders import common as common_builder
    from grafana_foundation_sdk.builders import dashboard as dashboard_builder
    from grafana_foundation_sdk.builders import stat, statetimeline, table, timeseries
    from grafana_foundation_sdk.cog.builder import Builder
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.variants import Dataquery
    from grafana_foundation_sdk.models import common, dashboard, units

__all__ = [
    "Builder",
    "Dataquery",
    "JSONEncoder",
    "common",
    "common_builder",
    "dashboard",
    "dashboard_builder",
    "stat",
    "statetimeline",
    "table",
    "timeseries",
    "units",
]
