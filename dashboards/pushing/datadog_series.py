"""Sends series to Datadog (``POST /api/v2/series``), compressed and in batches that it takes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from datadog_api_client.v2.api.metrics_api import MetricsApi
from datadog_api_client.v2.model.metric_content_encoding import MetricContentEncoding

from dashboards.errors import PushError
from dashboards.pushing.datadog_api import TRIES, DatadogApi, DatadogSettings, Json
from dashboards.pushing.points import Series, body

BATCH_BYTES = 500_000
"""Of a body before it is compressed: Datadog takes 512,000 bytes compressed and 5 MiB uncompressed, and so this."""


@dataclass(frozen=True)
class Sent:
    """What a push sent.

    Attributes:
        series: How many.
        points: Of all of them together.
        batches: Calls that it took.
    """

    series: int
    points: int
    batches: int


def send_series(settings: DatadogSettings, series: Iterable[Series], *, tries: int = TRIES) -> Sent:
    """Send series. What was sent before the same way changes nothing.

    Raises:
        PushError: Datadog does not take them, or cannot be reached; batches before that one have arrived.
    """
    series = list(series)
    batches = 0
    # The same points are the same points, so that a batch may be sent again whatever became of it.
    with DatadogApi.open(settings, tries=tries, repeats_posts=True) as api:
        metrics = MetricsApi(api.client)
        for batch in batched(body(one) for one in series):
            answer = api.call(
                "send the series",
                metrics.submit_metrics,
                body={"series": batch},
                content_encoding=MetricContentEncoding.GZIP,
            )
            batches += 1
            if isinstance(answer, dict) and answer.get("errors"):
                raise PushError(f"Datadog did not take all series: {'; '.join(map(str, answer['errors']))[:500]}")
    return Sent(len(series), sum(len(one.points) for one in series), batches)


def batched(bodies: Iterable[Json], limit: int = BATCH_BYTES) -> Iterator[list[Json]]:
    """Give the bodies in lists whose JSON is at most ``limit`` bytes long; one that is longer itself comes alone."""
    batch: list[Json] = []
    size = 0
    for one in bodies:
        length = len(json.dumps(one)) + 2  # as the client writes it, with the comma and the space that follow
        if batch and size + length > limit - len('{"series": []}'):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += length
    if batch:
        yield batch
