"""``holdwatch pipeline spark`` where it cannot work: what is missing, and what to do about it, in one line."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from holds_core.errors import HoldsError
from holds_core.events.export import MANIFEST
from orchestration.errors import MissingExtraError
from orchestration.spark import SparkError, run_on_spark

is_installed = find_spec("pyspark") is not None
needs_spark = pytest.mark.skipif(not is_installed, reason="needs the extra 'spark'")


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """The list of an export of one day; nothing here comes as far as to read the day."""
    folder = tmp_path / "events"
    folder.mkdir()
    (folder / MANIFEST).write_text(json.dumps({"server_id": 1, "position": 1, "days": {"2026-11-01": 3}}))
    return folder


def java_that_says(folder: Path, version: str) -> str:
    """The home of a program that says that it is this Java."""
    program = folder / "jre" / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2018-09-25' >&2\n")
    program.chmod(0o755)
    return str(folder / "jre")


@pytest.mark.skipif(is_installed, reason="the extra 'spark' is installed")
def test_without_the_extra_it_is_named(export: Path) -> None:
    with pytest.raises(MissingExtraError, match=r"pip install '/.*\[spark\]'"):
        run_on_spark(str(export))


@needs_spark
def test_without_java_the_remedy_is_named(export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Spark looks for it: JAVA_HOME, or else the PATH."""
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nowhere"))
    with pytest.raises(SparkError, match=r"no Java in JAVA_HOME .*nowhere.*apt-get install openjdk-17-jre-headless"):
        run_on_spark(str(export))
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SparkError, match=r"no Java on the PATH.*set JAVA_HOME"):
        run_on_spark(str(export))


@needs_spark
@pytest.mark.parametrize("version", ["11.0.20", "1.8.0_392"])
def test_a_java_that_is_too_old_is_refused(
    export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setenv("JAVA_HOME", java_that_says(tmp_path, version))
    with pytest.raises(SparkError, match=rf'is openjdk version "{version}".*needs Java 17 or later'):
        run_on_spark(str(export))


@needs_spark
@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (None, "holds no export.*holdwatch events export"),
        ('{"server_id": 1, "position": 1, "days": {}}', "holds no events"),
        ('{"server_id": 1, "position": 1, "days": {"yesterday": 3}}', "cannot be read"),
        ('{"server_id": 1, "position": 1, "days": []}', "cannot be read"),
    ],
)
def test_a_folder_without_an_export_is_refused(
    export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manifest: str | None, words: str
) -> None:
    monkeypatch.setenv("JAVA_HOME", java_that_says(tmp_path, "17.0.15"))
    (export / MANIFEST).unlink()
    if manifest is not None:
        (export / MANIFEST).write_text(manifest)
    with pytest.raises(HoldsError, match=words):
        run_on_spark(str(export), state=tmp_path / "state")


@needs_spark
def test_a_second_run_at_once_is_refused(export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would replace files that the first one is reading; a session that only reads holds the catalogue."""
    monkeypatch.setenv("JAVA_HOME", java_that_says(tmp_path, "21"))
    home = tmp_path / "state" / "spark"
    home.mkdir(parents=True)
    with (home / "run.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(SparkError, match="Another run on Spark is at work"):
            run_on_spark(str(export), state=tmp_path / "state")
    (home / "metastore").mkdir()
    holder = (
        "import fcntl, sys; held = open(sys.argv[1], 'w'); fcntl.lockf(held, fcntl.LOCK_EX);"
        " print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", holder, str(home / "metastore" / "dbex.lck")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as session:
        assert session.stdout is not None
        session.stdout.readline()
        with pytest.raises(SparkError, match="keeps others out; end it"):
            run_on_spark(str(export), state=tmp_path / "state")
        session.communicate()
