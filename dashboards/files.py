"""The generated files: their texts, and how they get onto the disk."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

from dashboards.catalogue import RUNBOOK_BASE_URL
from dashboards.errors import DashboardsExtraMissingError
from dashboards.generators.dbt import alert_rules, unit_tests
from dashboards.settings import runbooks_url

DASHBOARDS_DIR = Path(__file__).resolve().parent

ALERT_MODELS_DIR = DASHBOARDS_DIR.parent / "dbt_project" / "models" / "alerts"
"""Where the alerts' rules and examples go for dbt: into the project alone, whatever folder is asked for otherwise."""

GENERATED_FOLDERS = ("datadog", "grafana", "grafana-alerting", "prometheus")
"""Below the folder that is written to; whatever is in them with one of these suffixes was generated, or is to go."""

GENERATED_SUFFIXES = (".json", ".yaml")


def generate() -> dict[str, str]:
    """Return every file that ops load, as its path below ``dashboards/`` and its text.

    The texts depend on nothing but this release, and on where the runbooks are: no time, no machine, no database.

    Raises:
        DashboardsExtraMissingError: The extra ``dashboards`` is not installed.
        SettingsError: ``HOLDWATCH_RUNBOOKS_URL`` makes no sense.
    """
    runbooks = runbooks_url()
    try:
        from dashboards.generators import (  # noqa: PLC0415  heavy, and optional
            datadog,
            grafana,
            grafana_alerting,
            prometheus,
        )
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.split(".")[0] in ("grafana_foundation_sdk", "yaml"):
            raise DashboardsExtraMissingError from error
        raise
    texts = datadog.files() | grafana.files() | grafana_alerting.files() | prometheus.files()
    return {name: text.replace(RUNBOOK_BASE_URL, runbooks) for name, text in sorted(texts.items())}


def generate_alert_models() -> dict[str, str]:
    """Return what dbt reads of the catalogue, as file names below ``ALERT_MODELS_DIR`` and their texts."""
    return {"alert_rules.sql": alert_rules(), "_alerts__unit_tests.yml": unit_tests()}


def write(directory: Path | None = None) -> list[Path]:
    """Write the generated files; return the paths of all of them, in order.

    A file appears whole or not at all. One whose content is right already is not touched; one that is no longer
    generated is removed, from the generated folders only.

    Args:
        directory: Where to write; the package's own folder where it is None.

    Raises:
        DashboardsExtraMissingError: The extra ``dashboards`` is not installed.
        OSError: The folder cannot be written.
    """
    target = DASHBOARDS_DIR if directory is None else directory
    texts = generate()
    for name, text in texts.items():
        if _read(target / name) != text:
            _replace(target / name, text)
    for name in _found(target) - set(texts):
        (target / name).unlink()
    if directory is None:
        for name, text in generate_alert_models().items():
            if _read(ALERT_MODELS_DIR / name) != text:
                _replace(ALERT_MODELS_DIR / name, text)
    return [target / name for name in texts]


def differences(directory: Path | None = None) -> list[str]:
    """Say in which files a folder differs from what would be generated: one ``path: how`` for each, in order."""
    target = DASHBOARDS_DIR if directory is None else directory
    texts = generate()
    found = _found(target)
    said = dict.fromkeys(set(texts) - found, "is missing")
    said |= dict.fromkeys(found - set(texts), "is no longer generated")
    said |= {name: "has another content" for name in found & set(texts) if _read(target / name) != texts[name]}
    if directory is None:
        said |= {
            f"../{(ALERT_MODELS_DIR / name).relative_to(DASHBOARDS_DIR.parent).as_posix()}": "has another content"
            for name, text in generate_alert_models().items()
            if _read(ALERT_MODELS_DIR / name) != text
        }
    return [f"{name}: {how}" for name, how in sorted(said.items())]


def _found(target: Path) -> set[str]:
    return {
        path.relative_to(target).as_posix()
        for folder in GENERATED_FOLDERS
        for path in (target / folder).rglob("*")
        if path.suffix in GENERATED_SUFFIXES
    }


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        return None


def _replace(path: Path, text: str) -> None:
    replace_file(path, text.encode("utf-8"))


def replace_file(path: Path, content: bytes) -> None:
    """Write beside, flush to the disk, rename: a reader, or a power cut, sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with beside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
