"""The gate at the views: critical expectations do not undo what was built, but block what is generated from it."""

from collections.abc import Iterator

import dagster as dg

from expectations.suites.views import views_suite
from orchestration.gate_steps import check_selected
from orchestration.gates import check_specs
from orchestration.resources import ExpectationsResource


@dg.multi_asset_check(
    name="views_gate",
    description="What must hold of the views before what reads them is generated.",
    specs=check_specs(views_suite()),
    can_subset=True,
)
def views_gate(
    context: dg.AssetCheckExecutionContext, expectations: ExpectationsResource
) -> Iterator[dg.AssetCheckResult]:
    """Check the suite."""
    yield from check_selected(context, expectations, views_suite())
