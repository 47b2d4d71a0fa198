"""The gate at the source: what must hold of the raw events before anything is built from them."""

# ruff: noqa: S608 -- the statements are put together from constants of this program, never from data
from __future__ import annotations

from collections.abc import ItemsView
from datetime import UTC, date, datetime, timedelta

from expectations.model import Batch, Expectation, Severity, Suite
from holds_core.database.settings import MAX_FUTURE_DAYS, RETENTION_DAYS, Environment
from holds_core.events.types import EVENT_TYPES, MAY_LACK_RESTAURANT, SEVERITIES

EVENTS_TABLE = "holds.observability_events"

NULL_SHARE_LIMIT = 0.10
"""Of a day's selector and hold events; above it, what the views say of single restaurants is no longer true."""

NULL_SHARE_MINIMUM_EVENTS = 50
"""Of a day and environment; a share of fewer events says little."""

WATCHED_PREFIXES = ("capacity.selector.", "capacity.hold.")
"""Beginnings of the event types whose share without a restaurant is limited."""

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

# A JSON number in a string. The exponent's length is bounded so that the cast that follows cannot overflow.
_NUMBER = r"^\s*-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?0*[0-9][0-9]?[0-9]?[0-9]?)?\s*$"
_LARGEST_FLOAT = "1.7976931348623157e308::numeric"


def events_suite(now: datetime, table: str = EVENTS_TABLE) -> Suite:
    """Return what must hold of the events in ``table`` at the moment ``now``.

    Args:
        now: With a time zone; "today" is its UTC day.
        table: ``schema.name``.
    """
    today = now.astimezone(UTC).date()
    first_day = today - timedelta(days=RETENTION_DAYS)
    latest = now.astimezone(UTC) + timedelta(days=MAX_FUTURE_DAYS)
    rules = _Rules(table)
    return Suite(
        name="events",
        batches=(
            Batch("columns", _columns_query(table)),
            Batch("events", f"select * from {table}", is_stored=False),
            Batch("repeated", _repeated_query(table)),
            Batch("kinds", _kinds_query(table)),
        ),
        expectations=(
            rules.critical(
                "columns_present",
                "Every column of the event contract exists and has its type.",
                "columns",
                f"""
                select column_name, data_type as wanted_type, 1 as affected_count
                from (values {_value_rows(_COLUMNS.items())}) as wanted (column_name, data_type)
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
                where {" or ".join(f"{name} is null" for name in _COLUMNS if name not in _NULLABLE_COLUMNS)}
                """,
                "Fill in the values or delete the rows, then restore the table's NOT NULL constraints.",
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
                where occurred_at > timestamptz '{latest.isoformat()}'
                    or (
                        occurred_at < {_start_of(first_day)}
                        and occurred_at < (
                            date_trunc('day', recorded_at at time zone 'UTC') - interval '{RETENTION_DAYS} days'
                        ) at time zone 'UTC'
                    )
                """,
                "Mend the clock of the source that wrote them, and correct or delete these rows.",
            ),
            rules.critical(
                "null_restaurant_share_within_limit",
                f"On no completed UTC day and environment with at least {NULL_SHARE_MINIMUM_EVENTS} selector and hold "
                f"events do more than {NULL_SHARE_LIMIT:.0%} of them lack a restaurant.",
                "kinds",
                _null_share_query(f"day >= date '{first_day}' and day < date '{today}'"),
                "Find what dropped the restaurant at the source named here, fill restaurant_id in for these rows (from "
                "the booking, for instance), and run again.",
            ),
            rules.warning(
                "null_restaurant_share_today",
                f"Today, so far, no environment with at least {NULL_SHARE_MINIMUM_EVENTS} selector and hold events "
                f"has more than {NULL_SHARE_LIMIT:.0%} of them without a restaurant.",
                "kinds",
                _null_share_query(f"day = date '{today}'"),
                "Mend the source today: at midnight UTC the same share blocks the pipeline.",
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
                where null_restaurant_count > 0 and not ({_begins_with("event_type", MAY_LACK_RESTAURANT)})
                group by source, event_type, environment
                """,
                "They are counted and shown as (none). Ask the owner of the source named here why the restaurant is "
                "missing.",
            ),
            rules.warning(
                "event_types_known",
                "Every event type is one of the contract's.",
                "kinds",
                _unknown_query("event_type", EVENT_TYPES),
                "Mend the spelling at the source, or add the type to holds_core/events/types.py.",
            ),
            rules.warning(
                "severities_known",
                f"Every severity is one of {', '.join(SEVERITIES)}.",
                "kinds",
                _unknown_query("severity", SEVERITIES),
                "Mend it at the source: the error taxonomy counts only the severities of the contract.",
            ),
            rules.warning(
                "environments_known",
                f"Every environment is one of {', '.join(Environment)}.",
                "kinds",
                _unknown_query("environment", tuple(Environment)),
                "Set HOLDWATCH_ENVIRONMENT where these events are written.",
            ),
            rules.warning(
                "contexts_are_objects",
                "The context of every event is a JSON object.",
                "kinds",
                _malformed_query("context_malformed"),
                "Mend it at the source; the views count the event and can read none of its details.",
            ),
            rules.warning(
                "timings_are_objects",
                "Where a selector event has a timing, it is a JSON object.",
                "kinds",
                _malformed_query("timing_malformed"),
                "Mend it at the source; the event is counted, its latencies are not.",
            ),
            rules.warning(
                "latencies_readable",
                "Where a selector event has a latency (totalMs, plannerMs), it is a finite number of at least 0.",
                "kinds",
                _malformed_query("latency_malformed"),
                "Mend it at the source; the event is counted, this latency is not.",
            ),
            rules.warning(
                "retry_flags_readable",
                "Where an event has retryExhausted, it is true or false.",
                "kinds",
                _malformed_query("retry_flag_malformed"),
                "Mend it at the source; what is not true counts as not exhausted.",
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
                "They are in no view any more; drop the partitions of these days.",
            ),
        ),
    )


class _Rules:
    """Makes expectations about one table."""

    def __init__(self, table: str) -> None:
        self._table = table

    def critical(self, name: str, description: str, batch: str, violations: str, remedy: str) -> Expectation:
        return Expectation(self._table, name, description, Severity.CRITICAL, batch, violations, remedy)

    def warning(self, name: str, description: str, batch: str, violations: str, remedy: str) -> Expectation:
        return Expectation(self._table, name, description, Severity.WARNING, batch, violations, remedy)


def _columns_query(table: str) -> str:
    return f"""
        select attname::text as column_name, format_type(atttypid, null) as data_type
        from pg_attribute
        where attrelid = to_regclass('{table}') and attnum > 0 and not attisdropped
    """


def _repeated_query(table: str) -> str:
    """Identities whose id occurs more than once; finding those ids is one pass."""
    return f"""
        select id, occurred_at, count(*) as row_count
        from {table}
        where id in (select id from {table} group by id having count(*) > 1)
        group by id, occurred_at
    """


def _kinds_query(table: str) -> str:
    """One pass over the events: a row for each day and kind, with the counts of what is odd and an example of each."""
    flags = {
        "null_restaurant": "restaurant_id is null",
        "context_malformed": "jsonb_typeof(context) <> 'object'",
        "timing_malformed": "is_selector and jsonb_typeof(context -> 'timing') not in ('object', 'null')",
        "latency_malformed": (f"is_selector and ({_is_no_latency('totalMs')} or {_is_no_latency('plannerMs')})"),
        "retry_flag_malformed": ("not coalesce(lower(context ->> 'retryExhausted') in ('true', 'false'), true)"),
    }
    columns = ",\n            ".join(
        f"count(*) filter (where {condition}) as {name}_count,\n"
        f"            min(id::text) filter (where {condition}) as {name}_example"
        for name, condition in flags.items()
    )
    return f"""
        select (occurred_at at time zone 'UTC')::date as day, environment, source, event_type, severity,
            count(*) as event_count,
            min(id::text) as example,
            {columns}
        from {table}
        cross join lateral (
            select event_type in ('capacity.selector.assignment', 'capacity.selector.skipped') as is_selector
        ) as kind
        group by day, environment, source, event_type, severity
    """


def _is_no_latency(key: str) -> str:
    """SQL: a latency is there, and is neither a number nor a number in a string, finite and at least 0."""
    value, text = f"context -> 'timing' -> '{key}'", f"context -> 'timing' ->> '{key}'"
    return f"""
        case jsonb_typeof({value})
            when 'number' then not (({text})::numeric between 0 and {_LARGEST_FLOAT})
            when 'string' then not coalesce(
                case when {text} ~ '{_NUMBER}' then ({text})::numeric between 0 and {_LARGEST_FLOAT} end, false
            )
            when 'null' then false
            else {value} is not null
        end
    """


def _null_share_query(days: str) -> str:
    watched = _begins_with("event_type", WATCHED_PREFIXES)
    return f"""
        select day::text as day, environment,
            sum(null_restaurant_count)::bigint as affected_count,
            sum(event_count)::bigint as event_count,
            round(100.0 * sum(null_restaurant_count) / sum(event_count), 1)::text || ' percent' as null_share,
            string_agg(distinct source, ' ') filter (where null_restaurant_count > 0) as sources,
            min(null_restaurant_example) as example_id
        from batch
        where {days} and ({watched})
        group by day, environment
        having sum(event_count) >= {NULL_SHARE_MINIMUM_EVENTS}
            and sum(null_restaurant_count) > {NULL_SHARE_LIMIT} * sum(event_count)
    """


def _unknown_query(column: str, known: tuple[str, ...]) -> str:
    return f"""
        select {column}, source, sum(event_count)::bigint as affected_count, min(example) as example_id
        from batch
        where {column} not in ({_literals(known)})
        group by {column}, source
    """


def _malformed_query(flag: str) -> str:
    return f"""
        select source, event_type, sum({flag}_count)::bigint as affected_count, min({flag}_example) as example_id
        from batch
        where {flag}_count > 0
        group by source, event_type
    """


def _begins_with(column: str, kinds: tuple[str, ...]) -> str:
    """SQL: the column is one of ``kinds``, or begins with one that ends in a dot."""
    return " or ".join(
        f"starts_with({column}, '{kind}')" if kind.endswith(".") else f"{column} = '{kind}'" for kind in kinds
    )


def _literals(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)


def _value_rows(pairs: ItemsView[str, str]) -> str:
    return ", ".join(f"('{name}', '{value}')" for name, value in pairs)


def _start_of(day: date) -> str:
    return f"timestamptz '{day} 00:00:00+00'"
