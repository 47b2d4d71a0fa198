"""Series go to Datadog as Dagster sends them: every minute where a key is set, without a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from dagster import DagsterInstance, SkipReason, build_sensor_context

from dashboards.errors import PushError
from orchestration.defs.metrics.datadog import push_metrics_job, push_to_datadog
from orchestration.resources import DatabaseResource
from tests.dashboards.datadog_server import API_KEY, DatadogServer, datadog_server
from tests.dashboards.http_server import Answer

pytestmark = [
    pytest.mark.xdist_group("datadog"),
]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[DatadogServer]:
    """Datadog, named in the environment."""
    with datadog_server() as running:
        monkeypatch.setenv("DD_URL", running.url)
        monkeypatch.setenv("DD_API_KEY", API_KEY)
        yield running


def test_sensor_sends_where_a_key_is_set(
    small_views_template: Callable[[], str], server: DatadogServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what it sent and asks for no run; fails where Datadog refuses; without a key it is silent."""
    resources = {"database": DatabaseResource(url=small_views_template())}

    def tick() -> object:
        with (
            DagsterInstance.ephemeral() as instance,
            build_sensor_context(instance=instance, resources=resources) as context,
        ):
            return push_to_datadog(context)

    said = tick()
    assert isinstance(said, SkipReason)
    assert f"{len(server.points)} series" in str(said.skip_message)
    assert ("holdwatch.alert.firing", ("alert:double_booking", "env:dev", "service:holdwatch", "severity:page")) in (
        server.points
    )

    server.faults.append(Answer(403, {"errors": ["Forbidden"]}))
    with pytest.raises(PushError, match="403"):
        tick()

    sent = len(server.log)
    assert push_metrics_job.execute_in_process(resources=resources).success
    assert len(server.log) == sent + 1

    monkeypatch.delenv("DD_API_KEY")
    said = tick()
    assert isinstance(said, SkipReason)
    assert said.skip_message == "Nothing is sent to Datadog: DD_API_KEY is not set."
    assert len(server.log) == sent + 1
