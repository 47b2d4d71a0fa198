"""A server that keeps what Datadog's API is sent, as Datadog does: over loopback, for its own client.

It refuses what Datadog refuses: other keys, bodies that its OpenAPI document has no place for (where that is at hand),
points that are too old, bodies that are too long, downtimes that begin in the past. It answers with the fields that
Datadog adds, with tags in its own order, and with shorter pages than asked for.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from itertools import count
from typing import Any

from dashboards.checks.openapi import V1, V2, OpenApi, open_document
from orchestration.cli.dashboards import SCHEMAS_DIR
from tests.dashboards.http_server import Answer, JsonServer, RefusedError, Request, serving

API_KEY = "0123456789abcdef-api-key-of-a-test"
APP_KEY = "0123456789abcdef-application-key-of-a-test"

PAGE = 5
"""The longest page that it gives, whatever was asked for."""

MAX_BYTES = 5 * 1024 * 1024
MAX_COMPRESSED_BYTES = 512_000

Json = dict[str, Any]
SeriesKey = tuple[str, tuple[str, ...]]


@dataclass
class DatadogServer(JsonServer):
    """What is kept."""

    monitors: dict[int, Json] = field(default_factory=dict)
    objectives: dict[str, Json] = field(default_factory=dict)
    boards: dict[str, Json] = field(default_factory=dict)
    downtimes: dict[str, Json] = field(default_factory=dict)
    points: dict[SeriesKey, dict[int, float]] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    documents: dict[str, OpenApi] = field(default_factory=dict)
    ids: Iterator[int] = field(default_factory=lambda: count(1000))

    def __post_init__(self) -> None:
        self.documents = {
            name: open_document(SCHEMAS_DIR / name) for name in (V1, V2) if (SCHEMAS_DIR / name).is_file()
        }
        for method, pattern, answer in (
            ("GET", "/api/v1/monitor", self._list_monitors),
            ("POST", "/api/v1/monitor/validate", self._validate_monitor),
            ("POST", "/api/v1/monitor", self._create_monitor),
            ("PUT", r"/api/v1/monitor/(?P<identifier>\d+)", self._update_monitor),
            ("DELETE", r"/api/v1/monitor/(?P<identifier>\d+)", self._delete_monitor),
            ("GET", "/api/v1/slo", self._list_objectives),
            ("POST", "/api/v1/slo", self._create_objective),
            ("PUT", r"/api/v1/slo/(?P<identifier>\w+)", self._update_objective),
            ("DELETE", r"/api/v1/slo/(?P<identifier>\w+)", self._delete_objective),
            ("GET", "/api/v1/dashboard", self._list_boards),
            ("GET", r"/api/v1/dashboard/(?P<identifier>[\w-]+)", self._get_board),
            ("POST", "/api/v1/dashboard", self._create_board),
            ("PUT", r"/api/v1/dashboard/(?P<identifier>[\w-]+)", self._update_board),
            ("DELETE", r"/api/v1/dashboard/(?P<identifier>[\w-]+)", self._delete_board),
            ("GET", "/api/v2/downtime", self._list_downtimes),
            ("POST", "/api/v2/downtime", self._create_downtime),
            ("PATCH", r"/api/v2/downtime/(?P<identifier>\w+)", self._update_downtime),
            ("DELETE", r"/api/v2/downtime/(?P<identifier>\w+)", self._cancel_downtime),
            ("POST", "/api/v2/series", self._take_series),
        ):
            self.route(method, pattern, answer)

    def answer(self, request: Request) -> Answer:
        """Let nobody in who has no keys."""
        needed = {"dd-api-key": API_KEY}
        if request.path != "/api/v2/series":
            needed["dd-application-key"] = APP_KEY
        if any(request.headers.get(name) != key for name, key in needed.items()):
            # Some proxies repeat what they were sent.
            return Answer(403, {"errors": ["Forbidden", f"no such key: {request.headers.get('dd-api-key')}"]})
        return super().answer(request)

    def counted(self, metric: str, *tags: str) -> float:
        """Return the sum of all points of the series of a metric that have these tags: what ``as_count()`` sums."""
        return sum(
            sum(points.values())
            for (name, named), points in self.points.items()
            if name == metric and set(tags) <= set(named)
        )

    def _fits(self, document: str, schema: str, body: Any) -> None:
        if document in self.documents and (problems := _problems(self.documents[document], schema, json.dumps(body))):
            raise RefusedError(400, {"errors": problems})

    def _list_monitors(self, request: Request) -> Answer:
        tag = request.query["monitor_tags"]
        found = [one for one in self.monitors.values() if tag in one["tags"]]
        size = min(int(request.query["page_size"]), PAGE)
        begin = int(request.query["page"]) * size
        return Answer(200, found[begin : begin + size])

    def _validate_monitor(self, request: Request) -> Answer:
        self._fits(V1, "Monitor", request.body)
        if not request.body["query"].startswith("max(last_5m):"):
            raise RefusedError(400, {"errors": ["The value provided for parameter 'query' is invalid"]})
        return Answer(200, {})

    def _create_monitor(self, request: Request) -> Answer:
        self._fits(V1, "Monitor", request.body)
        identifier = next(self.ids)
        self.monitors[identifier] = _monitor(identifier, request.body)
        return Answer(200, self.monitors[identifier])

    def _update_monitor(self, request: Request, identifier: str) -> Answer:
        self._fits(V1, "MonitorUpdateRequest", request.body)
        self.monitors[int(identifier)] = _monitor(int(identifier), request.body)
        return Answer(200, self.monitors[int(identifier)])

    def _delete_monitor(self, _: Request, identifier: str) -> Answer:
        del self.monitors[int(identifier)]
        return Answer(200, {"deleted_monitor_id": int(identifier)})

    def _list_objectives(self, request: Request) -> Answer:
        found = [one for one in self.objectives.values() if request.query["tags_query"] in one["tags"]]
        return Answer(200, {"data": _slice(found, request.query["offset"], request.query["limit"]), "errors": []})

    def _create_objective(self, request: Request) -> Answer:
        self._fits(V1, "ServiceLevelObjectiveRequest", request.body)
        identifier = f"slo{next(self.ids)}"
        self.objectives[identifier] = _objective(identifier, request.body)
        return Answer(200, {"data": [self.objectives[identifier]]})

    def _update_objective(self, request: Request, identifier: str) -> Answer:
        self._fits(V1, "ServiceLevelObjective", request.body)
        self.objectives[identifier] = _objective(identifier, request.body)
        return Answer(200, {"data": [self.objectives[identifier]]})

    def _delete_objective(self, _: Request, identifier: str) -> Answer:
        del self.objectives[identifier]
        return Answer(200, {"data": [identifier]})

    def _list_boards(self, request: Request) -> Answer:
        found = [
            {name: one[name] for name in ("id", "title", "description", "layout_type", "url")}
            for one in self.boards.values()
        ]
        return Answer(200, {"dashboards": _slice(found, request.query["start"], request.query["count"])})

    def _get_board(self, _: Request, identifier: str) -> Answer:
        return Answer(200, self.boards[identifier])

    def _create_board(self, request: Request) -> Answer:
        self._fits(V1, "Dashboard", request.body)
        identifier = f"abc-{next(self.ids)}"
        self.boards[identifier] = self._board(identifier, request.body)
        return Answer(200, self.boards[identifier])

    def _update_board(self, request: Request, identifier: str) -> Answer:
        self._fits(V1, "Dashboard", request.body)
        self.boards[identifier] = self._board(identifier, request.body)
        return Answer(200, self.boards[identifier])

    def _delete_board(self, _: Request, identifier: str) -> Answer:
        del self.boards[identifier]
        return Answer(200, {"deleted_dashboard_id": identifier})

    def _board(self, identifier: str, body: Json) -> Json:
        board = {**copy.deepcopy(body), "id": identifier, "url": f"/dashboard/{identifier}", "author_handle": "a@b.c"}
        self._name_widgets(board["widgets"])
        return board

    def _name_widgets(self, widgets: list[Json]) -> None:
        for widget in widgets:
            widget["id"] = next(self.ids)
            self._name_widgets(widget["definition"].get("widgets", []))

    def _list_downtimes(self, request: Request) -> Answer:
        now = datetime.now(UTC)
        for one in self.downtimes.values():
            attributes = one["attributes"]
            schedule = {name: datetime.fromisoformat(at) for name, at in attributes["schedule"].items()}
            if attributes["status"] != "canceled":
                is_on = schedule["start"] <= now < schedule["end"]
                attributes["status"] = "active" if is_on else "scheduled" if now < schedule["start"] else "ended"
        found = list(self.downtimes.values())
        return Answer(200, {"data": _slice(found, request.query["page[offset]"], request.query["page[limit]"])})

    def _create_downtime(self, request: Request) -> Answer:
        self._fits(V2, "DowntimeCreateRequest", request.body)
        identifier = f"dt{next(self.ids)}"
        attributes = request.body["data"]["attributes"]
        self.downtimes[identifier] = {
            "id": identifier,
            "type": "downtime",
            "attributes": {**attributes, "schedule": _schedule(attributes["schedule"]), "status": "scheduled"},
        }
        return Answer(200, {"data": self.downtimes[identifier]})

    def _update_downtime(self, request: Request, identifier: str) -> Answer:
        self._fits(V2, "DowntimeUpdateRequest", request.body)
        attributes = request.body["data"]["attributes"]
        there = self.downtimes[identifier]["attributes"]
        schedule = _schedule({"start": None, **attributes["schedule"]}, there["schedule"]["start"])
        self.downtimes[identifier]["attributes"] = {**there, **attributes, "schedule": schedule}
        return Answer(200, {"data": self.downtimes[identifier]})

    def _cancel_downtime(self, _: Request, identifier: str) -> Answer:
        self.downtimes[identifier]["attributes"]["status"] = "canceled"
        return Answer(204)

    def _take_series(self, request: Request) -> Answer:
        self._fits(V2, "MetricPayload", request.body)
        is_too_long = len(json.dumps(request.body)) > MAX_BYTES or request.raw_length > MAX_COMPRESSED_BYTES
        if is_too_long or request.headers.get("content-encoding") != "gzip":
            raise RefusedError(413, {"errors": ["Payload too big"]})
        now = datetime.now(UTC).timestamp()
        for series in request.body["series"]:
            assert self.kinds.setdefault(series["metric"], series["type"]) == series["type"]
            kept = self.points.setdefault((series["metric"], tuple(sorted(series["tags"]))), {})
            for point in series["points"]:
                if not now - 3600 <= point["timestamp"] <= now + 600:
                    raise RefusedError(400, {"errors": [f"{series['metric']}: {point['timestamp']} is out of range"]})
                # What comes last for one time is kept, of counts as well.
                kept[point["timestamp"]] = point["value"]
        return Answer(202, {"errors": []})


@contextmanager
def datadog_server() -> Iterator[DatadogServer]:
    """Give a server with nothing in it."""
    server = DatadogServer()
    with serving(server):
        yield server


@cache
def _problems(document: OpenApi, schema: str, body: str) -> list[str]:
    """Look at a body once, however often it is sent."""
    return document.problems(json.loads(body), schema)


def _slice(found: list[Json], offset: str, limit: str) -> list[Json]:
    return found[int(offset) : int(offset) + min(int(limit), PAGE)]


def _monitor(identifier: int, body: Json) -> Json:
    defaults = {"silenced": {}, "locked": False, "escalation_message": "", "new_host_delay": 300}
    return {
        **body,
        "id": identifier,
        "tags": sorted(body["tags"], key=lambda tag: tag[::-1]),
        "options": {**defaults, **body["options"]},
        "multi": True,
        "overall_state": "OK",
        "created": "2026-01-01T00:00:00+00:00",
        "restricted_roles": None,
    }


def _objective(identifier: str, body: Json) -> Json:
    thresholds = [{**one, "target_display": f"{one['target']:.2f}"} for one in body["thresholds"]]
    return {
        **body,
        "id": identifier,
        "tags": sorted(body["tags"], key=lambda tag: tag[::-1]),
        "thresholds": thresholds,
        "created_at": 1,
        "monitor_tags": [],
    }


def _schedule(wanted: Json, started: str | None = None) -> Json:
    now = datetime.now(UTC)
    start = wanted.get("start")
    if start is not None and start != started and datetime.fromisoformat(start) < now:
        raise RefusedError(400, {"errors": ["Scheduled downtime start cannot be in the past"]})
    begins = datetime.fromisoformat(start or started or now.isoformat())
    # In a form of its own.
    return {
        "start": begins.strftime("%Y-%m-%dT%H:%M:%S.%f+00:00"),
        "end": datetime.fromisoformat(wanted["end"]).strftime("%Y-%m-%dT%H:%M:%S.%f+00:00"),
    }
