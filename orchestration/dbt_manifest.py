"""dbt's manifest: parsed when the project's files have changed, and kept, so that Dagster loads without dbt."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from orchestration.dbt import DbtError, dbt_command, dbt_environment
from orchestration.paths import DBT_PROJECT_DIR, state_dir
from orchestration.server.layout import write_atomically

_PARTIAL_PARSE = "partial_parse.msgpack"
_RESULTS = "run_results.json"
_PROJECT_SUFFIXES = (".sql", ".yml", ".yaml", ".csv", ".md")
_GENERATED_FOLDERS = ("target", "logs", "dbt_packages")
_ANY_URL = "postgresql://holdwatch@127.0.0.1/holdwatch"


@cache
def manifest() -> Mapping[str, Any]:
    """Return dbt's manifest of the project as its files are now.

    Raises:
        DbtError: dbt cannot parse the project.
    """
    loaded: dict[str, Any] = json.loads(manifest_path().read_bytes())
    return loaded


def source_columns(table: str) -> dict[str, tuple[str, str]]:
    """Return the columns of a source table that the models may read: the type and the description of each."""
    for source in manifest()["sources"].values():
        if source["name"] == table:
            return {name: (column["data_type"], column["description"]) for name, column in source["columns"].items()}
    raise KeyError(table)


def manifest_path() -> Path:
    """Return the manifest's file, parsed anew if the project's files, or dbt, are not those it was parsed from.

    Raises:
        DbtError: dbt cannot parse the project.
    """
    folder = state_dir() / "dbt"
    folder.mkdir(mode=0o700, exist_ok=True)
    path, mark, wanted = folder / "manifest.json", folder / "manifest.fingerprint", _fingerprint()
    with (folder / "manifest.lock").open("w") as lock:
        # The web server, the daemon and a command may all start at once; one of them parses.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (path.exists() and mark.exists() and mark.read_text() == wanted):
            mark.unlink(missing_ok=True)
            _parse(folder / "parse")
            (folder / "parse" / "manifest.json").replace(path)
            write_atomically(mark, wanted)
    return path


def target_folder(home: Path) -> Path:
    """Return the folder below Dagster's home where the runs leave what dbt writes."""
    return home / "dbt"


def prepare_target(home: Path) -> Path:
    """Make the target folder ready for a run, with what parsing has left already.

    One folder for all runs: dbt then parses only what has changed, and no run leaves a folder behind. The pipeline's
    lock keeps two runs from sharing it at once.
    """
    target = target_folder(home)
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    parsed = state_dir() / "dbt" / "parse" / _PARTIAL_PARSE
    if parsed.exists() and not (target / _PARTIAL_PARSE).exists():
        shutil.copy(parsed, target / _PARTIAL_PARSE)
    discard_results(home)
    return target


def discard_results(home: Path) -> None:
    """Remove what dbt said of the last run, so that nobody takes it for the next one's."""
    (target_folder(home) / _RESULTS).unlink(missing_ok=True)


def _fingerprint() -> str:
    digest = hashlib.sha256(version("dbt-core").encode())
    for path in sorted(DBT_PROJECT_DIR.rglob("*")):
        relative = path.relative_to(DBT_PROJECT_DIR)
        if path.suffix in _PROJECT_SUFFIXES and relative.parts[0] not in _GENERATED_FOLDERS:
            digest.update(f"\0{relative.as_posix()}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _parse(target: Path) -> None:
    done = subprocess.run(
        [*dbt_command(), "parse", "--target-path", str(target), "--log-path", str(target)],
        check=False,
        cwd=DBT_PROJECT_DIR,
        env=os.environ | dbt_environment(os.environ.get("HOLDWATCH_DATABASE_URL", _ANY_URL)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        raise DbtError(f"dbt cannot parse its project:\n{done.stdout.strip()}")
