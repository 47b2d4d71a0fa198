"""What the suites promise without being run, and how a result reads."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import pytest

from expectations.model import Expectation, ExpectationResult, Severity, Suite
from expectations.suites.events import events_suite
from expectations.suites.views import views_suite
from expectations.validate import sqlalchemy_url, validate

SUITES = [events_suite(datetime(2026, 3, 10, tzinfo=UTC)), views_suite()]


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_suite_is_complete(suite: Suite) -> None:
    """Names are unique, every batch exists and is used, and every expectation says in words what it is about."""
    names = [(rule.asset, rule.name) for rule in suite.expectations]
    assert len(names) == len(set(names))
    assert {rule.batch for rule in suite.expectations} == {batch.name for batch in suite.batches}
    for rule in suite.expectations:
        assert rule.description.endswith((".", ")")) or rule.name == "columns_present"
        assert rule.remedy.endswith(".")


def test_reading_the_suites_does_not_load_the_engine() -> None:
    """Great Expectations, pandas and SQLAlchemy are loaded when a suite is run, not when one is read."""
    program = (
        "import sys, expectations.validate, expectations.suites.events, expectations.suites.views;"
        "print([name for name in ('great_expectations', 'pandas', 'sqlalchemy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_join_in_a_violation_is_refused(database_url: str) -> None:
    """The engine would leave out an alias that PostgreSQL 15 wants."""
    rule = Expectation(
        "a.b", "joined", "", Severity.WARNING, "columns", "select 1 from batch join batch as b on true", "", ""
    )
    suite = Suite("joined", (SUITES[0].batches[0],), (rule,))
    with pytest.raises(ValueError, match="without a join"):
        validate(database_url, [suite])


def test_observed_counts_names_and_says_how_many_more() -> None:
    """A failed result reads as one line."""
    result = ExpectationResult(
        suite="events",
        expectation=SUITES[0].expectations[0],
        passed=False,
        affected_count=1200,
        sample_rows=tuple({"id": str(number)} for number in range(10)),
        violation_count=12,
        total_count=34_000,
        unit="event",
    )
    assert result.observed == "1,200 of 34,000 events: id=0; id=1; id=2; and 9 more"
    assert result.title == "observability_events: columns present"


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("postgres://u:p@h/d", "postgresql+psycopg2://u:p@h/d"),
        ("postgresql:///d?host=/run/postgresql", "postgresql+psycopg2:///d?host=/run/postgresql"),
    ],
)
def test_sqlalchemy_url_names_the_driver(given: str, wanted: str) -> None:
    """Whatever SQLAlchemy would choose by itself."""
    assert sqlalchemy_url(given) == wanted
