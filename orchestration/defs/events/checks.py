"""The gate at the source: one pass of Great Expectations; critical expectations block all that follows."""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from expectations.suites.events import events_suite
from orchestration.gate_steps import check_selected
from orchestration.gates import check_specs
from orchestration.resources import ExpectationsResource


@dg.multi_asset_check(
    name="events_gate",
    description="What must hold of the raw events before anything is built from them.",
    # Names and severities do not depend on the moment, which only the run knows.
    specs=check_specs(events_suite(datetime.now(UTC))),
    can_subset=True,
)
def events_gate(
    context: dg.AssetCheckExecutionContext, expectations: ExpectationsResource
) -> Iterator[dg.AssetCheckResult]:
    """Check the suite as of now."""
    yield from check_selected(context, expectations, events_suite(datetime.now(UTC)))
