"""Runs suites against the database through Great Expectations, and gives its answers as values of our own.

Great Expectations takes seconds to import, so it is imported by :func:`warm_up` or by the first :func:`validate`, never
with this module.
"""

# ruff: noqa: S608 -- the statements are put together from constants of this program, never from data
from __future__ import annotations

import logging
import os
import re
import sys
import time
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from expectations.model import SAMPLE_ROWS, Batch, Expectation, ExpectationResult, Suite, SuiteResult

if TYPE_CHECKING:
    from great_expectations.core.expectation_validation_result import ExpectationValidationResult
    from great_expectations.datasource.fluent.sql_datasource import SQLDatasource
    from sqlalchemy import Row

_SESSION_OPTIONS = (
    "-c timezone=UTC "
    # Events are grouped day by day where a group cannot span days: less memory, and more than one process at it.
    "-c enable_partitionwise_aggregate=on "
    "-c application_name=holdwatch-expectations"
)

_TOTAL = "total_affected_count"

_LONGEST_VALUE = 200
"""Of what a result shows: the names in an event are text of any length."""


def warm_up() -> None:
    """Import Great Expectations: about 8 CPU-seconds, once in a process."""
    # Read when the package is imported: nothing about a run leaves the machine.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    with warnings.catch_warnings(), _main_with_a_file():
        # Of modules that it imports itself: nothing that anybody here could mend.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
        import great_expectations  # noqa: F401, PLC0415


@contextmanager
def _main_with_a_file() -> Iterator[None]:
    """Give the main module a file meanwhile, where it has none, as under ``python -c``.

    Great Expectations imports PySpark where it is installed, and PySpark takes a main module without a file for
    doctests that it is to skip: by sys.exit(0) (pyspark.sql.connect.utils.check_dependencies, 4.1).
    """
    main = sys.modules["__main__"]
    if hasattr(main, "__file__"):
        yield
        return
    main.__file__ = __file__
    try:
        yield
    finally:
        del main.__file__


def validate(url: str, suites: Sequence[Suite]) -> tuple[SuiteResult, ...]:
    """Check suites against a database; every expectation is checked, whatever the others found.

    Args:
        url: ``postgresql://…`` of a role that may read the assets and make temporary tables.
        suites: Checked in their order.

    Returns:
        One result for each suite. An expectation that cannot be checked, because its table is missing for instance,
        has not passed; its result says why.
    """
    warm_up()
    with _datasource(url) as datasource:
        return tuple(_validate_suite(datasource, suite) for suite in suites)


def sqlalchemy_url(url: str) -> str:
    """Return the URL with its driver named: without, SQLAlchemy 2.1 takes psycopg 3, which the tools here do not."""
    return f"postgresql+psycopg2://{url.split('://', maxsplit=1)[1]}"


@contextmanager
def _datasource(url: str) -> Iterator[SQLDatasource]:
    """A data source of an ephemeral context: nothing is written anywhere, and nothing outlives the block."""
    import great_expectations as gx  # noqa: PLC0415
    from great_expectations.data_context.types.base import ProgressBarsConfig  # noqa: PLC0415
    from great_expectations.datasource.fluent.interfaces import GxDatasourceWarning  # noqa: PLC0415

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    with warnings.catch_warnings():
        # It recommends add_postgres, which refuses the URL of a Unix socket.
        warnings.simplefilter("ignore", GxDatasourceWarning)
        datasource = context.data_sources.add_sql(
            name="holdwatch",
            # A dollar sign in a password would be taken for a variable.
            connection_string=sqlalchemy_url(url).replace("$", "%24"),
            kwargs={  # type: ignore[call-arg]  # the stub lacks what the class has
                "connect_args": {"options": _SESSION_OPTIONS, "connect_timeout": 10},
                # One connection: a temporary table is only there on the connection that made it.
                "pool_size": 1,
                "max_overflow": 0,
            },
        )
        try:
            yield datasource
        finally:
            datasource.get_execution_engine().engine.dispose()
            datasource.get_engine().dispose()


def _validate_suite(datasource: SQLDatasource, suite: Suite) -> SuiteResult:
    started = time.monotonic()
    results: list[ExpectationResult] = []
    for batch in suite.batches:
        expectations = [expectation for expectation in suite.expectations if expectation.batch == batch.name]
        results += _validate_batch(datasource, suite.name, batch, expectations)
    order = {(rule.asset, rule.name): position for position, rule in enumerate(suite.expectations)}
    results.sort(key=lambda result: order[result.expectation.asset, result.expectation.name])
    return SuiteResult(suite.name, tuple(results), time.monotonic() - started)


def _validate_batch(
    datasource: SQLDatasource, suite: str, batch: Batch, expectations: Sequence[Expectation]
) -> list[ExpectationResult]:
    import great_expectations as gx  # noqa: PLC0415
    from great_expectations.exceptions.exceptions import GreatExpectationsError  # noqa: PLC0415
    from great_expectations.expectations.core.unexpected_rows_expectation import (  # noqa: PLC0415
        UnexpectedRowsExpectation,
    )
    from great_expectations.expectations.metadata_types import FailureSeverity  # noqa: PLC0415
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    gx_suite = gx.ExpectationSuite(
        name=f"{suite}.{batch.name}",
        expectations=[
            UnexpectedRowsExpectation(
                unexpected_rows_query=_with_total(rule.violations),
                description=rule.description,
                severity=FailureSeverity(rule.severity.value),
                meta={"index": index},
            )
            for index, rule in enumerate(expectations)
        ],
    )
    try:
        stored = _stored(datasource, suite, batch)
        asset = datasource.add_query_asset(name=gx_suite.name, query=stored)
        outcome = asset.add_batch_definition_whole_table("all").get_batch().validate(gx_suite, result_format="COMPLETE")
    except (GreatExpectationsError, SQLAlchemyError) as error:
        return [_unchecked(suite, rule, str(error)) for rule in expectations]
    by_index = {
        entry.expectation_config.meta["index"]: entry
        for entry in outcome.results
        if entry.expectation_config is not None and entry.expectation_config.meta is not None
    }
    results = [_result(suite, rule, by_index[index]) for index, rule in enumerate(expectations)]
    return [
        result if result.passed or result.error is not None else _with_evidence(datasource, batch, stored, result)
        for result in results
    ]


def _stored(datasource: SQLDatasource, suite: str, batch: Batch) -> str:
    """Store the batch's rows if it asks for that; return the query that reads them.

    Great Expectations can store them too, but does it twice for each batch, and for those read as they are as well.
    """
    if not batch.is_stored:
        return batch.query
    import sqlalchemy  # noqa: PLC0415

    table = f"{suite}_{batch.name}"
    datasource.get_execution_engine().execute_query_in_transaction(
        sqlalchemy.text(f"create temporary table {table} as {batch.query}")
    )
    return f"select * from {table}"


def _with_evidence(
    datasource: SQLDatasource, batch: Batch, stored: str, result: ExpectationResult
) -> ExpectationResult:
    """Say of a failed result of how many rows it is, and which single rows they are: asked only now, of what failed."""
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    examples, total = result.expectation.examples, result.expectation.total or batch.total
    try:
        counted = None if total is None else _select(datasource, f"with batch as ({stored}) {total}")[0][0]
        rows = () if examples is None else _select(datasource, f"{examples} limit {SAMPLE_ROWS}")
    except SQLAlchemyError:
        # A column is missing that names the rows: another expectation says so, and this one's counts stand.
        return result
    return replace(
        result,
        total_count=None if counted is None else int(counted),
        unit=batch.unit,
        example_rows=tuple(_as_text(row._mapping) for row in rows),
    )


def _select(datasource: SQLDatasource, statement: str) -> Sequence[Row[Any]]:
    import sqlalchemy  # noqa: PLC0415

    with datasource.get_execution_engine().get_connection() as connection:
        rows: Sequence[Row[Any]] = connection.execute(sqlalchemy.text(statement)).fetchall()
        return rows


def _as_text(row: Mapping[Any, Any], hidden: Collection[str] = ()) -> dict[str, str]:
    return {
        str(name): "NULL" if value is None else str(value)[:_LONGEST_VALUE]
        for name, value in row.items()
        if name not in hidden
    }


def _with_total(violations: str) -> str:
    """Name the batch, and let each row say the sum over all: Great Expectations fetches only the first 200.

    It puts a subselect with an alias for the placeholder, but leaves the alias out where it finds a join in the query;
    PostgreSQL 15 wants one.
    """
    if re.search(r"\bjoin\b", violations, re.IGNORECASE):
        raise ValueError(f"Write this without a join: {violations}")
    return f"""
        with batch as (select * from {{batch}}),
        violation as ({violations})
        select violation.*, (sum(affected_count) over ())::bigint as {_TOTAL}
        from violation
        order by affected_count desc
    """


def _result(suite: str, rule: Expectation, outcome: ExpectationValidationResult) -> ExpectationResult:
    errors = _exception_messages(outcome.exception_info)
    if errors:
        return _unchecked(suite, rule, errors[0])
    rows: list[dict[str, Any]] = outcome.result["details"]["unexpected_rows"]
    hidden = {_TOTAL, "affected_count"} if all(row["affected_count"] == 1 for row in rows) else {_TOTAL}
    return ExpectationResult(
        suite=suite,
        expectation=rule,
        passed=bool(outcome.success),
        affected_count=int(rows[0][_TOTAL]) if rows else 0,
        sample_rows=tuple(_as_text(row, hidden) for row in rows[:SAMPLE_ROWS]),
        violation_count=int(outcome.result["observed_value"]),
    )


def _unchecked(suite: str, rule: Expectation, message: str) -> ExpectationResult:
    reason = message.strip().splitlines()[0] if message.strip() else "no reason was given"
    return ExpectationResult(suite, rule, False, 0, (), 0, error=reason)


def _exception_messages(info: Mapping[str, Any]) -> list[str]:
    """The messages in an ``exception_info``: one for the expectation, or one for each metric it needs."""
    entries = [info] if "raised_exception" in info else list(info.values())
    return [str(entry["exception_message"]) for entry in entries if entry["raised_exception"]]
