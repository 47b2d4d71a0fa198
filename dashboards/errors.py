"""Errors of the dashboards that are the user's to mend."""

from __future__ import annotations

from holds_core.errors import HoldsError
from holds_core.extras import install_command


class DashboardsExtraMissingError(HoldsError):
    """The extra that generates dashboards is not installed."""

    def __init__(self) -> None:
        super().__init__(f"Generating dashboards needs the extra 'dashboards': {install_command('dashboards')}")


class ReaderRoleError(HoldsError):
    """The dashboards' queries cannot be run as the role that Grafana uses."""


class MacroError(HoldsError):
    """A query has a macro or a variable that Grafana would not expand."""


class MetricsServerError(HoldsError):
    """Metrics cannot be served where they were to be."""


class MissingViewsError(HoldsError):
    """The database lacks views that are to be read."""

    def __init__(self, said: str) -> None:
        super().__init__(f"The views are missing, or of another release ({said}); build them: holdwatch pipeline run.")


class PushError(HoldsError):
    """What was to be sent elsewhere could not be, and why."""
