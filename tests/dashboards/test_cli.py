"""`holdwatch dashboards` writes, checks, and says what it found."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

import dashboards
from orchestration.cli.dashboards import app


def test_build_writes_and_lists_every_file(tmp_path: Path) -> None:
    """The list is on standard output; a second build has nothing to change."""
    first = json.loads(CliRunner().invoke(app, ["build", "--directory", str(tmp_path), "--json"]).stdout)
    second = json.loads(CliRunner().invoke(app, ["build", "--directory", str(tmp_path), "--json"]).stdout)

    assert first["files"] == [str(tmp_path / name) for name in dashboards.generate()]
    assert len(first["changed"]) == len(first["files"])
    assert second == {"files": first["files"], "changed": []}


def test_build_prints_a_table_for_people(tmp_path: Path) -> None:
    """One line for each file, notes apart from it."""
    result = CliRunner().invoke(app, ["build", "--directory", str(tmp_path)])

    assert result.exit_code == 0
    assert "overview.json" in result.stdout
    assert "changed" in result.stderr
    assert "changed" not in result.stdout


def test_check_passes_on_a_built_database(seeded_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One page will do: all of them are run in test_queries, and by `make check-full`."""
    dashboards.write(tmp_path)
    for path in (tmp_path / "grafana").glob("*.json"):
        if path.name != "flags.json":
            path.unlink()
    monkeypatch.setenv("HOLDWATCH_DATABASE_URL", seeded_url)

    result = CliRunner().invoke(app, ["check", "--only", "queries", "--directory", str(tmp_path), "--json"])

    assert result.exit_code == 0, result.output
    (queries,) = json.loads(result.stdout)["checks"]
    assert (queries["name"], queries["outcome"], queries["notes"]) == ("queries", "ok", [])
    assert int(queries["looked_at"].split()[0]) > 100


def test_check_exits_1_and_names_file_panel_and_remedy(tmp_path: Path) -> None:
    """A file that was edited by hand is found, and what to do is said."""
    dashboards.write(tmp_path)
    file = tmp_path / "grafana" / "overview.json"
    file.write_text(file.read_text(encoding="utf-8").replace('"unit": "ms"', '"unit": "furlongs"'), encoding="utf-8")

    result = CliRunner().invoke(app, ["check", "--no-queries", "--directory", str(tmp_path), "--json"])

    assert result.exit_code == 1
    findings = [finding for check in json.loads(result.stdout)["checks"] for finding in check["findings"]]
    assert {finding["check"] for finding in findings} == {"not-regenerated", "unknown-unit"}
    assert all(finding["file"] == "grafana/overview.json" and finding["remedy"] for finding in findings)
    assert any("Latency, planner" in finding["place"] for finding in findings)


def test_check_prints_findings_for_people(tmp_path: Path) -> None:
    """Findings are results; the count is a note."""
    dashboards.write(tmp_path)
    (tmp_path / "datadog" / "monitors" / "double_booking.json").unlink()

    result = CliRunner().invoke(app, ["check", "--no-queries", "--directory", str(tmp_path)])

    assert result.exit_code == 1
    assert "is missing" in result.stdout
    assert "1 finding" in result.stderr


@pytest.mark.parametrize(("arguments", "status"), [([], 0), (["--strict"], 1)])
def test_check_that_lacks_something_is_skipped_aloud(tmp_path: Path, arguments: list[str], status: int) -> None:
    """It says what is missing and what to do about it; whether that fails is for the caller to say."""
    only = ["--only", "grafana-schema", "--schemas", str(tmp_path)]

    said = CliRunner().invoke(app, ["check", *only, *arguments])
    report = json.loads(CliRunner().invoke(app, ["check", *only, *arguments, "--json"]).stdout)

    assert said.exit_code == status
    assert re.search(r"grafana-schema +SKIPPED +dashboard.jsonschema.json", said.stdout)
    assert "0 checks ran, 1 skipped" in said.stderr
    assert report["is_ok"] is (status == 0)
    (check,) = report["checks"]
    assert (check["outcome"], check["findings"]) == ("skipped", [])
    assert "--schemas" in check["skipped"]["install"]


def test_check_of_no_name_is_refused_with_the_names_there_are() -> None:
    """A misspelled check must not pass as nothing found."""
    result = CliRunner().invoke(app, ["check", "--only", "grafanna"])

    assert result.exit_code == 2
    assert "grafana-types" in result.stderr
