"""The files for Datadog: bodies for its API, for Terraform, and for import in its UI.

Downtimes are none of them: they come from the maintenance that a database knows of, when they are pushed.
"""

from __future__ import annotations

import json

from dashboards.alerts import ALERTS
from dashboards.generators.datadog_dashboard import dashboard
from dashboards.generators.datadog_monitors import monitor
from dashboards.generators.datadog_objectives import success_objective


def files() -> dict[str, str]:
    """Return them as paths below ``dashboards/`` and their texts."""
    bodies = {f"datadog/monitors/{alert.name}.json": monitor(alert) for alert in ALERTS}
    bodies["datadog/dashboards/overview.json"] = dashboard()
    bodies["datadog/slos/success.json"] = success_objective()
    return {path: json.dumps(body, indent=2, ensure_ascii=False) + "\n" for path, body in bodies.items()}
