"""How this project calls dbt: a subprocess, its connection through the environment, its output in the state folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

from holds_core.errors import HoldsError, SettingsError
from orchestration.errors import MissingExtraError
from orchestration.paths import DBT_PROJECT_DIR, state_dir

PASSWORD_VARIABLE = "DBT_ENV_SECRET_HOLDWATCH_PASSWORD"  # noqa: S105 (a name, no password)
"""dbt strikes the value of a variable with this prefix from everything that it logs."""

KEPT_RUNS = 10
"""Folders of finished runs that stay, each with dbt's log, manifest and compiled SQL: about two megabytes."""

_PARTIAL_PARSE = "partial_parse.msgpack"
_GRACE_SECONDS = 10
_TIME_OF_DAY = re.compile(r"^\d\d:\d\d:\d\d\s*")
_ERROR_FOLLOWS = "Encountered an error:"
_TRACEBACK_FOLLOWS = "Traceback (most recent call last):"
# dbt-postgres hands these to libpq itself; everything else that a URL says reaches libpq through its own variables.
_PROFILE_VARIABLES = {
    "host": "HOLDWATCH_DBT_HOST",
    "port": "HOLDWATCH_DBT_PORT",
    "user": "HOLDWATCH_DBT_USER",
    "password": PASSWORD_VARIABLE,
    "dbname": "HOLDWATCH_DBT_DATABASE",
}


class DbtError(HoldsError):
    """dbt could not do its work at all."""


@dataclass(frozen=True)
class DbtProblem:
    """A model or a test that did not come out right.

    Attributes:
        name: The model's or the test's name.
        status: dbt's word for it: error, fail, warn or runtime error.
        message: What dbt says of it.
        row_count: How many rows a test found; None where it counts none.
        query: A test's select of those rows; None where dbt did not come so far.
    """

    name: str
    status: str
    message: str
    row_count: int | None = None
    query: str | None = None


@dataclass(frozen=True)
class DbtResult:
    """What a run of dbt did; data tests, unit tests and freshness checks all count as tests.

    Attributes:
        is_successful: Whether dbt found nothing wrong; warnings are not.
        models_built: Models that are up to date now.
        models_failed: Models that could not be built.
        tests_passed: Tests that passed.
        tests_warned: Tests that failed, of severity warn.
        tests_failed: Tests that failed, or could not be run.
        skipped: Models and tests that were not run, since something before them failed.
        problems: What failed or warned, in the order it did.
        seconds: How long dbt worked on it, apart from its start.
        log: dbt's own log of the run.
    """

    is_successful: bool
    models_built: int
    models_failed: int
    tests_passed: int
    tests_warned: int
    tests_failed: int
    skipped: int
    problems: tuple[DbtProblem, ...]
    seconds: float
    log: Path


def dbt_environment(url: str) -> dict[str, str]:
    """Return the environment variables by which dbt connects to the database at ``url``; see dbt_project/profiles.yml.

    What the URL leaves out is what libpq would take: ``PGHOST``, ``PGPASSWORD`` and so on, or its defaults. The host
    may be a folder with a socket, and the password may be missing.

    Raises:
        SettingsError: The URL cannot be read, or names several hosts, which dbt does not do.
    """
    try:
        parameters = conninfo_to_dict(url)
    except ProgrammingError:
        # Its message would repeat parts of the URL, and so of a password.
        raise SettingsError("The database URL cannot be read; its value is not repeated here.") from None
    variables = {"DO_NOT_TRACK": "1"}
    for option in Conninfo.get_defaults():
        keyword = option.keyword.decode()
        given = parameters.get(keyword)
        default = option.val.decode() if option.val is not None else ""
        if keyword in _PROFILE_VARIABLES:
            variables[_PROFILE_VARIABLES[keyword]] = default if given is None else str(given)
        elif given is not None and option.envvar is not None:
            variables[option.envvar.decode()] = str(given)
    # For the reason that connections.py gives; what the caller says comes after it, and counts.
    variables["PGOPTIONS"] = f"-c jit=off {variables.get('PGOPTIONS', '')}".rstrip()
    if not variables["HOLDWATCH_DBT_PORT"].isdecimal():
        raise SettingsError(
            "The database URL names several ports, or none that is a number; dbt connects to one server."
        )
    # As libpq has it: the database of the user's name.
    variables["HOLDWATCH_DBT_DATABASE"] = variables["HOLDWATCH_DBT_DATABASE"] or variables["HOLDWATCH_DBT_USER"]
    return variables


def dbt_executable() -> str:
    """Return the path of the ``dbt`` that is installed beside this Python.

    Raises:
        MissingExtraError: dbt is not installed.
    """
    program = Path(sys.executable).parent / "dbt"
    if find_spec("dbt") is None or not program.is_file():
        raise MissingExtraError("pipeline", "Building the views")
    return str(program)


def dbt_command() -> list[str]:
    """Return the command that is ``dbt`` without the garbage collector.

    It would go through all that dbt has parsed, again and again, and find nothing to free: a quarter of the processor
    time of a build, and a tenth of a second within some model. Without it a build takes 240 MB where it took 170.

    Raises:
        MissingExtraError: dbt is not installed.
    """
    dbt_executable()
    return [sys.executable, "-c", "import gc; gc.disable(); from dbt.cli.main import cli; cli(prog_name='dbt')"]


def run_dbt(url: str, *arguments: str, state: Path | None = None) -> DbtResult:
    """Run dbt on the database at ``url`` and wait for it, for example ``run_dbt(url, "build")``.

    Each run has a folder of its own for what dbt writes, so runs at the same time do not trip over each other. What dbt
    has parsed is kept from one run to the next.

    Args:
        url: The database, with a user who owns the schema ``analytics``.
        arguments: dbt's command and its options; one that builds or tests.
        state: Where the runs' folders are kept; ``.holdwatch`` unless given.

    Raises:
        DbtError: dbt did not come as far as to run anything: the database cannot be reached, or the project is broken.
        MissingExtraError: dbt is not installed.
        SettingsError: The URL cannot be read.
    """
    return call_dbt((state or state_dir()) / "dbt", dbt_environment(url), *arguments)


def call_dbt(home: Path, variables: Mapping[str, str], *arguments: str) -> DbtResult:
    """Run dbt with these variables added to the environment; otherwise like :func:`run_dbt`.

    Args:
        home: Where the runs' folders are kept, and what dbt has parsed: of one target of the profile only.
        variables: What dbt_project/profiles.yml reads.
        arguments: dbt's command and its options.

    Raises:
        DbtError: dbt did not come as far as to run anything.
        MissingExtraError: dbt is not installed.
    """
    runs = home / "runs"
    runs.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{datetime.now(UTC):%Y%m%dT%H%M%S}-", dir=runs))
    if (home / _PARTIAL_PARSE).exists():
        shutil.copy(home / _PARTIAL_PARSE, folder)
    command = [*dbt_command(), *arguments, "--target-path", str(folder), "--log-path", str(folder)]
    returned, output = _call(command, os.environ | variables)
    if (folder / _PARTIAL_PARSE).exists():
        (folder / _PARTIAL_PARSE).replace(home / _PARTIAL_PARSE)
    results = [read_results(folder / name) for name in ("run_results.json", "sources.json") if (folder / name).exists()]
    if not results:
        raise DbtError(
            f"dbt did not run: {_error(output) or f'it ended with {returned}'}. Its log: {folder / 'dbt.log'}"
        )
    for old in sorted(runs.iterdir())[:-KEPT_RUNS]:
        shutil.rmtree(old, ignore_errors=True)
    return summarize(results, is_successful=returned == 0, log=folder / "dbt.log")


def generate_docs(url: str, target: Path, *, state: Path | None = None) -> Path:
    """Write dbt's documentation of the models as one HTML file that needs no server; return its path.

    Args:
        url: A database in which the models are built: their columns are read from it.
        target: The file.
        state: As for :func:`run_dbt`.

    Raises:
        DbtError: dbt could not do it.
    """
    result = run_dbt(url, "docs", "generate", "--static", state=state)
    written = result.log.parent / "static_index.html"
    if not result.is_successful or not written.exists():
        raise DbtError(f"dbt could not write its documentation. Its log: {result.log}")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(written, target)
    return target


def _call(command: list[str], environment: Mapping[str, str]) -> tuple[int, str]:
    """Run dbt; return its exit status and all it printed. It ends with the caller, whatever ends that."""
    process = subprocess.Popen(
        [*command, "--no-use-colors"],
        cwd=DBT_PROJECT_DIR,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        output, _ = process.communicate()
    except BaseException:
        process.terminate()
        try:
            process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise
    return process.returncode, output


def _error(output: str) -> str:
    """Return the error in what dbt printed, in one line and without the time of day before each of its own."""
    lines = [_TIME_OF_DAY.sub("", line).strip() for line in output.splitlines()]
    after = lines.index(_ERROR_FOLLOWS) + 1 if _ERROR_FOLLOWS in lines else 0
    if after and _TRACEBACK_FOLLOWS in lines[after + 1 :]:
        del lines[lines.index(_TRACEBACK_FOLLOWS, after + 1) :]
    return " ".join(line for line in lines[after:] if line).rstrip(".")


def read_results(path: Path) -> dict[str, Any]:
    """Return what dbt wrote into one of its result files."""
    read: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return read


def _message(result: dict[str, Any]) -> str:
    if (age := result.get("max_loaded_at_time_ago_in_s")) is not None:
        # dbt says the year 1 where there is no row.
        return (
            "there is no row" if result["max_loaded_at"].startswith("0001-") else f"the newest row is {age:.0f} s old"
        )
    return " ".join(str(result.get("message") or result.get("error") or "").split())


def summarize(files: list[dict[str, Any]], *, is_successful: bool, log: Path) -> DbtResult:
    """Return what the result files of a call say, counted."""
    counts = {"built": 0, "broken": 0, "pass": 0, "warn": 0, "fail": 0, "skipped": 0}
    problems = []
    for result in (result for file in files for result in file["results"]):
        kind, _, name = result["unique_id"].split(".", 2)
        status = str(result["status"])
        # A hook that went well is nothing to tell of.
        if kind == "exposure" or (kind == "operation" and status == "success"):
            continue
        if status == "skipped":
            counts["skipped"] += 1
        elif kind in ("model", "operation"):
            counts["built" if status == "success" else "broken"] += 1
        else:
            counts[status if status in ("pass", "warn") else "fail"] += 1
        if status not in ("success", "pass", "skipped"):
            if kind == "test":
                name = name.rpartition(".")[0] or name  # without the hash that dbt appends
            query = result.get("compiled_code") if kind == "test" else None
            problems.append(DbtProblem(name, status, _message(result), result.get("failures") or None, query))
    return DbtResult(
        is_successful=is_successful,
        models_built=counts["built"],
        models_failed=counts["broken"],
        tests_passed=counts["pass"],
        tests_warned=counts["warn"],
        tests_failed=counts["fail"],
        skipped=counts["skipped"],
        problems=tuple(problems),
        seconds=sum(float(file["elapsed_time"]) for file in files),
        log=log,
    )
