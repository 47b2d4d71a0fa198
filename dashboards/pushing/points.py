"""Reads what Datadog is sent from the views.

Everything can be sent again: gauges are of the minute in which they are read, counts are of whole minutes that have
passed and carry all of them, and Datadog keeps what came last for one time. So the counts of the last hour are read
each time, and what arrived late, or could not be sent before, is in the next push.
"""

from __future__ import annotations

import math
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg.rows import tuple_row

from dashboards.datadog_metrics import METRICS, SERVICE, Kind, Metric
from dashboards.errors import MissingViewsError
from dashboards.reader import become_reader
from holds_core.errors import first_line

STATEMENT_TIMEOUT_SECONDS = 30

OLDEST_MINUTES = 55
"""Datadog takes no point that is older than an hour; some of it goes by until the last batch has been taken."""

COUNT_SECONDS = 60
"""What a point of a count is of."""

RESTAURANTS_VARIABLE = "HOLDWATCH_DATADOG_RESTAURANTS"
"""``1``: single restaurants' series are sent as well."""

MAX_TAG_LENGTH = 200
"""Of a tag with its key; Datadog would cut the rest off."""

# Each gives metric, tags, the start of its minute (NULL for what is as of now) and value.
_ALERTS: LiteralString = """
select
    'holdwatch.alert.' || measured.name as metric,
    jsonb_build_object('alert', alert, 'env', environment, 'severity', severity) as tags,
    null::timestamptz as at,
    measured.value
from analytics.alert_evaluations
cross join lateral (
    values
    ('firing', is_firing::int::float8),
    ('consecutive_breaches', consecutive_breaches::float8),
    ('value', alert_evaluations.value),
    ('threshold', alert_evaluations.threshold)
) as measured (name, value)
"""

# Of an hour that is not over, or has ended within the last one: older ones say nothing of now.
_NEWEST_HOURS: LiteralString = """
select
    'holdwatch.' || metric as metric,
    (labels - 'environment' - 'restaurant_key')
    || jsonb_build_object('env', labels ->> 'environment', 'restaurant', labels ->> 'restaurant_key') as tags,
    null::timestamptz as at,
    value
from analytics.prometheus_series
where
    at > now() - interval '2 hours'
    and (%(restaurants)s or labels ->> 'restaurant_key' in ('(all)', '(none)'))
"""

_BURN: LiteralString = """
select distinct on (environment, window_hours)
    'holdwatch.error_budget.burn_rate' as metric,
    jsonb_build_object('env', environment, 'window', window_hours || 'h') as tags,
    null::timestamptz as at,
    burn_rate as value
from analytics.error_budget_burn
where bucket_at > now() - interval '2 hours' and bucket_at <= now()
order by environment asc, window_hours asc, bucket_at desc
"""

_FRESHNESS: LiteralString = """
select
    'holdwatch.pipeline.' || measured.name as metric,
    jsonb_build_object('env', environment) as tags,
    null::timestamptz as at,
    measured.value
from analytics.pipeline_freshness
cross join lateral (
    values
    ('lag_seconds', lag_seconds),
    ('refresh_lag_seconds', refresh_lag_seconds),
    ('run_age_seconds', greatest(extract(epoch from now() - last_run_succeeded_at), 0)::float8),
    ('is_blocked', is_blocked::int::float8)
) as measured (name, value)
"""

_REQUESTS: LiteralString = """
select
    'holdwatch.requests' as metric,
    jsonb_build_object('env', environment, 'restaurant', restaurant_key, 'outcome', measured.outcome) as tags,
    bucket_at as at,
    measured.value
from analytics.assignment_success_rate
cross join lateral (
    values ('assigned', assignment_count::float8), ('skipped', skipped_count::float8)
) as measured (outcome, value)
where
    grain = 'minute'
    and bucket_at >= %(from)s
    and bucket_at < %(until)s
    and (%(restaurants)s or restaurant_key in ('(all)', '(none)'))
"""

_EXHAUSTED: LiteralString = """
select
    'holdwatch.requests.exhausted' as metric,
    jsonb_build_object('env', environment, 'restaurant', restaurant_key) as tags,
    bucket_at as at,
    exhausted_count::float8 as value
from analytics.hold_retry_exhaustion
where
    grain = 'minute'
    and bucket_at >= %(from)s
    and bucket_at < %(until)s
    and (%(restaurants)s or restaurant_key in ('(all)', '(none)'))
"""

_CUTOFFS: LiteralString = """
select
    'holdwatch.cutoffs' as metric,
    jsonb_build_object('env', environment, 'restaurant', restaurant_key, 'kind', cutoff_kind) as tags,
    bucket_at as at,
    trigger_count::float8 as value
from analytics.cutoff_triggers
where
    grain = 'minute'
    and bucket_at >= %(from)s
    and bucket_at < %(until)s
    and (%(restaurants)s or restaurant_key in ('(all)', '(none)'))
"""

_ERRORS: LiteralString = """
select
    'holdwatch.errors' as metric,
    jsonb_build_object(
        'env', environment, 'class', error_class, 'code', error_code, 'source', source, 'severity', severity
    ) as tags,
    bucket_at as at,
    error_count::float8 as value
from analytics.error_taxonomy
where
    grain = 'minute'
    and bucket_at >= %(from)s
    and bucket_at < %(until)s
    and restaurant_key = '(all)'
"""

_OBJECTIVE: LiteralString = """
select
    'holdwatch.objective.' || measured.name as metric,
    jsonb_build_object('env', environment) as tags,
    bucket_at as at,
    measured.value
from analytics.objective_counts
cross join lateral (
    values ('requests', request_count::float8), ('good', good_count::float8)
) as measured (name, value)
where
    grain = 'minute'
    and bucket_at >= %(from)s
    and bucket_at < %(until)s
"""

SOURCES = (_ALERTS, _NEWEST_HOURS, _BURN, _FRESHNESS, _REQUESTS, _EXHAUSTED, _CUTOFFS, _ERRORS, _OBJECTIVE)
"""Each statement reads one view."""

_CLOCK: LiteralString = """
select
    date_trunc('minute', now()),
    date_trunc('minute', now()) - make_interval(mins => %s)
"""

_FORBIDDEN = re.compile(r"[^a-z0-9_\-:./]+")


@dataclass(frozen=True)
class Series:
    """The points of one metric under one set of tags.

    Attributes:
        metric: What is measured.
        tags: ``key:value``, in order.
        points: Unix time in seconds, and value; the oldest first, each time once.
    """

    metric: Metric
    tags: tuple[str, ...]
    points: tuple[tuple[int, float], ...]


def are_restaurants_wanted() -> bool:
    """Tell whether the environment asks for single restaurants' series."""
    return os.environ.get(RESTAURANTS_VARIABLE, "").strip().lower() in ("1", "true", "yes", "on")


def read_series(connection: psycopg.Connection[Any], *, restaurants: bool = False) -> list[Series]:
    """Return what is to be sent now, in order of metric and tags.

    Args:
        connection: An autocommit connection whose role may act as ``analytics_reader``.
        restaurants: Also each restaurant's own series, where a metric has the tag. All restaurants together, and those
            requests that name none, are ``restaurant:all`` and ``restaurant:none``.

    Raises:
        ReaderRoleError: The connection may not act as ``analytics_reader``.
        MissingViewsError: The views have not been built.
        psycopg.OperationalError: The connection was lost.
    """
    rows: list[tuple[str, dict[str, str], datetime | None, float | None]] = []
    try:
        with connection.transaction(force_rollback=True), connection.cursor(row_factory=tuple_row) as cursor:
            cursor.execute("set transaction isolation level repeatable read read only")
            cursor.execute("select set_config('statement_timeout', %s, true)", (f"{STATEMENT_TIMEOUT_SECONDS}s",))
            become_reader(connection, until_commit=True)
            until, begins = cursor.execute(_CLOCK, (OLDEST_MINUTES,)).fetchone() or (None, None)
            parameters = {"restaurants": restaurants, "from": begins, "until": until}
            for source in SOURCES:
                rows += cursor.execute(source, parameters).fetchall()
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        raise MissingViewsError(first_line(error)) from error
    assert until is not None
    return list(_gathered(rows, until))


def tag(key: str, value: str) -> str:
    """Return a tag as Datadog would store it, so that what is sent is what can be asked for.

    Lower case, ``_`` for what a tag may not have, at most 200 characters; ``(all)`` and ``(none)`` lose their brackets.
    """
    plain = value[1:-1] if value in ("(all)", "(none)") else value
    return f"{key}:{_FORBIDDEN.sub('_', plain.lower()).strip('_') or 'none'}"[:MAX_TAG_LENGTH].rstrip("_")


def _gathered(
    rows: Iterable[tuple[str, dict[str, str], datetime | None, float | None]], now: datetime
) -> Iterator[Series]:
    """Make series of rows; what is the same series and time once it is tagged is added up."""
    found: dict[tuple[str, tuple[str, ...]], dict[int, float]] = defaultdict(dict)
    for name, tags, at, value in rows:
        # JSON has no infinity: a pipeline that has never run is infinitely stale, which its verdict says as well.
        if name not in METRICS or value is None or not math.isfinite(value):
            continue
        named = (f"service:{SERVICE}", *(tag(key, tags[key]) for key in METRICS[name].tags))
        moments = found[name, tuple(sorted(named))]
        moment = int((now if at is None else at).timestamp())
        moments[moment] = moments.get(moment, 0.0) + value
    for (name, named), moments in sorted(found.items()):
        yield Series(METRICS[name], named, tuple(sorted(moments.items())))


def body(series: Series) -> dict[str, Any]:
    """Return a series as the API's ``MetricSeries``."""
    metric = series.metric
    fields: dict[str, Any] = {
        "metric": metric.name,
        "type": int(metric.kind),
        "points": [{"timestamp": moment, "value": value} for moment, value in series.points],
        "tags": list(series.tags),
    }
    if metric.kind is Kind.COUNT:
        fields["interval"] = COUNT_SECONDS
    if metric.unit is not None:
        fields["unit"] = metric.unit
    return fields
