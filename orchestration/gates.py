"""From our expectations to Dagster's asset checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import dagster as dg

from expectations.model import Expectation, ExpectationResult, Severity, Suite, SuiteResult

OBSERVED = "observed"
REMEDY = "remedy"
GUIDE = "step_by_step"
OWNER = "owner"
AFFECTED_ROWS = "affected_rows"
TOTAL_ROWS = "of_rows"
ROWS = "rows"
GROUPS = "where_they_come_from"
DATA_DOCS = "data_docs"


def check_specs(suite: Suite) -> list[dg.AssetCheckSpec]:
    """Return a check for each expectation: the critical ones block what is downstream of their asset."""
    return [
        dg.AssetCheckSpec(
            name=rule.name,
            asset=_asset_key(rule),
            # Markdown there, where a star is no star.
            description=rule.description.replace("*", "\\*"),
            blocking=rule.severity is Severity.CRITICAL,
            metadata={
                "engine": "Great Expectations",
                "suite": suite.name,
                REMEDY: rule.remedy,
                GUIDE: rule.guide,
                OWNER: rule.owner,
            },
        )
        for rule in suite.expectations
    ]


def check_results(result: SuiteResult, page: Path | None) -> Iterator[dg.AssetCheckResult]:
    """Return how each check came out, with the rows that violate it and what to do about them.

    Args:
        result: Of the suite.
        page: Its page of the Data Docs, if there is one.
    """
    for outcome in result.results:
        yield dg.AssetCheckResult(
            asset_key=_asset_key(outcome.expectation),
            check_name=outcome.expectation.name,
            passed=outcome.passed,
            severity=_severity(outcome.expectation.severity),
            description=None if outcome.passed else outcome.observed,
            metadata=_metadata(outcome, page),
        )


def _asset_key(rule: Expectation) -> dg.AssetKey:
    return dg.AssetKey(rule.asset.split("."))


def _severity(severity: Severity) -> dg.AssetCheckSeverity:
    match severity:
        case Severity.CRITICAL:
            return dg.AssetCheckSeverity.ERROR
        case Severity.WARNING:
            return dg.AssetCheckSeverity.WARN


def _metadata(outcome: ExpectationResult, page: Path | None) -> dict[str, dg.MetadataValue]:
    metadata: dict[str, dg.MetadataValue] = {
        OBSERVED: dg.MetadataValue.text(outcome.observed),
        AFFECTED_ROWS: dg.MetadataValue.int(outcome.affected_count),
    }
    if not outcome.passed:
        metadata[REMEDY] = dg.MetadataValue.text(outcome.expectation.remedy)
        metadata[GUIDE] = dg.MetadataValue.text(outcome.expectation.guide)
        metadata[OWNER] = dg.MetadataValue.text(outcome.expectation.owner)
    if outcome.total_count is not None:
        metadata[TOTAL_ROWS] = dg.MetadataValue.int(outcome.total_count)
    for name, rows in ((ROWS, outcome.rows), (GROUPS, outcome.groups)):
        if rows:
            metadata[name] = _table(rows)
    if page is not None:
        # No link: a browser follows none from a server's page to a file.
        metadata[DATA_DOCS] = dg.MetadataValue.path(page)
    return metadata


def _table(rows: Sequence[Mapping[str, str]]) -> dg.MetadataValue:
    schema = dg.TableSchema([dg.TableColumn(name, "string") for name in rows[0]])
    return dg.MetadataValue.table([dg.TableRecord(dict(row)) for row in rows], schema)
