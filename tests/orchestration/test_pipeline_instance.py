"""Where Dagster keeps its state, and what of it is on the disk."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from holds_core.database.settings import Environment
from orchestration.dagster_instance import dagster_home, environment_variables, process_environment, storage_url

OPTIONS = "-c search_path=dagster -c synchronous_commit=off"


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("postgresql://user:p%40ss@host:5433/holds", OPTIONS),
        (
            "postgres://user:p%40ss@host:5433/holds?options=-c%20statement_timeout%3D5s",
            f"-c statement_timeout=5s {OPTIONS}",
        ),
    ],
)
def test_storage_is_the_same_database_in_a_schema_of_its_own(url: str, options: str) -> None:
    """The driver is named, the password stays escaped, and options of the caller's own are kept."""
    parts = urlsplit(storage_url(url))
    assert parts.scheme == "postgresql+psycopg2"
    assert parts.netloc == "user:p%40ss@host:5433"
    assert parts.path == "/holds"
    assert parse_qs(parts.query)["options"] == [options]


def test_other_parameters_of_the_url_are_kept() -> None:
    """A socket's folder and the mode of encryption reach Dagster too."""
    parameters = parse_qs(urlsplit(storage_url("postgresql:///holds?host=/run/postgresql&sslmode=disable")).query)
    assert (parameters["host"], parameters["sslmode"]) == (["/run/postgresql"], ["disable"])


def test_settings_are_written_once_readable_by_the_owner_and_without_a_secret(tmp_path: Path) -> None:
    """Telemetry is off, the storage is named by a variable, and what is right already is not written again."""
    home = dagster_home(tmp_path)
    path = home / "dagster.yaml"
    settings = yaml.safe_load(path.read_text("utf-8"))
    assert settings["telemetry"] == {"enabled": False}
    assert settings["storage"] == {"postgres": {"postgres_url": {"env": "HOLDWATCH_DAGSTER_STORAGE_URL"}}}
    assert settings["compute_logs"]["config"]["base_dir"] == str(home / "compute_logs")
    assert path.stat().st_mode & 0o777 == 0o600
    written = path.stat().st_mtime_ns
    assert dagster_home(tmp_path) == home
    assert path.stat().st_mtime_ns == written
    path.write_text("storage: elsewhere\n", "utf-8")
    dagster_home(tmp_path)
    assert yaml.safe_load(path.read_text("utf-8")) == settings


def test_environment_is_as_before_after_the_block(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What was set is set again, and what was not is not."""
    monkeypatch.setenv("DAGSTER_HOME", "/before")
    monkeypatch.delenv("HOLDWATCH_DAGSTER_STORAGE_URL", raising=False)
    variables = process_environment("postgresql://h/d", Environment.STAGING, tmp_path)
    with environment_variables(variables):
        assert os.environ["DAGSTER_HOME"] == str(tmp_path)
        assert os.environ["HOLDWATCH_ENVIRONMENT"] == "staging"
    assert os.environ["DAGSTER_HOME"] == "/before"
    assert "HOLDWATCH_DAGSTER_STORAGE_URL" not in os.environ
