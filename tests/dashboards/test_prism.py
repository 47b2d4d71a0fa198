"""A mock of Datadog made of its own OpenAPI documents takes every body that is pushed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dashboards.alerts import ALERTS
from dashboards.checks.openapi import INSTALL as GET_SCHEMAS
from dashboards.checks.openapi import V1, V2, open_document
from dashboards.errors import PushError
from dashboards.files import DASHBOARDS_DIR
from holds_core.database.connections import connect
from orchestration.cli import dashboards as dashboards_cli
from orchestration.cli import metrics as metrics_cli
from tests.dashboards.prism import INSTALL, SLOWEST_SECONDS, one_document, prism, program
from tests.dashboards.seed import seed_events

REQUIRED = "HOLDWATCH_TOOLS_REQUIRED"
"""Set where a tool that is missing is a failure."""

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("datadog")]


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the mock. Without its tools the tests are skipped; `make check-full`, which installs them, fails."""
    is_missing = pytest.fail if REQUIRED in os.environ else pytest.skip
    if (executable := program()) is None:
        is_missing(f"SKIPPED: Prism is not installed: {INSTALL}")
    schemas = dashboards_cli.SCHEMAS_DIR
    if not all((schemas / name).is_file() for name in (V1, V2)):
        is_missing(f"SKIPPED: Datadog's documents are not in {schemas}: {GET_SCHEMAS}")
    document = one_document({"v1": open_document(schemas / V1), "v2": open_document(schemas / V2)})
    with prism(executable, document, tmp_path_factory.mktemp("prism")) as url:
        yield url


@pytest.fixture
def pushing(mock: str, views_template: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a database with events and maintenance, named in the environment, as is the mock."""
    url = views_template()
    monkeypatch.setenv("DD_URL", mock)
    monkeypatch.setattr("dashboards.pushing.datadog_api.TIMEOUT_SECONDS", (5, SLOWEST_SECONDS))
    monkeypatch.setenv("DD_API_KEY", "key")
    monkeypatch.setenv("DD_APP_KEY", "key")
    monkeypatch.setenv("HOLDWATCH_DATABASE_URL", url)
    return url


def test_every_object_is_taken(pushing: str) -> None:
    """Monitors, objective, dashboard, and downtimes of maintenance that is on and that is to come."""
    with connect(pushing) as connection:
        for starts_at in (datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(days=1)):
            connection.execute(
                "select holds.add_maintenance_window(null, %s, interval '2 hours', 'New disks')", (starts_at,)
            )

    result = CliRunner().invoke(dashboards_cli.app, ["push", "--datadog", "--json"], catch_exceptions=False)

    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["changed"] == len(ALERTS) + 2 + 2
    assert {change["action"] for change in said["changes"]} == {"create"}


def test_all_series_are_taken(pushing: str) -> None:
    """Of data of every kind, single restaurants included."""
    with connect(pushing) as connection:
        seed_events(connection)

    result = CliRunner().invoke(metrics_cli.app, ["push", "--restaurants", "--json"], catch_exceptions=False)

    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["series"] > 100


def test_mock_refuses_what_does_not_fit(pushing: str, tmp_path: Path) -> None:
    """The tests above can fail: an option of another type is refused, and said where it is."""
    for file in (DASHBOARDS_DIR / "datadog").rglob("*.json"):
        copy = tmp_path / file.relative_to(DASHBOARDS_DIR)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(file.read_text().replace('"renotify_interval": 60', '"renotify_interval": "hourly"'))

    with pytest.raises(PushError, match=r"validate the monitor \w+: 4\d\d"):
        CliRunner().invoke(
            dashboards_cli.app,
            ["push", "--datadog", "--no-downtimes", "--directory", str(tmp_path)],
            catch_exceptions=False,
        )
