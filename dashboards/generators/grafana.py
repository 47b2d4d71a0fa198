"""The Grafana dashboards: the classic schema, for file provisioning, import in the UI, and the HTTP API."""

from __future__ import annotations

import json
from collections.abc import Callable

from dashboards.generators.grafana_flags import add_flags
from dashboards.generators.grafana_holds import add_holds
from dashboards.generators.grafana_overview import add_overview
from dashboards.generators.grafana_page import FLAGS, HOLDS, OVERVIEW, PIPELINE, RESTAURANT, Page, new_page
from dashboards.generators.grafana_pipeline import add_pipeline
from dashboards.generators.grafana_restaurant import add_restaurant
from dashboards.generators.grafana_sdk import JSONEncoder, dashboard_builder

_PANELS: dict[Page, Callable[[dashboard_builder.Dashboard], None]] = {
    OVERVIEW: add_overview,
    RESTAURANT: add_restaurant,
    HOLDS: add_holds,
    FLAGS: add_flags,
    PIPELINE: add_pipeline,
}


def files() -> dict[str, str]:
    """Return the dashboards as paths below ``dashboards/`` and their texts."""
    return {f"grafana/{page.name}.json": _text(page) for page in _PANELS}


def _text(page: Page) -> str:
    built = new_page(page)
    _PANELS[page](built)
    return json.dumps(built.build(), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
