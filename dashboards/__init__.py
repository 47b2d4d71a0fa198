"""What ops load, generated from one catalogue: Grafana dashboards and Datadog monitors.

Importing this is cheap; the generators' libraries are imported when something is generated.
"""

from dashboards.files import differences, generate, write

__all__ = ["differences", "generate", "write"]
