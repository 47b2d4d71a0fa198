# ruff: noqa: S608  the queries are put together from the constants of this file and the catalogue, from nothing else
"""The SQL of the Grafana panels, with Grafana's macros and variables in it.

Rules that all of them keep:

- They read the schema ``analytics`` only, and only the macros that ``dashboards.checks.macros`` can expand.
- The views have rows for each restaurant and rows ``(all)`` for all of them together. A panel reads one kind or the
  other, never both: percentiles cannot be averaged, and counts would be counted twice.
- A variable always stands as ``${name:sqlstring}``, which quotes each value as a literal.
"""

from __future__ import annotations

from dashboards.catalogue import (
    CUTOFF_KINDS,
    HISTORY_DAYS,
    HOUR_GRAIN_MAX_DAYS,
    MINIMUM_SAMPLE,
    MINUTE_GRAIN_HOURS,
    SUCCESS_OBJECTIVE,
)

_RANGE_STARTS = "$__timeFrom()::timestamptz"
_RANGE_ENDS = "$__timeTo()::timestamptz"

_GRAIN = f"""case
        -- Some slack: "the last 2 days" began a moment before the query runs.
        when {_RANGE_STARTS} >= now() - interval '{MINUTE_GRAIN_HOURS} hours 5 minutes' then 'minute'
        when {_RANGE_ENDS} - {_RANGE_STARTS} <= interval '{HOUR_GRAIN_MAX_DAYS} days' then 'hour'
        else 'day'
    end"""

# The bucket in which the range starts belongs to it: who zooms into ten minutes of last week sees their hour.
_SINCE_START = f"""bucket_at >= date_trunc(grain, {_RANGE_STARTS}, 'UTC')
    and bucket_at <= {_RANGE_ENDS}"""

_IN_RANGE = f"""grain = {_GRAIN}
    and {_SINCE_START}"""

_IN_ENVIRONMENT = "environment in (${environment:sqlstring})"

_IS_ALL_CHOSEN = "'__all__' in (${restaurant:sqlstring})"

# One series under All, one for each restaurant otherwise.
_ALL_OR_CHOSEN = f"((restaurant_key = '(all)' and {_IS_ALL_CHOSEN}) or restaurant_key in (${{restaurant:sqlstring}}))"

# One row for each restaurant.
_EACH_CHOSEN = f"restaurant_key <> '(all)'\n    and ({_IS_ALL_CHOSEN} or restaurant_key in (${{restaurant:sqlstring}}))"

# Per-restaurant errors are kept by the day only.
_ERRORS_IN_RANGE = f"""grain = case when not ({_IS_ALL_CHOSEN}) then 'day' else {_GRAIN} end
    and {_SINCE_START}"""


def _series(name: str) -> str:
    """Name a series: plainly under All, after its restaurant otherwise."""
    return f"case restaurant_key when '(all)' then {name} else restaurant_key || ' ' || {name} end"


ENVIRONMENTS = """select environment
from analytics.assignment_success_rate
where grain = 'day'
group by environment
order by array_position(array['prod', 'staging', 'dev'], environment), environment"""

RESTAURANTS = f"""select restaurant_key
from (
    select '(none)' as restaurant_key
    union
    select restaurant_key from analytics.assignment_success_rate where grain = 'day' and {_IN_ENVIRONMENT}
    union
    select restaurant_key from analytics.cutoff_triggers where grain = 'day' and {_IN_ENVIRONMENT}
    union
    select restaurant_key from analytics.error_taxonomy where grain = 'day' and {_IN_ENVIRONMENT}
) as keys
where restaurant_key <> '(all)'
order by restaurant_key"""

SUCCESS = f"""select sum(assignment_count)::float8 / nullif(sum(assignment_count + skipped_count), 0) as "success"
from analytics.assignment_success_rate
where
    {_IN_RANGE}
    and {_IN_ENVIRONMENT}
    and {_ALL_OR_CHOSEN}"""

SUCCESS_OVER_TIME = f"""select
    bucket_at as "time",
    {_series("'success'")} as metric,
    success_ratio::float8 as value
from analytics.assignment_success_rate
where
    {_IN_RANGE}
    and {_IN_ENVIRONMENT}
    and {_ALL_OR_CHOSEN}
order by bucket_at, metric"""

OBJECTIVE = f"""select {_RANGE_STARTS} as "time", 'objective' as metric, {SUCCESS_OBJECTIVE}::float8 as value
union all
select {_RANGE_ENDS}, 'objective', {SUCCESS_OBJECTIVE}::float8
order by 1"""

P95_NEWEST_HOUR = f"""select
    bucket_at as "time",
    {_series("'P95'")} as metric,
    latency_ms::float8 as value
from analytics.reservation_latency_ms
where
    grain = 'hour'
    and {_SINCE_START}
    and {_IN_ENVIRONMENT}
    and {_ALL_OR_CHOSEN}
    and phase = 'total'
    and percentile = 0.95
order by bucket_at, metric"""


def latency(phase: str) -> str:
    """P50, P95 and P99 of a phase (``total`` or ``planner``) over time."""
    name = "'P' || (percentile * 100)::int"
    return f"""select
    bucket_at as "time",
    {_series(name)} as metric,
    latency_ms::float8 as value
from analytics.reservation_latency_ms
where
    {_IN_RANGE}
    and {_IN_ENVIRONMENT}
    and {_ALL_OR_CHOSEN}
    and phase = '{phase}'
order by bucket_at, metric"""


EXHAUSTION = f"""select sum(exhausted_count)::float8 / nullif(sum(request_count), 0) as "exhausted"
from analytics.hold_retry_exhaustion
where
    {_IN_RANGE}
    and {_IN_ENVIRONMENT}
    and {_ALL_OR_CHOSEN}"""

EXHAUSTION_OVER_TIME = f"""select
    bucket_at as "time",
    {_series("'exhausted'")} as metric,
    exhausted_ratio::float8 as value
from analytics.hold_retry_exhaustion
where
    {_IN_RANGE}
    and {_IN_ENVIRONMENT}
    and {_ALL_OR_CHOSEN}
    and request_count > 0
order by bucket_at, metric"""

EXHAUSTION_EVENTS = f"""select
    bucket_at as "time",
    {_series("'events with the flag'")} as metric,
    exhausted_event_count::float8 as value
from analytics.hold_retry_exhaustion
where
    {_IN_RANGE}
    and {_IN_ENVIRONMENT}
    and {_ALL_OR_CHOSEN}
order by bucket_at, metric"""

_KIND_COLUMNS = ",\n    ".join(
    f"(sum(trigger_count) filter (where cutoff_kind = '{kind}'))::bigint as \"{kind}\"" for kind in CUTOFF_KINDS
)

# Where requests came in and nothing was cut off, the answer is 0; nothing at all means that there is no telemetry.
_CUTOFFS = f"""select bucket_at, restaurant_key, cutoff_kind, trigger_count
    from analytics.cutoff_triggers
    where {_IN_RANGE}
    and {_IN_ENVIRONMENT}
    union all
    select requests.bucket_at, requests.restaurant_key, kinds.cutoff_kind, 0
    from analytics.assignment_success_rate as requests
    cross join (values {", ".join(f"('{kind}')" for kind in CUTOFF_KINDS)}) as kinds (cutoff_kind)
    where {_IN_RANGE}
    and {_IN_ENVIRONMENT}"""

CUTOFFS_OVER_TIME = f"""select
    bucket_at as "time",
    {_series("cutoff_kind")} as metric,
    sum(trigger_count)::float8 as value
from (
    {_CUTOFFS}
) as cutoffs
where {_ALL_OR_CHOSEN}
group by bucket_at, restaurant_key, cutoff_kind
order by bucket_at, metric"""

CUTOFFS_BY_RESTAURANT = f"""select
    restaurant_key as "restaurant",
    {_KIND_COLUMNS},
    sum(trigger_count)::bigint as "all kinds"
from (
    {_CUTOFFS}
) as cutoffs
where {_EACH_CHOSEN}
group by restaurant_key
order by "all kinds" desc, restaurant_key
limit 50"""

ERRORS_OVER_TIME = f"""select
    bucket_at as "time",
    error_class as metric,
    sum(error_count)::float8 as value
from analytics.error_taxonomy
where
    {_ERRORS_IN_RANGE}
    and {_IN_ENVIRONMENT}
    and {_ALL_OR_CHOSEN}
group by bucket_at, error_class
order by bucket_at, metric"""

ERRORS_TABLE = f"""select
    error_class as "class",
    error_code as "code",
    source,
    severity,
    sum(error_count)::bigint as "count",
    sum(error_count)::float8 / sum(sum(error_count)) over () as "share",
    max(bucket_at) as "newest bucket"
from analytics.error_taxonomy
where
    {_ERRORS_IN_RANGE}
    and {_IN_ENVIRONMENT}
    and {_ALL_OR_CHOSEN}
group by error_class, error_code, source, severity
order by "count" desc, "class", "code"
limit 100"""

UNATTRIBUTED = f"""select
    coalesce(sum(assignment_count + skipped_count) filter (where restaurant_key = '(none)'), 0)::float8
    / nullif(sum(assignment_count + skipped_count) filter (where restaurant_key = '(all)'), 0) as "without a restaurant"
from analytics.assignment_success_rate
where
    {_IN_RANGE}
    and {_IN_ENVIRONMENT}
    and restaurant_key in ('(none)', '(all)')"""

WORST_RESTAURANTS = f"""select
    restaurant_key as "restaurant",
    case
        when sum(assignment_count + skipped_count) < {MINIMUM_SAMPLE} then 'too few to judge'
        when sum(assignment_count)::float8 / sum(assignment_count + skipped_count) < {SUCCESS_OBJECTIVE}
            then 'below objective'
        else 'good'
    end as "state",
    sum(assignment_count)::float8 / sum(assignment_count + skipped_count) as "success",
    sum(assignment_count + skipped_count)::bigint as "requests",
    sum(skipped_count)::bigint as "refused"
from analytics.assignment_success_rate
where
    {_IN_RANGE}
    and {_IN_ENVIRONMENT}
    and {_EACH_CHOSEN}
group by restaurant_key
having sum(assignment_count + skipped_count) > 0
order by (sum(assignment_count + skipped_count) >= {MINIMUM_SAMPLE}) desc, "success", "refused" desc, restaurant_key
limit 20"""

DAILY_SUCCESS = f"""select
    bucket_at as "time",
    {_series("'success'")} as metric,
    success_ratio::float8 as value
from analytics.assignment_success_rate
where
    grain = 'day'
    and {_SINCE_START}
    and {_IN_ENVIRONMENT}
    and {_ALL_OR_CHOSEN}
order by bucket_at, metric"""

DAILY_REQUESTS = f"""select
    bucket_at as "time",
    {_series("'requests'")} as metric,
    (assignment_count + skipped_count)::float8 as value
from analytics.assignment_success_rate
where
    grain = 'day'
    and {_SINCE_START}
    and {_IN_ENVIRONMENT}
    and {_ALL_OR_CHOSEN}
order by bucket_at, metric"""

# A pair without an environment (the database lost its settings) is shown in each rather than in none.
_PAIRS_HERE = f"({_IN_ENVIRONMENT} or environment is null)"

DOUBLE_BOOKING_COUNT = f"""select count(*) as "double bookings"
from analytics.double_bookings
where {_PAIRS_HERE}"""

DOUBLE_BOOKINGS = f"""with pairs as (
    select
        restaurant_key,
        table_id,
        first_hold_id,
        second_hold_id,
        overlap_starts_at,
        overlap_ends_at
    from analytics.double_bookings
    where {_PAIRS_HERE}
    order by overlap_starts_at, table_id, first_hold_id, second_hold_id
    limit 100
)

select
    'overlap' as "state",
    restaurant_key as "restaurant",
    table_id::text as "table",
    first_hold_id::text as "first hold",
    second_hold_id::text as "second hold",
    overlap_starts_at as "from",
    overlap_ends_at as "until"
from pairs
union all
select 'none: every table has one booking at a time', null, null, null, null, null, null
where not exists (select 1 from pairs)"""

FRESHNESS = f"""select lag_seconds as "age"
from analytics.pipeline_freshness
where {_IN_ENVIRONMENT}"""

PIPELINE = f"""select
    environment,
    newest_event_at as "newest event",
    lag_seconds as "age",
    last_run_succeeded_at as "last good run",
    last_run_failed_at as "last failed run",
    case when is_blocked then 'blocked' else 'not blocked' end as "gate",
    coalesce(blocked_reason, '') as "why"
from analytics.pipeline_freshness
where {_IN_ENVIRONMENT}"""

HISTORY_RANGE = f"{HISTORY_DAYS}d"
"""The time range of the history panel, whatever the dashboard's is."""
