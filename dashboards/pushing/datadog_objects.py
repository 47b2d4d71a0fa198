"""The kinds of objects that are kept in Datadog: how each is told from others', listed, compared and written.

An object is found again by a mark that people do not change by accident: monitors and objectives by their tags,
dashboards and downtimes, which have none of one's own, by a line in their description or message.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

from datadog_api_client.v1.api.dashboards_api import DashboardsApi
from datadog_api_client.v1.api.monitors_api import MonitorsApi
from datadog_api_client.v1.api.service_level_objectives_api import ServiceLevelObjectivesApi
from datadog_api_client.v2.api.downtimes_api import DowntimesApi

from dashboards.generators.datadog_monitors import MANAGED_TAG
from dashboards.pushing import downtimes
from dashboards.pushing.datadog_api import DatadogApi

PAGE = 100

Json = dict[str, Any]

_BOARD = re.compile(rf"{MANAGED_TAG} dashboard:(\S+)")


class Kind(ABC):
    """One kind of object."""

    name: str
    plural: str

    def __init__(self, api: DatadogApi) -> None:
        self._api = api

    @abstractmethod
    def key(self, body: Json) -> str | None:
        """Return what tells an object from all others of its kind; None if it is not ours."""

    @abstractmethod
    def listed(self) -> Iterator[tuple[Json, Json]]:
        """Give what is there: each object as it is listed, and what of it is to be compared."""

    @abstractmethod
    def create(self, body: Json) -> None:
        """Create one."""

    @abstractmethod
    def update(self, there: Json, body: Json) -> None:
        """Make one that is there like the body."""

    @abstractmethod
    def delete(self, there: Json) -> None:
        """Delete one that is there."""

    def comparable(self, body: Json) -> Json:
        """Return what of our own body is to be compared."""
        return body

    def validate(self, body: Json) -> None:  # noqa: B027  most have no such call
        """Ask whether it would be taken, where the API has a call for that; nothing is changed.

        Raises:
            PushError: It would not be.
        """


class Monitors(Kind):
    """Monitors, by the tag ``alert:…``."""

    name = "monitor"
    plural = "monitors"

    def __init__(self, api: DatadogApi) -> None:
        super().__init__(api)
        self._monitors = MonitorsApi(api.client)

    def key(self, body: Json) -> str | None:
        """Return the alert's name."""
        return _tagged(body, "alert")

    def comparable(self, body: Json) -> Json:
        """Return it with its tags in order: Datadog has one of its own."""
        return _with_sorted_tags(body)

    def listed(self) -> Iterator[tuple[Json, Json]]:
        """Give those with our tag."""
        found = _all(
            lambda page, _: self._api.listed(
                "list the monitors",
                None,
                self._monitors.list_monitors,
                monitor_tags=MANAGED_TAG,
                page=page,
                page_size=PAGE,
            )
        )
        yield from ((one, _with_sorted_tags(one)) for one in found)

    def validate(self, body: Json) -> None:
        """Let Datadog read the query and the options."""
        self._api.call(f"validate the monitor {self.key(body)}", self._monitors.validate_monitor, body=body)

    def create(self, body: Json) -> None:
        """Create one."""
        self._api.call(f"create the monitor {self.key(body)}", self._monitors.create_monitor, body=body)

    def update(self, there: Json, body: Json) -> None:
        """Write it; its type cannot be changed, and is not."""
        self._api.call(
            f"update the monitor {self.key(body)}", self._monitors.update_monitor, monitor_id=there["id"], body=body
        )

    def delete(self, there: Json) -> None:
        """Delete one that is there."""
        self._api.call(f"delete the monitor {there['id']}", self._monitors.delete_monitor, monitor_id=there["id"])


class Objectives(Kind):
    """Service level objectives, by the tag ``slo:…``."""

    name = "objective"
    plural = "objectives"

    def __init__(self, api: DatadogApi) -> None:
        super().__init__(api)
        self._objectives = ServiceLevelObjectivesApi(api.client)

    def key(self, body: Json) -> str | None:
        """Return the objective's name."""
        return _tagged(body, "slo")

    def comparable(self, body: Json) -> Json:
        """Return it with its tags in order."""
        return _with_sorted_tags(body)

    def listed(self) -> Iterator[tuple[Json, Json]]:
        """Give those with our tag."""
        found = _all(
            lambda _, offset: self._api.listed(
                "list the objectives",
                "data",
                self._objectives.list_slos,
                tags_query=MANAGED_TAG,
                limit=PAGE,
                offset=offset,
            )
        )
        yield from ((one, _with_sorted_tags(one)) for one in found)

    def create(self, body: Json) -> None:
        """Create one."""
        self._api.call(f"create the objective {self.key(body)}", self._objectives.create_slo, body=body)

    def update(self, there: Json, body: Json) -> None:
        """Write it."""
        self._api.call(
            f"update the objective {self.key(body)}", self._objectives.update_slo, slo_id=there["id"], body=body
        )

    def delete(self, there: Json) -> None:
        """Delete one that is there."""
        self._api.call(f"delete the objective {there['id']}", self._objectives.delete_slo, slo_id=there["id"])


class Boards(Kind):
    """Dashboards, by a line in their description."""

    name = "dashboard"
    plural = "dashboards"

    def __init__(self, api: DatadogApi) -> None:
        super().__init__(api)
        self._boards = DashboardsApi(api.client)

    def key(self, body: Json) -> str | None:
        """Return the dashboard's name."""
        found = _BOARD.search(str(body.get("description") or ""))
        return found[1] if found else None

    def listed(self) -> Iterator[tuple[Json, Json]]:
        """Give ours; the list has no widgets, so each is asked for."""
        found = _all(
            lambda _, start: self._api.listed(
                "list the dashboards", "dashboards", self._boards.list_dashboards, count=PAGE, start=start
            )
        )
        for one in found:
            if (key := self.key(one)) is not None:
                whole = self._api.call(f"read the dashboard {key}", self._boards.get_dashboard, dashboard_id=one["id"])
                yield one, whole

    def create(self, body: Json) -> None:
        """Create one."""
        self._api.call(f"create the dashboard {self.key(body)}", self._boards.create_dashboard, body=body)

    def update(self, there: Json, body: Json) -> None:
        """Write it."""
        self._api.call(
            f"update the dashboard {self.key(body)}",
            self._boards.update_dashboard,
            dashboard_id=there["id"],
            body=body,
        )

    def delete(self, there: Json) -> None:
        """Delete one that is there."""
        self._api.call(f"delete the dashboard {there['id']}", self._boards.delete_dashboard, dashboard_id=there["id"])


class Downtimes(Kind):
    """Downtimes, by a line in their message; of some environments alone, since each database knows its own."""

    name = "downtime"
    plural = "downtimes"

    def __init__(self, api: DatadogApi, environments: frozenset[str]) -> None:
        super().__init__(api)
        self._downtimes = DowntimesApi(api.client)
        self._scopes = {f"env:{environment}" for environment in environments}

    def key(self, body: Json) -> str | None:
        """Return the window and the beginning of the occurrence."""
        return downtimes.key_of(body["data"]["attributes"] if "data" in body else body.get("attributes") or {})

    def comparable(self, body: Json) -> Json:
        """Return its attributes."""
        return downtimes.comparable(body["data"]["attributes"])

    def listed(self) -> Iterator[tuple[Json, Json]]:
        """Give those of our environments that are on or to come."""
        found = _all(
            lambda _, offset: self._api.listed(
                "list the downtimes",
                "data",
                self._downtimes.list_downtimes,
                page_offset=offset,
                page_limit=PAGE,
            )
        )
        for one in found:
            attributes = one.get("attributes") or {}
            is_over = attributes.get("status") in ("ended", "canceled")
            if not is_over and attributes.get("scope") in self._scopes and self.key(one) is not None:
                yield one, downtimes.comparable(attributes)

    def create(self, body: Json) -> None:
        """Create one."""
        self._api.call(f"create the downtime {self.key(body)}", self._downtimes.create_downtime, body=body)

    def update(self, there: Json, body: Json) -> None:
        """Write it."""
        self._api.call(
            f"update the downtime {self.key(body)}",
            self._downtimes.update_downtime,
            downtime_id=there["id"],
            body={"data": {**body["data"], "id": there["id"]}},
        )

    def delete(self, there: Json) -> None:
        """Cancel one that is on or to come."""
        self._api.call(f"cancel the downtime {there['id']}", self._downtimes.cancel_downtime, downtime_id=there["id"])


def _all(page_of: Callable[[int, int], list[Json]]) -> list[Json]:
    """Return what is on all pages: until one brings nothing new, since a server may make them shorter than asked for.

    Args:
        page_of: Gives a page, by its number and by how many objects came before it.
    """
    found: dict[str, Json] = {}
    page = offset = 0
    while True:
        objects = page_of(page, offset)
        new = {str(one["id"]): one for one in objects if str(one["id"]) not in found}
        if not new:
            return list(found.values())
        found |= new
        page += 1
        offset += len(objects)


def _tagged(body: Json, name: str) -> str | None:
    tags = [str(tag) for tag in body.get("tags") or []]
    named = [tag.partition(":")[2] for tag in tags if tag.startswith(f"{name}:")]
    return named[0] if named and MANAGED_TAG in tags else None


def _with_sorted_tags(body: Json) -> Json:
    return {**body, "tags": sorted(str(tag) for tag in body.get("tags") or [])}
