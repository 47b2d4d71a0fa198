"""A gate as a step of a run: only what was asked for is checked, and what failed is said in the run's log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import dagster as dg

from expectations.model import Suite, SuiteResult
from orchestration.gates import check_results
from orchestration.resources import ExpectationsResource


def check_selected(
    context: dg.AssetCheckExecutionContext, expectations: ExpectationsResource, suite: Suite
) -> Iterator[dg.AssetCheckResult]:
    """Check those expectations of a suite that the run selects: all of them in a pass, one by its button in the UI."""
    selected = {(key.asset_key, key.name) for key in context.selected_asset_check_keys}
    wanted = tuple(rule for rule in suite.expectations if (dg.AssetKey(rule.asset.split(".")), rule.name) in selected)
    batches = tuple(batch for batch in suite.batches if any(rule.batch == batch.name for rule in wanted))
    result, page = expectations.check(replace(suite, batches=batches, expectations=wanted))
    _log_failures(context.log, result)
    yield from check_results(result, page)


def _log_failures(log: logging.Logger, result: SuiteResult) -> None:
    """Say what failed, the worst last: Dagster's own words about a blocked run are a check's name and a stack trace."""
    for outcome in result.warnings:
        log.warning("%s. %s. %s", outcome.title, outcome.observed, outcome.expectation.remedy)
    for outcome in result.blocking:
        log.error("Blocks what follows: %s. %s. %s", outcome.title, outcome.observed, outcome.expectation.remedy)
