"""`holdwatch dashboards` writes, checks, and says what it found."""

from __future__ import annotations

import json
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
