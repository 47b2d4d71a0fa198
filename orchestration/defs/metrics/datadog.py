"""Sends series to Datadog every minute, where ``DD_API_KEY`` is set."""

import os
from dataclasses import asdict
from datetime import timedelta

import dagster as dg

from dashboards.pushing.datadog_api import API_KEY, TRIES, DatadogSettings
from dashboards.pushing.datadog_series import Sent, send_series
from dashboards.pushing.points import are_restaurants_wanted, read_series
from orchestration.jobs import PLATFORM, run_tags
from orchestration.resources import DatabaseResource

TRIES_OF_A_TICK = 1
"""The next minute sends the counts of the last hour anyway, and who evaluates sensors has others to see to."""


@dg.op(description="Sends what the views say now to Datadog.")
def send_to_datadog(context: dg.OpExecutionContext, database: DatabaseResource) -> None:
    """Send once; sending it again changes nothing."""
    if API_KEY not in os.environ:
        raise dg.Failure(f"{API_KEY} is not set: nothing can be sent. Set it, and start `holdwatch up` anew.")
    context.add_output_metadata(asdict(_push(database, TRIES)))


@dg.job(
    name="push_metrics",
    description=f"Sends what the views say now to Datadog, once; {API_KEY} and DD_SITE say where (docs/datadog.md).",
    owners=PLATFORM,
    tags=run_tags("push_metrics", at_most=timedelta(minutes=10)),
    executor_def=dg.in_process_executor,
)
def push_metrics_job() -> None:
    """Send once."""
    send_to_datadog()


@dg.sensor(
    # It asks for no run: a process of its own loads all definitions, 3.4 CPU-seconds, to do what takes 0.02 here.
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    owners=PLATFORM,
    description=f"Sends series to Datadog every minute, in its own tick; without {API_KEY} it does nothing.",
)
def push_to_datadog(context: dg.SensorEvaluationContext, database: DatabaseResource) -> dg.SkipReason:
    """Send what there is; fails, for all to see, where Datadog does not take it."""
    if API_KEY not in os.environ:
        return dg.SkipReason(f"Nothing is sent to Datadog: {API_KEY} is not set.")
    sent = _push(database, TRIES_OF_A_TICK)
    return dg.SkipReason(f"{sent.series} series with {sent.points} points were sent; no run is needed for that.")


def _push(database: DatabaseResource, tries: int) -> Sent:
    # From the environment, not from a configuration, which Dagster stores and shows.
    settings = DatadogSettings.from_environ(with_app_key=False)
    with database.connect() as connection:
        series = read_series(connection, restaurants=are_restaurants_wanted())
    return send_series(settings, series, tries=tries)
