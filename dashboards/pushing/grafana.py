"""Brings the dashboards into a folder of Grafana: created or updated by their uid, never twice.

Alert rules are not brought over the API: Grafana reads them from files (``dashboards/grafana-alerting``), and what is
provisioned from files cannot be changed over the API, nor the other way round.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dashboards.checks.loading import load
from dashboards.errors import PushError
from dashboards.pushing.grafana_api import GrafanaApi
from dashboards.pushing.plan import Action, Change, Difference, Plan, differences

FOLDER_UID = "holdwatch"
FOLDER_TITLE = "Holdwatch"
UID_PREFIX = "holdwatch-"
"""Of all our dashboards, and of nobody else's in that folder."""

PAGE = 500

ALERT_RULES_NOTE = (
    "Alert rules are not pushed: Grafana reads them from files, dashboards/grafana-alerting (see dashboards/README.md)."
)

Json = dict[str, Any]


def plan_grafana(api: GrafanaApi, directory: Path, *, prune: bool = False) -> Plan:
    """Work out what is to be done; nothing is changed.

    Args:
        api: Where to.
        directory: The folder that has ``grafana/``.
        prune: Whether dashboards of ours that are no longer generated go.

    Raises:
        PushError: The files are missing, or Grafana cannot be asked.
    """
    boards, unreadable = load(directory, "grafana")
    if unreadable:
        raise PushError(str(unreadable[0]))
    if not boards:
        raise PushError(f"There is nothing in {directory / 'grafana'}: run holdwatch dashboards build.")
    # Elsewhere everything would be missing, and look as if it were to be created.
    if "database" not in (api.call("reach Grafana", "GET", "/api/health") or {}):
        raise PushError(f"{api.url} answers, and is no Grafana: its address is needed with its whole path.")
    notes = [ALERT_RULES_NOTE]
    if api.is_in_the_clear:
        notes.append(f"The token goes to {api.url} unencrypted: prefer https.")
    return Plan(api.url, list(_changes(api, list(boards.values()), prune=prune)), notes)


def _changes(api: GrafanaApi, boards: list[Json], *, prune: bool) -> Iterator[Change]:
    folder = api.call("read the folder", "GET", f"/api/folders/{FOLDER_UID}", may_be_missing=True)
    if folder is None:
        yield Change("folder", FOLDER_UID, Action.CREATE, apply=lambda: _create_folder(api))
    else:
        yield Change("folder", FOLDER_UID, Action.UNCHANGED)
    for board in boards:
        yield _change(api, board)
    wanted = {str(board["uid"]) for board in boards}
    for uid, title in [] if folder is None else _in_folder(api):
        if uid not in wanted and uid.startswith(UID_PREFIX):
            yield _unwanted(api, uid, title, prune=prune)


def _change(api: GrafanaApi, board: Json) -> Change:
    uid = str(board["uid"])
    there = api.call(f"read the dashboard {uid}", "GET", f"/api/dashboards/uid/{uid}", may_be_missing=True)
    if there is None:
        return Change("dashboard", uid, Action.CREATE, apply=lambda: _save(api, board, None))
    theirs, meta = there["dashboard"], there.get("meta") or {}
    # Null there, and counted by Grafana.
    ours = {key: value for key, value in board.items() if key not in ("id", "version")}
    changed = list(differences(ours, theirs))
    if (where := meta.get("folderUid") or None) != FOLDER_UID:
        changed.insert(0, Difference("folder", where, FOLDER_UID))
    if not changed:
        return Change("dashboard", uid, Action.UNCHANGED)
    if meta.get("provisioned"):
        raise PushError(
            f"The dashboard {uid} is provisioned from a file, {meta.get('provisionedExternalId') or 'of Grafana'}: "
            "bring the new file there instead, or stop provisioning it."
        )
    return Change("dashboard", uid, Action.UPDATE, changed, apply=lambda: _save(api, board, theirs))


def _unwanted(api: GrafanaApi, uid: str, title: str, *, prune: bool) -> Change:
    reason = f"no longer generated ({title})"
    if not prune:
        return Change("dashboard", uid, Action.LEFT, reason=reason)
    return Change(
        "dashboard",
        uid,
        Action.DELETE,
        reason=reason,
        apply=lambda: api.call(f"delete the dashboard {uid}", "DELETE", f"/api/dashboards/uid/{uid}"),
    )


def _create_folder(api: GrafanaApi) -> None:
    api.call("create the folder", "POST", "/api/folders", {"uid": FOLDER_UID, "title": FOLDER_TITLE})


def _save(api: GrafanaApi, board: Json, theirs: Json | None) -> None:
    """Save a dashboard over the version that was compared: what somebody has saved since is not overwritten."""
    named = {"id": None} if theirs is None else {"id": theirs.get("id"), "version": theirs.get("version")}
    dashboard = {key: value for key, value in board.items() if key != "version"} | named
    api.call(
        f"save the dashboard {board['uid']}",
        "POST",
        "/api/dashboards/db",
        {"dashboard": dashboard, "folderUid": FOLDER_UID, "message": "holdwatch dashboards push", "overwrite": False},
    )


def _in_folder(api: GrafanaApi) -> Iterator[tuple[str, str]]:
    page = 1
    while found := api.call(
        "list the folder", "GET", f"/api/search?type=dash-db&folderUIDs={FOLDER_UID}&limit={PAGE}&page={page}"
    ):
        yield from ((str(one["uid"]), str(one.get("title"))) for one in found)
        page += 1
