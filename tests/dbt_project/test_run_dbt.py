"""How dbt is called: the connection through the environment, no secret anywhere else, one line for a user's mistake."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from holds_core.errors import SettingsError
from orchestration.dbt import DbtError, dbt_environment, run_dbt
from orchestration.paths import DBT_PROJECT_DIR

NAMES = {
    "host": "HOLDWATCH_DBT_HOST",
    "port": "HOLDWATCH_DBT_PORT",
    "user": "HOLDWATCH_DBT_USER",
    "password": "DBT_ENV_SECRET_HOLDWATCH_PASSWORD",
    "database": "HOLDWATCH_DBT_DATABASE",
}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgresql://ann:p%40ss%2Fword@db.example:5433/holds",
            {"host": "db.example", "port": "5433", "user": "ann", "password": "p@ss/word", "database": "holds"},
        ),
        ("postgresql://ann@%2Frun%2Fpostgresql/holds", {"host": "/run/postgresql", "port": "5432", "password": ""}),
        ("postgres:///holds?host=/tmp&port=6000&user=ann", {"host": "/tmp", "port": "6000", "user": "ann"}),
        ("postgresql://ann@[::1]:5433", {"host": "::1", "database": "ann"}),
    ],
)
def test_environment_says_what_the_url_says(
    url: str, expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE"):
        monkeypatch.delenv(variable, raising=False)
    environment = dbt_environment(url)
    assert {name: environment[NAMES[name]] for name in expected} == expected


def test_environment_passes_on_what_dbt_has_no_setting_for() -> None:
    environment = dbt_environment(
        "postgresql://h/d?sslmode=verify-full&sslrootcert=/ca.pem&options=-c%20work_mem%3D64MB"
    )
    assert environment["PGSSLMODE"] == "verify-full"
    assert environment["PGSSLROOTCERT"] == "/ca.pem"
    assert environment["PGOPTIONS"] == "-c jit=off -c work_mem=64MB"


def test_environment_falls_back_on_the_variables_of_libpq(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "from outside")
    monkeypatch.setenv("PGPORT", "6543")
    environment = dbt_environment("postgresql://ann@h/d")
    assert environment[NAMES["password"]] == "from outside"
    assert environment[NAMES["port"]] == "6543"


@pytest.mark.parametrize(
    "url", ["postgresql://a:secret@h:port/d", "postgresql://a:secret@h1:1,h2:2/d", "nonsense secret"]
)
def test_a_url_that_dbt_cannot_use_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(SettingsError) as raised:
        dbt_environment(url)
    assert "secret" not in str(raised.value)


def test_a_database_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    """The line has the cause and the log's place, and neither it nor anything on disk has the password."""
    with pytest.raises(DbtError) as raised:
        run_dbt("postgresql://ann:topsecret@127.0.0.1:1/d", "build", state=tmp_path)
    message = str(raised.value)
    assert "Connection refused" in message
    assert "\n" not in message
    log = Path(message.rpartition("Its log: ")[2])
    assert log.is_file()
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"topsecret" not in written + message.encode()


@pytest.mark.slow
def test_a_selection_of_nothing_is_an_error(new_views_database: Callable[[], str], tmp_path: Path) -> None:
    """A misspelt name must not pass for a success."""
    with pytest.raises(DbtError, match="misspelt"):
        run_dbt(new_views_database(), "run", "--select", "misspelt", state=tmp_path)


@pytest.mark.slow
def test_sources_freshness_warns_of_silence(new_views_database: Callable[[], str], tmp_path: Path) -> None:
    result = run_dbt(new_views_database(), "source", "freshness", state=tmp_path)
    assert result.is_successful
    assert result.tests_warned == 1
    assert result.problems[0].message == "there is no row"


@pytest.mark.slow
def test_a_model_that_breaks_is_a_result_that_says_so(
    new_views_database: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What hangs on it is skipped and counted."""
    project = tmp_path / "project"
    shutil.copytree(DBT_PROJECT_DIR, project)
    model = project / "models" / "rollups" / "unrolled_event_counts.sql"
    model.write_text(model.read_text("utf-8").replace("from placed", "from placed,"), encoding="utf-8")
    monkeypatch.setattr("orchestration.dbt.DBT_PROJECT_DIR", project)
    result = run_dbt(new_views_database(), "run", state=tmp_path)
    assert not result.is_successful
    assert result.models_failed == 1
    assert result.skipped >= 8
    assert result.models_built >= 15
    assert [problem.name for problem in result.problems] == ["unrolled_event_counts"]
    assert "syntax error" in result.problems[0].message
