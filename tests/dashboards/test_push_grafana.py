"""Dashboards get into a folder of Grafana once, and stay as they are generated."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dashboards.errors import PushError
from dashboards.files import DASHBOARDS_DIR
from dashboards.pushing.grafana_api import GrafanaSettings
from dashboards.pushing.plan import Difference, differences
from orchestration.cli.dashboards import app
from tests.dashboards.grafana_server import TOKEN, GrafanaServer, grafana_server
from tests.dashboards.http_server import Answer

Json = dict[str, Any]

BOARDS = {
    board["uid"]: board
    for board in (json.loads(path.read_text()) for path in sorted((DASHBOARDS_DIR / "grafana").glob("*.json")))
}
"""What is generated, by its uid."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[GrafanaServer]:
    """Grafana with a folder and dashboards of others', and the token in the environment."""
    with grafana_server() as running:
        running.folders["theirs"] = {"uid": "theirs", "title": "Theirs"}
        for uid, folder in (("holdwatch-theirs", "theirs"), ("own-notes", "holdwatch")):
            running.boards[uid] = {"uid": uid, "id": 900, "title": uid, "version": 7}
            running.meta[uid] = {"folderUid": folder}
        monkeypatch.setenv("GRAFANA_TOKEN", TOKEN)
        yield running


def push(server: GrafanaServer, *options: str) -> Json:
    """Run the command, and return what it says."""
    result = CliRunner().invoke(app, ["push", "--grafana", server.url, "--json", *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    said: Json = json.loads(result.stdout)
    return said


def actions(said: Json) -> dict[str, str]:
    """The action of each object that is not unchanged."""
    return {
        f"{change['kind']} {change['name']}": change["action"]
        for change in said["changes"]
        if change["action"] != "unchanged"
    }


def test_first_push_creates_everything_and_a_second_one_changes_nothing(server: GrafanaServer) -> None:
    """Each is there as it was generated, in the folder; then nothing is saved, and no version grows."""
    first = push(server)
    writes = len(server.writes())
    second = push(server)
    people = CliRunner().invoke(app, ["push", "--grafana", server.url])

    assert actions(first) == {"folder holdwatch": "create", **{f"dashboard {uid}": "create" for uid in BOARDS}}
    for uid, board in BOARDS.items():
        assert {key: server.boards[uid][key] for key in board if key not in ("id", "version")} == {
            key: value for key, value in board.items() if key not in ("id", "version")
        }
        assert server.meta[uid]["folderUid"] == "holdwatch"
        assert server.boards[uid]["version"] == 1
    assert actions(second) == {}
    assert len(server.writes()) == writes
    assert f"Nothing to do at {server.url}: {len(BOARDS) + 1} unchanged." in people.stderr
    assert "Alert rules are not pushed" in people.stderr


def test_what_was_changed_there_is_put_right_and_shown(server: GrafanaServer) -> None:
    """By the panel and the field, and where it was moved to; in a dry run, and then for good."""
    push(server)
    server.boards["holdwatch-overview"]["panels"][1]["title"] = "Mine"
    server.boards["holdwatch-overview"]["version"] = 4
    server.meta["holdwatch-overview"]["folderUid"] = "theirs"
    before = len(server.writes())

    dry = CliRunner().invoke(app, ["push", "--grafana", server.url, "--dry-run"])
    assert len(server.writes()) == before
    real = push(server)

    title = BOARDS["holdwatch-overview"]["panels"][1]["title"]
    assert "~ update dashboard holdwatch-overview\n" in dry.stdout
    assert f'    panels[1].title: "Mine" → "{title}"\n' in dry.stdout
    assert '    folder: "theirs" → "holdwatch"\n' in dry.stdout
    assert actions(real) == {"dashboard holdwatch-overview": "update"}
    assert server.boards["holdwatch-overview"]["panels"][1]["title"] == title
    assert server.boards["holdwatch-overview"]["version"] == 5
    assert server.meta["holdwatch-overview"]["folderUid"] == "holdwatch"
    assert actions(push(server)) == {}


def test_what_is_no_longer_generated_is_left_until_it_is_to_be_pruned(server: GrafanaServer) -> None:
    """Only ours goes: with our prefix and in our folder, on whatever page of the list it is."""
    push(server)
    for uid in ("holdwatch-gone", "holdwatch-long-gone"):
        server.boards[uid] = {"uid": uid, "id": 1, "title": "Gone", "version": 1}
        server.meta[uid] = {"folderUid": "holdwatch"}

    left = push(server)
    pruned = push(server, "--prune")

    assert actions(left) == {"dashboard holdwatch-gone": "left", "dashboard holdwatch-long-gone": "left"}
    assert set(actions(pruned).values()) == {"delete"}
    assert set(server.boards) == {*BOARDS, "holdwatch-theirs", "own-notes"}


def test_what_somebody_saves_meanwhile_is_not_overwritten(server: GrafanaServer) -> None:
    """A push saves over the version that it has compared, and over no other."""
    push(server)
    server.boards["holdwatch-overview"]["title"] = "Mine"
    server.faults += [None] * (2 + len(BOARDS))
    read = Answer(
        200, {"dashboard": {**server.boards["holdwatch-overview"], "version": 0}, "meta": {"folderUid": "holdwatch"}}
    )
    server.faults[2 + list(BOARDS).index("holdwatch-overview")] = read

    with pytest.raises(PushError, match="412, somebody has changed it meanwhile; push again"):
        CliRunner().invoke(app, ["push", "--grafana", server.url], catch_exceptions=False)

    assert server.boards["holdwatch-overview"]["title"] == "Mine"


def test_dashboard_that_is_provisioned_from_a_file_is_said(server: GrafanaServer) -> None:
    """Grafana would refuse it; which file it is from says where to go."""
    push(server)
    server.boards["holdwatch-overview"]["title"] = "Mine"
    server.meta["holdwatch-overview"] |= {"provisioned": True, "provisionedExternalId": "overview.json"}

    with pytest.raises(PushError, match=r"provisioned from a file, overview\.json"):
        CliRunner().invoke(app, ["push", "--grafana", server.url], catch_exceptions=False)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Answer(401, {"message": f"Invalid API key {TOKEN}"}), "401, the token is refused"),
        (Answer(403, {"message": "Access denied"}), "role Editor"),
        (Answer(302, None, {"Location": "http://127.0.0.1:9/login"}), "302"),
        (Answer(502), "502"),
        (Answer(200, None), "does not answer as Grafana does"),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Answer) else None,
)
def test_refusal_is_one_line_without_the_token(server: GrafanaServer, fault: Answer, said: str) -> None:
    """What is wrong, and what to do; the token is in it nowhere, though Grafana repeats it."""
    server.faults.append(fault)

    with pytest.raises(PushError, match=said) as raised:
        CliRunner().invoke(app, ["push", "--grafana", server.url], catch_exceptions=False)

    assert TOKEN not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_url_that_is_no_grafana_is_said(server: GrafanaServer) -> None:
    """Another path, something else that answers, and a port that nobody listens on; in a dry run as well."""
    dry_run = ["push", "--dry-run", "--grafana"]
    with pytest.raises(PushError, match=r"404, there is no such thing at .*/grafana: is that where Grafana is"):
        CliRunner().invoke(app, [*dry_run, f"{server.url}/grafana"], catch_exceptions=False)
    server.faults.append(Answer(200, {"status": "I am a proxy"}))
    with pytest.raises(PushError, match="is no Grafana"):
        CliRunner().invoke(app, [*dry_run, server.url], catch_exceptions=False)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(PushError, match="Connection refused"):
            CliRunner().invoke(app, ["push", "--grafana", url], catch_exceptions=False)


@pytest.mark.parametrize("url", ["grafana.example", "ftp://grafana.example", "https://admin:secret@grafana.example"])
def test_url_with_a_login_or_without_a_host_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Tokens come from the environment, and a password in a URL is not repeated."""
    monkeypatch.setenv("GRAFANA_TOKEN", TOKEN)

    with pytest.raises(PushError, match="is to be like") as raised:
        GrafanaSettings.from_environ(url)

    assert "secret" not in str(raised.value)


def test_token_is_needed_and_never_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by the error nor by the settings; where it goes over a network in the clear is known."""
    monkeypatch.delenv("GRAFANA_TOKEN", raising=False)
    with pytest.raises(PushError, match="GRAFANA_TOKEN is not set"):
        GrafanaSettings.from_environ("https://grafana.example")
    monkeypatch.setenv("GRAFANA_TOKEN", TOKEN)

    settings = GrafanaSettings.from_environ("http://grafana.example/")

    assert TOKEN not in repr(settings)
    assert settings.is_in_the_clear
    assert not GrafanaSettings.from_environ("http://localhost:3000").is_in_the_clear


def test_missing_files_are_said(server: GrafanaServer, tmp_path: Path) -> None:
    """An empty folder pushes nothing, and prunes nothing."""
    with pytest.raises(PushError, match="holdwatch dashboards build"):
        CliRunner().invoke(
            app, ["push", "--grafana", server.url, "--directory", str(tmp_path), "--prune"], catch_exceptions=False
        )

    assert server.writes() == []


def test_differences_are_of_what_is_ours() -> None:
    """What servers add is none; what is missing, changed, longer or shorter is one, at its place."""
    ours = {"a": 1, "b": {"c": [1, {"d": 2}]}, "e": [], "f": None, "g": [1, 2], "h": 95.0}
    theirs = {"a": 1, "b": {"c": [1, {"d": 3, "id": 7}], "x": 0}, "g": [1], "h": 95, "added": True}

    assert list(differences(ours, theirs)) == [Difference("b.c[1].d", 3, 2), Difference("g", [1], [1, 2])]
    assert list(differences({"n": {"m": 1}}, {})) == [Difference("n", None, {"m": 1})]
    assert list(differences({"n": True}, {"n": 1})) == []


def test_long_texts_are_shown_from_where_they_part() -> None:
    """A message of a thousand letters that differs in one word shows that word."""
    said = str(Difference("message", f"{'a' * 500} old {'b' * 500}", f"{'a' * 500} new {'b' * 500}"))

    assert "old" in said
    assert "new" in said
    assert len(said) < 200
