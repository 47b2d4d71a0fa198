"""A server that keeps dashboards and folders as Grafana's HTTP API does: versions, conflicts, provisioned ones.

Source: Grafana 12, "Dashboard API", "Folder API", "Folder/Dashboard Search API".
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.dashboards.http_server import Answer, JsonServer, RefusedError, Request, serving

TOKEN = "glsa_token-of-a-test"

PAGE = 2
"""The longest page of a search, whatever was asked for."""

Json = dict[str, Any]


@dataclass
class GrafanaServer(JsonServer):
    """What is kept: folders by uid, and of each dashboard its JSON and what is known of it."""

    folders: dict[str, Json] = field(default_factory=dict)
    boards: dict[str, Json] = field(default_factory=dict)
    meta: dict[str, Json] = field(default_factory=dict)
    ids: Iterator[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        for method, pattern, answer in (
            ("GET", "/api/health", lambda _: Answer(200, {"database": "ok", "version": "12.2.0"})),
            ("GET", r"/api/folders/(?P<uid>[\w-]+)", self._get_folder),
            ("POST", "/api/folders", self._create_folder),
            ("GET", r"/api/dashboards/uid/(?P<uid>[\w-]+)", self._get_board),
            ("DELETE", r"/api/dashboards/uid/(?P<uid>[\w-]+)", self._delete_board),
            ("POST", "/api/dashboards/db", self._save_board),
            ("GET", "/api/search", self._search),
        ):
            self.route(method, pattern, answer)

    def answer(self, request: Request) -> Answer:
        """Let nobody in without the token."""
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return Answer(401, {"message": f"Invalid API key: {request.headers.get('authorization')}"})
        return super().answer(request)

    def _get_folder(self, _: Request, uid: str) -> Answer:
        if uid not in self.folders:
            return Answer(404, {"message": "folder not found", "status": "not-found"})
        return Answer(200, self.folders[uid])

    def _create_folder(self, request: Request) -> Answer:
        uid = request.body["uid"]
        if uid in self.folders:
            raise RefusedError(412, {"message": "a folder with the same uid already exists"})
        self.folders[uid] = {"id": next(self.ids), "uid": uid, "title": request.body["title"]}
        return Answer(200, self.folders[uid])

    def _get_board(self, _: Request, uid: str) -> Answer:
        if uid not in self.boards:
            return Answer(404, {"message": "Dashboard not found"})
        return Answer(200, {"dashboard": self.boards[uid], "meta": self.meta[uid]})

    def _delete_board(self, _: Request, uid: str) -> Answer:
        title = self.boards.pop(uid)["title"]
        del self.meta[uid]
        return Answer(200, {"title": title, "message": f"Dashboard {title} deleted"})

    def _save_board(self, request: Request) -> Answer:
        board = copy.deepcopy(request.body["dashboard"])
        folder = request.body.get("folderUid") or ""
        if folder and folder not in self.folders:
            raise RefusedError(400, {"message": "folder not found"})
        uid = board["uid"]
        there = self.boards.get(uid)
        if there is None and board.get("id"):
            raise RefusedError(404, {"message": "Dashboard not found", "status": "not-found"})
        if there is not None and self.meta[uid].get("provisioned"):
            raise RefusedError(400, {"message": "Cannot save provisioned dashboard"})
        if there is not None and board.get("version") != there["version"] and not request.body["overwrite"]:
            raise RefusedError(
                412, {"message": "The dashboard has been changed by someone else", "status": "version-mismatch"}
            )
        board["id"] = next(self.ids) if there is None else there["id"]
        board["version"] = 1 if there is None else there["version"] + 1
        self.boards[uid] = board
        self.meta[uid] = {"folderUid": folder, "provisioned": False, "version": board["version"]}
        return Answer(200, {"id": board["id"], "uid": uid, "status": "success", "version": board["version"]})

    def _search(self, request: Request) -> Answer:
        found = [
            {"uid": uid, "title": board["title"], "type": "dash-db", "folderUid": self.meta[uid]["folderUid"]}
            for uid, board in sorted(self.boards.items())
            if self.meta[uid]["folderUid"] == request.query["folderUIDs"]
        ]
        size = min(int(request.query["limit"]), PAGE)
        begin = (int(request.query["page"]) - 1) * size
        return Answer(200, found[begin : begin + size])


@contextmanager
def grafana_server() -> Iterator[GrafanaServer]:
    """Give a server with nothing in it."""
    server = GrafanaServer()
    with serving(server):
        yield server
