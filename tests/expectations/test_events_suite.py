"""Every expectation at the source, on a batch that it passes and on one that it fails."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from expectations.model import Severity, SuiteResult
from expectations.suites.events import events_suite
from expectations.validate import validate

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
YESTERDAY = NOW - timedelta(days=1)
TABLE = "holds.loose_events"
RESTAURANT = UUID("11111111-1111-4111-8111-111111111111")

Row = dict[str, Any]


def event(**changes: Any) -> Row:
    """An event that is in order, but for the changes."""
    occurred_at = changes.get("occurred_at", YESTERDAY)
    return {
        "id": uuid4(),
        "occurred_at": occurred_at,
        "recorded_at": occurred_at,
        "environment": "prod",
        "source": "capacity.selector",
        "event_type": "capacity.selector.assignment",
        "severity": "info",
        "restaurant_id": RESTAURANT,
        "booking_id": None,
        "context": Jsonb({"timing": {"totalMs": 12.5, "plannerMs": "3"}, "retryExhausted": False}),
    } | changes


def events(count: int, **changes: Any) -> list[Row]:
    return [event(**changes) for _ in range(count)]


def timing(value: Any) -> Jsonb:
    return Jsonb({"timing": value})


GOOD = [
    *events(60),
    *events(60, occurred_at=NOW, event_type="capacity.hold.created"),
    # Types that may lack a restaurant.
    event(event_type="capacity.manual.validate", restaurant_id=None),
    event(event_type="capacity.enforcement.changed", restaurant_id=None),
    event(event_type="capacity.flags.changed", restaurant_id=None),
    event(event_type="capacity.rollout.blocked", restaurant_id=None),
    event(event_type="pipeline.run.failed", restaurant_id=None, severity="error"),
    # The borders of what is in range.
    event(occurred_at=datetime(2025, 12, 10, tzinfo=UTC)),
    event(occurred_at=NOW + timedelta(days=1), recorded_at=NOW),
    # Latencies may be missing, null, numbers in strings; and what is no selector event may have any.
    event(context=timing({})),
    event(context=timing({"totalMs": None, "plannerMs": " 1.5e3 "})),
    event(context=timing({"totalMs": 0, "plannerMs": "0"})),
    event(context=timing(None)),
    event(context=Jsonb({})),
    event(event_type="capacity.rpc.conflict", severity="warning", context=timing("soon")),
    event(context=Jsonb({"retryExhausted": "TRUE"})),
    event(context=Jsonb({"retryExhausted": None})),
]


@pytest.fixture
def loose_table(connection: psycopg.Connection) -> psycopg.Connection:
    """A table like that of the events, with nothing that refuses what is wrong."""
    connection.execute(f"create table {TABLE} (like holds.observability_events including defaults)")
    for name in event():
        connection.execute(f"alter table {TABLE} alter column {name} drop not null")
    return connection


def insert(connection: psycopg.Connection, rows: Iterable[Row]) -> None:
    names = list(event())
    with connection.cursor() as cursor:
        cursor.executemany(
            f"insert into {TABLE} ({', '.join(names)}) values ({', '.join(f'%({name})s' for name in names)})",
            list(rows),
        )


def check(database_url: str) -> SuiteResult:
    (result,) = validate(database_url, [events_suite(NOW, TABLE)])
    return result


@dataclass(frozen=True)
class Bad:
    """Rows that break one expectation: which, how badly, how many rows it names, and what it must say of them."""

    name: str
    severity: Severity
    rows: list[Row]
    affected: int
    says: str


REPEATED, REUSED = event(), event()

CASES = [
    Bad("required_values_present", Severity.CRITICAL, [event(source=None)], 1, "occurred_at=2026-03-09 12:00:00+00"),
    Bad("required_values_present", Severity.CRITICAL, [event(context=None)], 1, "id="),
    Bad("identities_unique", Severity.CRITICAL, [REPEATED, REPEATED, REPEATED], 2, f"id={REPEATED['id']}"),
    Bad(
        "times_in_range",
        Severity.CRITICAL,
        [event(occurred_at=NOW + timedelta(days=1, seconds=1), recorded_at=NOW)],
        1,
        "source=capacity.selector",
    ),
    Bad("event_types_known", Severity.WARNING, [event(event_type="Capacity.Selector.Assignment")], 1, "Assignment"),
    Bad("severities_known", Severity.WARNING, events(2, severity="fatal"), 2, "severity=fatal"),
    Bad("environments_known", Severity.WARNING, [event(environment="production")], 1, "environment=production"),
    Bad("contexts_are_objects", Severity.WARNING, [event(context=Jsonb([1]))], 1, "capacity.selector.assignment"),
    Bad("timings_are_objects", Severity.WARNING, [event(context=timing("12 ms"))], 1, "example_id="),
    Bad("latencies_readable", Severity.WARNING, [event(context=timing({"totalMs": -1}))], 1, "example_id="),
    Bad("latencies_readable", Severity.WARNING, [event(context=timing({"plannerMs": "fast"}))], 1, "example_id="),
    Bad("latencies_readable", Severity.WARNING, [event(context=timing({"totalMs": "1e400"}))], 1, "example_id="),
    Bad("latencies_readable", Severity.WARNING, [event(context=timing({"totalMs": "1e99999999"}))], 1, "example_id="),
    Bad("latencies_readable", Severity.WARNING, [event(context=timing({"totalMs": {"ms": 1}}))], 1, "example_id="),
    Bad("latencies_readable", Severity.WARNING, [event(context=timing({"totalMs": True}))], 1, "example_id="),
    Bad("retry_flags_readable", Severity.WARNING, [event(context=Jsonb({"retryExhausted": 1}))], 1, "example_id="),
    Bad("ids_not_reused", Severity.WARNING, [REUSED, REUSED | {"occurred_at": NOW}], 1, f"id={REUSED['id']}"),
    Bad(
        "restaurants_known",
        Severity.WARNING,
        [*events(2, restaurant_id=None), event(restaurant_id=None, source="importer")],
        3,
        "source=importer",
    ),
]


def test_batch_in_order_passes_every_expectation(loose_table: psycopg.Connection, database_url: str) -> None:
    """Nothing fails on events that are all in order, at the very borders of what is allowed."""
    insert(loose_table, GOOD)
    result = check(database_url)
    assert [outcome.observed for outcome in result.results if not outcome.passed] == []
    assert len(result.passed) == len(events_suite(NOW).expectations)


def test_broken_batch_fails_each_expectation_for_its_own_rows(
    loose_table: psycopg.Connection, database_url: str
) -> None:
    """Every kind of mistake fails one expectation, which counts its own rows, all of them, and names them."""
    insert(loose_table, [*GOOD, *(row for bad in CASES for row in bad.rows)])
    outcomes = {outcome.expectation.name: outcome for outcome in check(database_url).results}
    assert {name for name, outcome in outcomes.items() if not outcome.passed} == {bad.name for bad in CASES}
    for bad in CASES:
        failed = outcomes[bad.name]
        assert failed.expectation.severity == bad.severity
        assert failed.is_blocking is (bad.severity is Severity.CRITICAL)
        assert failed.affected_count == sum(other.affected for other in CASES if other.name == bad.name)
        assert any(bad.says in f"{name}={value}" for row in failed.sample_rows for name, value in row.items()), bad
    total = len(GOOD) + sum(len(bad.rows) for bad in CASES)
    for name, failed in outcomes.items():
        if failed.passed:
            continue
        assert failed.total_count == total
        # The single events at fault, and no others: each by the identity that finds it, and where it came from.
        wrong = {str(row["id"]) for bad in CASES if bad.name == name for row in bad.rows}
        assert {row["id"] for row in failed.rows} == wrong, name
        assert all(row["occurred_at"] and row["source"] and row["restaurant_id"] for row in failed.rows)


def test_null_share_over_the_limit_on_a_completed_day_blocks(
    loose_table: psycopg.Connection, database_url: str
) -> None:
    """6 of 50 events of a completed day and environment is more than a tenth; 5 of 50, and 5 of 49, are not."""
    insert(loose_table, [*events(44, environment="dev"), *events(6, restaurant_id=None, environment="dev")])
    insert(loose_table, [*events(45, environment="staging"), *events(5, restaurant_id=None, environment="staging")])
    insert(loose_table, [*events(39), *events(10, restaurant_id=None)])
    (blocking,) = check(database_url).blocking
    assert blocking.expectation.name == "null_restaurant_share_within_limit"
    assert blocking.affected_count == 6
    assert "day=2026-03-09, environment=dev" in blocking.observed
    assert "sources=capacity.selector" in blocking.observed
    assert blocking.observed.startswith("6 of 50 events: ")
    # Those of the other days and environments are few enough.
    assert len(blocking.rows) == 6
    assert {(row["environment"], row["restaurant_id"]) for row in blocking.rows} == {("dev", "NULL")}


def test_null_share_counts_selector_and_hold_events_only(loose_table: psycopg.Connection, database_url: str) -> None:
    """Conflicts without a restaurant are a warning however many they are; hold events count with the selector's."""
    insert(loose_table, [*events(60), *events(60, event_type="capacity.rpc.conflict", restaurant_id=None)])
    assert [outcome.expectation.name for outcome in check(database_url).warnings] == ["restaurants_known"]
    insert(loose_table, events(10, event_type="capacity.hold.created", restaurant_id=None))
    assert [outcome.expectation.name for outcome in check(database_url).blocking] == [
        "null_restaurant_share_within_limit"
    ]


def test_null_share_of_today_only_warns(loose_table: psycopg.Connection, database_url: str) -> None:
    """Today is not complete: the same share warns."""
    insert(loose_table, [*events(40, occurred_at=NOW), *events(20, occurred_at=NOW, restaurant_id=None)])
    result = check(database_url)
    assert result.blocking == ()
    assert {outcome.expectation.name for outcome in result.warnings} == {
        "null_restaurant_share_today",
        "restaurants_known",
    }


def test_event_older_than_the_retention_when_recorded_blocks(
    loose_table: psycopg.Connection, database_url: str
) -> None:
    """A minute before the first of the ninety days is out of range, and named."""
    late = event(occurred_at=datetime(2025, 12, 9, 23, 59, tzinfo=UTC), recorded_at=NOW)
    insert(loose_table, [*GOOD, late])
    (blocking,) = check(database_url).blocking
    assert blocking.expectation.name == "times_in_range"
    assert f"id={late['id']}" in blocking.observed


def test_event_that_expired_since_it_was_recorded_warns(loose_table: psycopg.Connection, database_url: str) -> None:
    """What was in range when it was recorded is not out of range for growing old."""
    old = datetime(2025, 12, 1, tzinfo=UTC)
    insert(loose_table, [*GOOD, event(occurred_at=old, recorded_at=old)])
    result = check(database_url)
    assert [outcome.expectation.name for outcome in result.warnings] == ["expired_events_removed"]
    assert result.blocking == ()


def test_missing_column_and_wrong_type_block(loose_table: psycopg.Connection, database_url: str) -> None:
    """What cannot be checked has not passed, and says why."""
    loose_table.execute(f"alter table {TABLE} drop column source, alter column severity type varchar(20)")
    result = check(database_url)
    by_name = {outcome.expectation.name: outcome for outcome in result.results}
    assert by_name["columns_present"].affected_count == 2
    assert "column_name=source, wanted_type=text" in by_name["columns_present"].observed
    assert by_name["times_in_range"].error is not None
    assert "source" in by_name["times_in_range"].error
    assert by_name["times_in_range"].is_blocking


def test_events_as_the_migrations_made_them_pass(database_url: str) -> None:
    """The suite's own table, empty and new, is in order."""
    (result,) = validate(database_url, [events_suite(datetime.now(UTC))])
    assert [outcome.observed for outcome in result.results if not outcome.passed] == []


def test_no_critical_event_hides_behind_many(loose_table: psycopg.Connection, database_url: str) -> None:
    """All violations are counted, though only some are named."""
    insert(loose_table, events(300, source=None))
    (blocking,) = check(database_url).blocking
    assert blocking.affected_count == 300
    assert len(blocking.sample_rows) == 10
    assert "and 297 more" in blocking.observed
