"""What the suite at the events asks the database: batches, the violations in them, and the single events at fault."""

# ruff: noqa: S608 -- the statements are put together from constants of this program, never from data
from __future__ import annotations

from collections.abc import ItemsView
from datetime import date

NULL_SHARE_LIMIT = 0.10
"""Of a day's selector and hold events; above it, what the views say of single restaurants is no longer true."""

NULL_SHARE_MINIMUM_EVENTS = 50
"""Of a day and environment; a share of fewer events says little."""

WATCHED_PREFIXES = ("capacity.selector.", "capacity.hold.")
"""Beginnings of the event types whose share without a restaurant is limited."""

# A JSON number in a string. The exponent's length is bounded so that the cast that follows cannot overflow.
_NUMBER = r"^\s*-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?0*[0-9][0-9]?[0-9]?[0-9]?)?\s*$"
_LARGEST_FLOAT = "1.7976931348623157e308::numeric"


def columns_query(table: str) -> str:
    """The columns that the table has, with their types."""
    return f"""
        select attname::text as column_name, format_type(atttypid, null) as data_type
        from pg_attribute
        where attrelid = to_regclass('{table}') and attnum > 0 and not attisdropped
    """


def repeated_query(table: str) -> str:
    """Identities whose id occurs more than once; finding those ids is one pass."""
    return f"""
        select id, occurred_at, count(*) as row_count
        from {table}
        where id in (select id from {table} group by id having count(*) > 1)
        group by id, occurred_at
    """


def kinds_query(table: str) -> str:
    """One pass over the events: a row for each day and kind, with the counts of what is odd and an example of each."""
    columns = ",\n            ".join(
        f"count(*) filter (where {condition}) as {name}_count,\n"
        f"            min(id::text) filter (where {condition}) as {name}_example"
        for name, condition in ODD.items()
    )
    return f"""
        select (occurred_at at time zone 'UTC')::date as day, environment, source, event_type, severity,
            count(*) as event_count,
            min(id::text) as example,
            {columns}
        from {table}
        {_WITH_KIND}
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


_WITH_KIND = """cross join lateral (
            select event_type in ('capacity.selector.assignment', 'capacity.selector.skipped') as is_selector
        ) as kind"""

ODD = {
    "null_restaurant": "restaurant_id is null",
    "context_malformed": "jsonb_typeof(context) <> 'object'",
    "timing_malformed": "is_selector and jsonb_typeof(context -> 'timing') not in ('object', 'null')",
    "latency_malformed": f"is_selector and ({_is_no_latency('totalMs')} or {_is_no_latency('plannerMs')})",
    "retry_flag_malformed": "not coalesce(lower(context ->> 'retryExhausted') in ('true', 'false'), true)",
}
"""What is odd about a single event, in SQL."""


def examples_query(table: str, which: str, also: str) -> str:
    """Single events by their identity, and where they came from; never their context, which may hold anything."""
    return f"""
        select id::text as id, occurred_at::text as occurred_at, source, restaurant_id::text as restaurant_id,
            event_type, environment{also}
        from {table}
        {_WITH_KIND}
        where {which}
        order by occurred_at desc
    """


def repeated(table: str, identity: str, count: str) -> str:
    """SQL: what stands for the event here stands for more than one, counted so."""
    return f"({identity}) in (select {identity} from {table} group by {identity} having {count} > 1)"


def null_share_events(table: str, first: date, before: date) -> str:
    """SQL: an event of a day and environment of which too many lack a restaurant lacks one."""
    watched = begins_with("event_type", WATCHED_PREFIXES)
    between = f"occurred_at >= {start_of(first)} and occurred_at < {start_of(before)}"
    day = "(occurred_at at time zone 'UTC')::date"
    return f"""
            restaurant_id is null and ({watched}) and {between}
            and ({day}, environment) in (
                select {day}, environment
                from {table}
                where ({watched}) and {between}
                group by 1, 2
                having count(*) >= {NULL_SHARE_MINIMUM_EVENTS}
                    and count(*) filter (where restaurant_id is null) > {NULL_SHARE_LIMIT} * count(*)
            )
    """


def null_share_query(first: date, before: date) -> str:
    """The days from ``first``, before ``before``, and environments of which too many events lack a restaurant."""
    watched = begins_with("event_type", WATCHED_PREFIXES)
    return f"""
        select day::text as day, environment,
            sum(null_restaurant_count)::bigint as affected_count,
            sum(event_count)::bigint as event_count,
            round(100.0 * sum(null_restaurant_count) / sum(event_count), 1)::text || ' percent' as null_share,
            string_agg(distinct source, ' ') filter (where null_restaurant_count > 0) as sources,
            min(null_restaurant_example) as example_id
        from batch
        where day >= date '{first}' and day < date '{before}' and ({watched})
        group by day, environment
        having sum(event_count) >= {NULL_SHARE_MINIMUM_EVENTS}
            and sum(null_restaurant_count) > {NULL_SHARE_LIMIT} * sum(event_count)
    """


def unknown_query(column: str, known: tuple[str, ...]) -> str:
    """The values of a column that are not known, with where they come from."""
    return f"""
        select {column}, source, sum(event_count)::bigint as affected_count, min(example) as example_id
        from batch
        where {column} not in ({literals(known)})
        group by {column}, source
    """


def malformed_query(flag: str) -> str:
    """The sources and types of events that are odd in one way of :data:`ODD`."""
    return f"""
        select source, event_type, sum({flag}_count)::bigint as affected_count, min({flag}_example) as example_id
        from batch
        where {flag}_count > 0
        group by source, event_type
    """


def begins_with(column: str, kinds: tuple[str, ...]) -> str:
    """SQL: the column is one of ``kinds``, or begins with one that ends in a dot."""
    return " or ".join(
        f"starts_with({column}, '{kind}')" if kind.endswith(".") else f"{column} = '{kind}'" for kind in kinds
    )


def literals(values: tuple[str, ...]) -> str:
    """SQL: the values, separated by commas."""
    return ", ".join(f"'{value}'" for value in values)


def value_rows(pairs: ItemsView[str, str]) -> str:
    """SQL: the pairs, as rows of a VALUES list."""
    return ", ".join(f"('{name}', '{value}')" for name, value in pairs)


def start_of(day: date) -> str:
    """SQL: the moment at which a UTC day begins."""
    return f"timestamptz '{day} 00:00:00+00'"
