"""From our expectations to Dagster's asset checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import dagster as dg

from expectations.model import Expectation, ExpectationResult, Severity, Suite, SuiteResult

OBSERVED = "observed"
REMEDY = "remedy"
AFFECTED_ROWS = "affected_rows"
SAMPLE = "sample"


def check_specs(suite: Suite) -> list[dg.AssetCheckSpec]:
    """Return a check for each expectation: the critical ones block what is downstream of their asset."""
    return [
        dg.AssetCheckSpec(
            name=rule.name,
            asset=_asset_key(rule),
            description=rule.description,
            blocking=rule.severity is Severity.CRITICAL,
            metadata={"engine": "Great Expectations", "suite": suite.name, REMEDY: rule.remedy},
        )
        for rule in suite.expectations
    ]


def check_results(result: SuiteResult) -> Iterator[dg.AssetCheckResult]:
    """Return how each check came out, with the rows that violate it and what to do about them."""
    for outcome in result.results:
        yield dg.AssetCheckResult(
            asset_key=_asset_key(outcome.expectation),
            check_name=outcome.expectation.name,
            passed=outcome.passed,
            severity=_severity(outcome.expectation.severity),
            description=None if outcome.passed else outcome.observed,
            metadata=_metadata(outcome),
        )


def _asset_key(rule: Expectation) -> dg.AssetKey:
    return dg.AssetKey(rule.asset.split("."))


def _severity(severity: Severity) -> dg.AssetCheckSeverity:
    match severity:
        case Severity.CRITICAL:
            return dg.AssetCheckSeverity.ERROR
        case Severity.WARNING:
            return dg.AssetCheckSeverity.WARN


def _metadata(outcome: ExpectationResult) -> dict[str, dg.MetadataValue]:
    metadata: dict[str, dg.MetadataValue] = {
        OBSERVED: dg.MetadataValue.text(outcome.observed),
        AFFECTED_ROWS: dg.MetadataValue.int(outcome.affected_count),
    }
    if not outcome.passed:
        metadata[REMEDY] = dg.MetadataValue.text(outcome.expectation.remedy)
    if outcome.sample_rows:
        metadata[SAMPLE] = dg.MetadataValue.md(_markdown_table(outcome.sample_rows))
    return metadata


def _markdown_table(rows: Sequence[Mapping[str, str]]) -> str:
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *([row[name] for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
