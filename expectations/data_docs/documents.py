"""Our suites and results as Great Expectations has them, which keeps them and hands them to the pages.

Nothing of the connection is in them: neither an address nor a login.
"""

from __future__ import annotations

from datetime import datetime
from inspect import cleandoc
from typing import TYPE_CHECKING, Any

from expectations.model import Expectation, ExpectationResult, Suite, SuiteResult

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuite, ExpectationSuiteValidationResult
    from great_expectations.core.expectation_validation_result import ExpectationValidationResult
    from great_expectations.data_context.types.resource_identifiers import ValidationResultIdentifier
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

_ALL = "all"


def as_gx_suite(suite: Suite) -> ExpectationSuite:
    """Return the suite, its expectations with their remedies as notes."""
    import great_expectations as gx  # noqa: PLC0415

    return gx.ExpectationSuite(
        name=suite.name, expectations=[_configuration(rule).to_domain_obj() for rule in suite.expectations]
    )


def as_gx_result(
    result: SuiteResult, run: str, checked_at: datetime
) -> tuple[ExpectationSuiteValidationResult, ValidationResultIdentifier]:
    """Return the result, and the key to keep it by. It is a success where nothing is blocked."""
    from great_expectations.core import ExpectationSuiteValidationResult, RunIdentifier  # noqa: PLC0415
    from great_expectations.data_context.types.resource_identifiers import (  # noqa: PLC0415
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )

    run_id = RunIdentifier(run_name=run, run_time=checked_at)
    count, passed = len(result.results), len(result.passed)
    gx_result = ExpectationSuiteValidationResult(
        success=not result.blocking,
        results=[_result(outcome) for outcome in result.results],
        suite_name=result.suite,
        statistics={
            "evaluated_expectations": count,
            "successful_expectations": passed,
            "unsuccessful_expectations": count - passed,
            "success_percent": 100 * passed / count,
        },
        meta={"run_id": run_id.to_json_dict(), "duration_seconds": round(result.duration_seconds, 2)},
    )
    return gx_result, ValidationResultIdentifier(ExpectationSuiteIdentifier(result.suite), run_id, _ALL)


def _configuration(rule: Expectation) -> ExpectationConfiguration:
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration  # noqa: PLC0415
    from great_expectations.expectations.metadata_types import FailureSeverity  # noqa: PLC0415

    return ExpectationConfiguration(
        type="unexpected_rows_expectation",
        # For reading: it is our own constant, and is run by expectations.validate alone.
        kwargs={"unexpected_rows_query": f"with batch as (select * from {{batch}})\n{cleandoc(rule.violations)}"},  # noqa: S608
        description=rule.description,
        notes=rule.remedy,
        severity=FailureSeverity(rule.severity.value),
        meta={
            "title": rule.title,
            "asset": rule.asset,
            "name": rule.name,
            "owner": rule.owner,
            "guide": rule.guide,
            "examples": None if rule.examples is None else cleandoc(rule.examples),
        },
    )


def _result(outcome: ExpectationResult) -> ExpectationValidationResult:
    from great_expectations.core.expectation_validation_result import ExpectationValidationResult  # noqa: PLC0415

    details: dict[str, Any] = {
        "unexpected_rows": [dict(row) for row in outcome.rows],
        # JSON is written with its keys sorted.
        "columns": list(outcome.rows[0]) if outcome.rows else [],
        "groups": [dict(row) for row in outcome.groups],
        "group_columns": list(outcome.groups[0]) if outcome.groups else [],
        "affected": outcome.affected,
    }
    return ExpectationValidationResult(
        success=outcome.passed,
        expectation_config=_configuration(outcome.expectation),
        result={"observed_value": outcome.violation_count, "details": details},
        exception_info={
            "raised_exception": outcome.error is not None,
            "exception_message": outcome.error,
            "exception_traceback": None,
        },
    )
