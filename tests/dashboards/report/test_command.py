"""The report as a command, and as Dagster's asset."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import dagster as dg
import psycopg
import pytest
from typer.testing import CliRunner, Result

from dashboards.errors import MissingViewsError, ReaderRoleError
from dashboards.report import Report, ReportError, Wanted, make_report
from holds_core.database.connections import connect
from orchestration.cli.app import app
from orchestration.defs.dashboards.report import report as asset
from orchestration.resources import DatabaseResource
from tests.dashboards.report.conftest import figure
from tests.orchestration.cli.test_commands import EXTRAS


def run(url: str, *arguments: str) -> Result:
    return CliRunner(env={"HOLDWATCH_DATABASE_URL": url}).invoke(app, ["report", *arguments])


def test_command_writes_the_page_and_its_figures(seeded_url: str, report: Report, tmp_path: Path) -> None:
    """One JSON object on standard output, with what is on the page."""
    path = tmp_path / "sent.html"
    done = run(seeded_url, "--output", str(path), "--json")

    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["file"] == str(path)
    assert found["environment"] == "dev"
    assert found["answer"].startswith("Tables are booked twice: 1 pair")
    assert {one["name"]: one["value"] for one in found["figures"]}["holds"] == figure(report, "holds").value
    assert found["answer"].split(".")[0] in path.read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--from", "yesterday"), "is no day: write 2030-05-17, or now-30d (now-1d is yesterday)"),
        (("--from", "now-91d"), "the views keep 90 days"),
        (("--from", "2999-01-01"), "in the future"),
        (("--restaurant", "Chez Nous"), "no restaurant's id"),
    ],
)
def test_command_refuses_what_makes_no_sense(seeded_url: str, arguments: tuple[str, ...], words: str) -> None:
    """Exit 2, before anything is read."""
    done = run(seeded_url, *arguments)

    assert done.exit_code == 2
    assert words in " ".join(re.sub(r"[│╭╰─╮╯]", " ", done.output).split())


def test_unknown_environment_names_those_there_are(seeded: psycopg.Connection) -> None:
    """A typo must not make a page without data."""
    with pytest.raises(ReportError, match=r"no environment 'prd'; they have: dev"):
        make_report(seeded, Wanted(environment="prd"))


def test_views_that_are_missing_are_said(new_database: Callable[..., str], small_template: str) -> None:
    """With what builds them."""
    with connect(new_database(small_template)) as connection, pytest.raises(MissingViewsError, match="pipeline run"):
        make_report(connection, Wanted())


def test_command_needs_no_extra(seeded_url: str, tmp_path: Path) -> None:
    """Whoever embeds the core can report: plots are drawn without a library."""
    code = f"import sys; sys.modules |= dict.fromkeys({EXTRAS}); from orchestration.cli import main; main()"
    path = tmp_path / "report.html"
    done = subprocess.run(
        [sys.executable, "-c", code, "report", "--output", str(path)],
        env=os.environ | {"HOLDWATCH_DATABASE_URL": seeded_url},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert path.read_text("utf-8").count("<figure") == 9


@pytest.fixture
def stranger_url(seeded_url: str) -> Iterator[str]:
    """The URL of a login that may connect, and nothing else."""
    name, parts = f"stranger_{uuid4().hex[:8]}", urlsplit(seeded_url)
    with connect(seeded_url) as connection:
        connection.execute(f"create role {name} login password '{name}'".encode())
        yield urlunsplit(parts._replace(netloc=f"{name}:{name}@{parts.hostname}:{parts.port}"))
        connection.execute(f"drop role {name}".encode())


def test_missing_rights_are_said(stranger_url: str) -> None:
    """Whose, and what grants them."""
    with (
        connect(stranger_url) as connection,
        pytest.raises(ReaderRoleError, match="grant analytics_reader to stranger"),
    ):
        make_report(connection, Wanted())


def test_asset_writes_the_page_and_shows_a_plot(
    seeded_url: str, stranger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the answer, the figures as numbers, and a plot; where the login is no reader, the pass goes on."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))

    def materialize(url: str) -> dict[str, Any]:
        with dg.DagsterInstance.ephemeral() as instance:
            done = dg.materialize([asset], instance=instance, resources={"database": DatabaseResource(url=url)})
        (event,) = done.get_asset_materialization_events()
        return {name: one.value for name, one in event.materialization.metadata.items()}

    assert str(materialize(stranger_url)["answer"]).startswith("There is no report: The login stranger_")
    assert list(tmp_path.iterdir()) == []
    metadata = materialize(seeded_url)

    assert Path(str(metadata["page"])) == tmp_path / "report.html"
    assert (tmp_path / "report.html").read_text("utf-8").startswith("<!DOCTYPE html>")
    assert str(metadata["answer"]).startswith("Tables are booked twice")
    assert metadata["double_bookings"] == 1
    # In words first: Dagster shows the picture alone, without the text that stands for it.
    plot = r"(?s)Requests that got tables by day, .*!\[[^\]]+\]\(data:image/png;base64,iVBOR"
    assert re.match(plot, str(metadata["plot"]))
