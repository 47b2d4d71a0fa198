"""The generated files are the same everywhere, whole, and committed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import dashboards
from dashboards.catalogue import RUNBOOK_BASE_URL
from dashboards.checks.grafana_types import NODE_DIR
from dashboards.errors import DashboardsExtraMissingError
from dashboards.files import DASHBOARDS_DIR
from holds_core.errors import SettingsError

PANELS = Path(__file__).with_name("panels.txt")

_PRINT_DIGEST = """
import hashlib, json, dashboards
print(hashlib.sha256(json.dumps(dashboards.generate()).encode()).hexdigest())
"""


def _python(code: str, **environ: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environ,
        cwd=DASHBOARDS_DIR.parent,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def test_generated_texts_are_the_same_under_another_hash_seed_and_time_zone() -> None:
    """Nothing in them depends on the process that made them."""
    one = _python(_PRINT_DIGEST, PYTHONHASHSEED="1", TZ="UTC")
    other = _python(_PRINT_DIGEST, PYTHONHASHSEED="4711", TZ="Pacific/Auckland")

    assert len(one) == 64
    assert one == other


def test_committed_files_are_what_is_generated() -> None:
    """Who changes the catalogue commits what comes of it."""
    assert dashboards.differences() == []


def test_runbooks_are_where_the_setting_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every link of every format begins there, and what was written is what is generated; nothing else differs."""
    default = dashboards.generate()
    monkeypatch.setenv("HOLDWATCH_RUNBOOKS_URL", "https://wiki.example/runbooks/")

    changed = dashboards.generate()
    dashboards.write(tmp_path)

    assert dashboards.differences(tmp_path) == []
    assert {
        name: text.replace("https://wiki.example/runbooks", RUNBOOK_BASE_URL) for name, text in changed.items()
    } == (default)
    assert not any(RUNBOOK_BASE_URL in text for text in changed.values())


@pytest.mark.parametrize("url", ["wiki", "ftp://wiki.example/x", 'https://wiki.example/"x', "https://wiki.example/a b"])
def test_setting_that_is_no_url_is_named(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """It would stand in every link, and break a file's syntax."""
    monkeypatch.setenv("HOLDWATCH_RUNBOOKS_URL", url)

    with pytest.raises(SettingsError, match="HOLDWATCH_RUNBOOKS_URL"):
        dashboards.generate()


def test_import_does_not_load_the_sdk() -> None:
    """Whoever only lists assets must not pay for the generators."""
    loaded = _python("import sys, dashboards; print([name for name in sys.modules if name.startswith('grafana')])")

    assert loaded == "[]"


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the SDK the error says what to install."""
    for name in [name for name in sys.modules if name.startswith(("grafana_foundation_sdk", "dashboards.generators"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(sys.modules["dashboards"], "generators", raising=False)
    monkeypatch.setitem(sys.modules, "grafana_foundation_sdk", None)

    with pytest.raises(DashboardsExtraMissingError, match=r"the extra 'dashboards': pip install '.*\[dashboards\]'"):
        dashboards.generate()


def test_write_touches_only_what_changed(tmp_path: Path) -> None:
    """A second write leaves right files alone, mends a wrong one, and leaves nothing beside them."""
    paths = dashboards.write(tmp_path)
    for path in paths:
        os.utime(path, (1, 1))
    paths[0].write_text("{}", encoding="utf-8")

    again = dashboards.write(tmp_path)

    assert again == paths
    assert paths[0].stat().st_mtime > 1
    assert {path.stat().st_mtime for path in paths[1:]} == {1}
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == set(paths)
    assert dashboards.differences(tmp_path) == []


def test_write_removes_what_is_no_longer_generated_and_nothing_else(tmp_path: Path) -> None:
    """Only JSON and YAML in the generated folders goes."""
    stale = tmp_path / "datadog" / "monitors" / "long_gone.json"
    notes = tmp_path / "grafana" / "NOTES.txt"
    other = tmp_path / "elsewhere" / "own.json"
    for path in (stale, notes, other):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}", encoding="utf-8")
    assert "datadog/monitors/long_gone.json: is no longer generated" in dashboards.differences(tmp_path)

    dashboards.write(tmp_path)

    assert not stale.exists()
    assert notes.exists()
    assert other.exists()


def test_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk neither harms the file that is there nor leaves half of one beside it."""
    paths = dashboards.write(tmp_path)
    paths[0].write_text("old", encoding="utf-8")

    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space left"):
        dashboards.write(tmp_path)

    assert paths[0].read_text(encoding="utf-8") == "old"
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == set(paths)


def test_differences_name_missing_and_changed_files(tmp_path: Path) -> None:
    """Each difference says which file, and how it differs."""
    paths = dashboards.write(tmp_path)
    paths[0].unlink()
    paths[1].write_text("[]", encoding="utf-8")

    assert dashboards.differences(tmp_path) == [
        f"{paths[0].relative_to(tmp_path).as_posix()}: is missing",
        f"{paths[1].relative_to(tmp_path).as_posix()}: has another content",
    ]


def test_dashboards_are_classic_with_stable_names(boards: dict[str, Any]) -> None:
    """The schema that file provisioning takes, and identifiers that people's links hold."""
    for file, board in boards.items():
        assert board["schemaVersion"] == 42
        assert board["uid"] == f"holdwatch-{Path(file).stem}"
        assert board.get("id") is None


def test_node_packages_are_pinned_and_name_no_registry() -> None:
    """Every one by version and hash; from where is for whoever installs them to say."""
    packages = json.loads((NODE_DIR / "package.json").read_text(encoding="utf-8"))["dependencies"]
    lock = json.loads((NODE_DIR / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    installed = {name: package for name, package in lock.items() if name}

    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in packages.values())
    assert {name: lock[f"node_modules/{name}"]["version"] for name in packages} == packages
    assert all(package["integrity"].startswith("sha512-") for package in installed.values())
    assert not any("resolved" in package for package in installed.values())


def test_panels_keep_their_numbers(boards: dict[str, Any]) -> None:
    """Run with UPDATE_SNAPSHOTS=1 to add a panel. The number of one that goes stays in the list, as retired."""
    known = dict(line.split(" ", 1) for line in PANELS.read_text("utf-8").splitlines())
    shown = {f"{board['uid']}/{panel['id']}": panel["title"] for board in boards.values() for panel in board["panels"]}
    if os.environ.get("UPDATE_SNAPSHOTS"):
        retired = {key: title if title.startswith("retired: ") else f"retired: {title}" for key, title in known.items()}
        lines = sorted((retired | shown).items(), key=lambda item: (item[0].split("/")[0], int(item[0].split("/")[1])))
        PANELS.write_text("".join(f"{key} {title}\n" for key, title in lines), "utf-8")
        known = retired | shown

    assert {key: title for key, title in known.items() if not title.startswith("retired: ")} == shown
