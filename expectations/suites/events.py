"""The gate at the source: what must hold of the raw events before anything is built from them."""

# ruff: noqa: S608 -- the statements are put together from constants of this program, never from data
from __future__ import annotations

from datetime import UTC, datetime, timedelta

from expectations.event_queries import (
    NULL_SHARE_LIMIT,
    NULL_SHARE_MINIMUM_EVENTS,
    ODD,
    begins_with,
    columns_query,
    examples_query,
    kinds_query,
    literals,
    malformed_query,
    null_share_events,
    null_share_query,
    repeated,
    repeated_query,
    start_of,
    unknown_query,
    value_rows,
)
from expectations.model import Batch, Expectation, Severity, Suite
from holds_core.database.settings import MAX_FUTURE_DAYS, RETENTION_DAYS, Environment
from holds_core.events.types import EVENT_TYPES, MAY_LACK_RESTAURANT, SEVERITIES

EVENTS_TABLE = "holds.observability_events"

OWNER = "team:platform"
"""Who mends what fails here: the team that Dagster names as the events' owner."""

_COLUMNS = {
    "id": "uuid",
    "occurred_at": "timestamp with time zone",
    "recorded_at": "timestamp with time zone",
    "environment": "text",
    "source": "text",
    "event_type": "text",
    "severity": "text",
    "restaurant_id": "uuid",
    "booking_id": "uuid",
    "context": "jsonb",
}
_NULLABLE_COLUMNS = ("restaurant_id", "booking_id")


def events_suite(now: datetime, table: str = EVENTS_TABLE) -> Suite:
    """Return what must hold of the events in ``table`` at the moment ``now``.

    Args:
        now: With a time zone; "today" is its UTC day.
        table: ``schema.name``.
    """
    today = now.astimezone(UTC).date()
    first_day = today - timedelta(days=RETENTION_DAYS)
    latest = now.astimezone(UTC) + timedelta(days=MAX_FUTURE_DAYS)
    incomplete = " or ".join(f"{name} is null" for name in _COLUMNS if name not in _NULLABLE_COLUMNS)
    out_of_range = f"""
                    occurred_at > timestamptz '{latest.isoformat()}'
                    or (
                        occurred_at < {start_of(first_day)}
                        and occurred_at < (
                            date_trunc('day', recorded_at at time zone 'UTC') - interval '{RETENTION_DAYS} days'
                        ) at time zone 'UTC'
                    )"""
    rules = _Rules(table)
    return Suite(
        name="events",
        batches=(
            Batch("columns", columns_query(table), total=f"select {len(_COLUMNS)}", unit="column"),
            Batch("events", f"select * from {table}", is_stored=False, unit="event"),
            Batch("repeated", repeated_query(table), total=f"select count(*) from {table}", unit="event"),
            Batch("kinds", kinds_query(table), total="select sum(event_count) from batch", unit="event"),
        ),
        expectations=(
            rules.critical(
                "columns_present",
                "Every column of the event contract exists and has its type.",
                "columns",
                f"""
                select column_name, data_type as wanted_type, 1 as affected_count
                from (values {value_rows(_COLUMNS.items())}) as wanted (column_name, data_type)
                where (column_name, data_type) not in (select column_name, data_type from batch)
                """,
                "Bring the schema up to date (holdwatch db migrate), or restore the column as the migrations made it.",
            ),
            rules.critical(
                "required_values_present",
                "No event lacks a value that every event must have: only restaurant_id and booking_id may be NULL.",
                "events",
                f"""
                select id::text as id, occurred_at::text as occurred_at, 1 as affected_count
                from batch
                where {incomplete}
                """,
                "Fill in the values or delete the rows, then restore the table's NOT NULL constraints.",
                which=incomplete,
            ),
            rules.critical(
                "identities_unique",
                "No event is stored twice: (id, occurred_at) is unique.",
                "repeated",
                """
                select id::text as id, occurred_at::text as occurred_at, row_count - 1 as affected_count
                from batch
                where row_count > 1
                """,
                "Delete the copies, then restore the table's primary key.",
                which=repeated(table, "id, occurred_at", "count(*)"),
            ),
            rules.critical(
                "times_in_range",
                f"No event lies more than {MAX_FUTURE_DAYS} day in the future, nor lay more than {RETENTION_DAYS} UTC "
                "days in the past when it was recorded.",
                "events",
                f"""
                select id::text as id, occurred_at::text as occurred_at, recorded_at::text as recorded_at, source,
                    1 as affected_count
                from batch
                where {out_of_range}
                """,
                "Mend the clock of the source that wrote them, and correct or delete these rows.",
                which=out_of_range,
                also=", recorded_at::text as recorded_at",
            ),
            rules.critical(
                "null_restaurant_share_within_limit",
                f"On no completed UTC day and environment with at least {NULL_SHARE_MINIMUM_EVENTS} selector and hold "
                f"events do more than {NULL_SHARE_LIMIT:.0%} of them lack a restaurant.",
                "kinds",
                null_share_query(first_day, today),
                "Find what dropped the restaurant at the source named here, fill restaurant_id in for these rows (from "
                "the booking, for instance), and run again.",
                which=null_share_events(table, first_day, today),
                total=_events_of(null_share_query(first_day, today)),
            ),
            rules.warning(
                "null_restaurant_share_today",
                f"Today, so far, no environment with at least {NULL_SHARE_MINIMUM_EVENTS} selector and hold events "
                f"has more than {NULL_SHARE_LIMIT:.0%} of them without a restaurant.",
                "kinds",
                null_share_query(today, today + timedelta(days=1)),
                "Mend the source today: at midnight UTC the same share blocks the pipeline.",
                which=null_share_events(table, today, today + timedelta(days=1)),
                total=_events_of(null_share_query(today, today + timedelta(days=1))),
            ),
            rules.warning(
                "restaurants_known",
                "Every event names its restaurant, but for those that staff or the system cause without one "
                f"({', '.join(f'{kind}*' if kind.endswith('.') else kind for kind in MAY_LACK_RESTAURANT)}).",
                "kinds",
                f"""
                select source, event_type, environment, sum(null_restaurant_count)::bigint as affected_count,
                    min(null_restaurant_example) as example_id
                from batch
                where null_restaurant_count > 0 and not ({begins_with("event_type", MAY_LACK_RESTAURANT)})
                group by source, event_type, environment
                """,
                "They are counted and shown as (none). Ask the owner of the source named here why the restaurant is "
                "missing.",
                which=f"restaurant_id is null and not ({begins_with('event_type', MAY_LACK_RESTAURANT)})",
            ),
            rules.warning(
                "event_types_known",
                "Every event type is one of the contract's.",
                "kinds",
                unknown_query("event_type", EVENT_TYPES),
                "Mend the spelling at the source, or add the type to holds_core/events/types.py.",
                which=f"event_type not in ({literals(EVENT_TYPES)})",
            ),
            rules.warning(
                "severities_known",
                f"Every severity is one of {', '.join(SEVERITIES)}.",
                "kinds",
                unknown_query("severity", SEVERITIES),
                "Mend it at the source: the error taxonomy counts only the severities of the contract.",
                which=f"severity not in ({literals(SEVERITIES)})",
                also=", severity",
            ),
            rules.warning(
                "environments_known",
                f"Every environment is one of {', '.join(Environment)}.",
                "kinds",
                unknown_query("environment", tuple(Environment)),
                "Set HOLDWATCH_ENVIRONMENT where these events are written.",
                which=f"environment not in ({literals(tuple(Environment))})",
            ),
            rules.warning(
                "contexts_are_objects",
                "The context of every event is a JSON object.",
                "kinds",
                malformed_query("context_malformed"),
                "Mend it at the source; the views count the event and can read none of its details.",
                which=ODD["context_malformed"],
            ),
            rules.warning(
                "timings_are_objects",
                "Where a selector event has a timing, it is a JSON object.",
                "kinds",
                malformed_query("timing_malformed"),
                "Mend it at the source; the event is counted, its latencies are not.",
                which=ODD["timing_malformed"],
            ),
            rules.warning(
                "latencies_readable",
                "Where a selector event has a latency (totalMs, plannerMs), it is a finite number of at least 0.",
                "kinds",
                malformed_query("latency_malformed"),
                "Mend it at the source; the event is counted, this latency is not.",
                which=ODD["latency_malformed"],
            ),
            rules.warning(
                "retry_flags_readable",
                "Where an event has retryExhausted, it is true or false.",
                "kinds",
                malformed_query("retry_flag_malformed"),
                "Mend it at the source; what is not true counts as not exhausted.",
                which=ODD["retry_flag_malformed"],
            ),
            rules.warning(
                "ids_not_reused",
                "No id stands for events at two times: that may be one event, sent again with another time.",
                "repeated",
                """
                select id::text as id, min(occurred_at)::text as first_at, max(occurred_at)::text as last_at,
                    count(*) - 1 as affected_count
                from batch
                group by id
                having count(*) > 1
                """,
                "Let the source send the time it sent first; (id, occurred_at) is an event's identity.",
                which=repeated(table, "id", "count(distinct occurred_at)"),
            ),
            rules.warning(
                "expired_events_removed",
                f"No event is older than the retention of {RETENTION_DAYS} UTC days.",
                "kinds",
                f"""
                select day::text as day, sum(event_count)::bigint as affected_count
                from batch
                where day < date '{first_day}'
                group by day
                """,
                "They are in no view any more; the job retention drops the partitions of these days.",
                which=f"occurred_at < {start_of(first_day)}",
            ),
        ),
    )


def _events_of(violations: str) -> str:
    return f"select sum(event_count) from ({violations}) as violation"


class _Rules:
    """Makes expectations about one table."""

    def __init__(self, table: str) -> None:
        self._table = table

    def critical(
        self, name: str, description: str, batch: str, violations: str, remedy: str, **more: str
    ) -> Expectation:
        return self._make(Severity.CRITICAL, name, description, batch, violations, remedy, **more)

    def warning(
        self, name: str, description: str, batch: str, violations: str, remedy: str, **more: str
    ) -> Expectation:
        return self._make(Severity.WARNING, name, description, batch, violations, remedy, **more)

    def _make(
        self,
        severity: Severity,
        name: str,
        description: str,
        batch: str,
        violations: str,
        remedy: str,
        which: str | None = None,
        also: str = "",
        total: str | None = None,
    ) -> Expectation:
        """``which`` is true of the single events that violate it; ``also`` names more columns to show of them."""
        examples = None if which is None else examples_query(self._table, which, also)
        return Expectation(self._table, name, description, severity, batch, violations, remedy, OWNER, examples, total)
