# ruff: noqa: S608  the queries are put together from the constants of this file and the catalogue, from nothing else
"""The SQL of the panels about requests: success, latency, the error budget, what stands in the way.

Their rules are those of :mod:`dashboards.generators.grafana_sql`.
"""

from __future__ import annotations

from dashboards.catalogue import BUDGET_DAYS, CUTOFF_KINDS, HISTORY_DAYS, MINIMUM_SAMPLE, SUCCESS_OBJECTIVE
from dashboards.generators.grafana_sql import (
    ALL_OR_CHOSEN,
    BY_DAY,
    EACH_CHOSEN,
    ERRORS_IN_RANGE,
    IN_ENVIRONMENT,
    IN_RANGE,
    IS_LONG_RANGE,
    RANGE_ENDS,
    RANGE_STARTS,
    SINCE_START,
    SLOT,
    series,
)

# Each that has an event, and the one that this database serves even before its first.
ENVIRONMENTS = """select environment
from analytics.pipeline_freshness
order by array_position(array['prod', 'staging', 'dev'], environment), environment"""

RESTAURANTS = f"""select restaurant_key
from (
    select '(none)' as restaurant_key
    union
    select restaurant_key from analytics.assignment_success_rate where grain = 'day' and {IN_ENVIRONMENT}
    union
    select restaurant_key from analytics.cutoff_triggers where grain = 'day' and {IN_ENVIRONMENT}
    union
    select restaurant_key from analytics.error_taxonomy where grain = 'day' and {IN_ENVIRONMENT}
) as keys
where restaurant_key <> '(all)'
order by restaurant_key"""

SUCCESS = f"""select sum(assignment_count)::float8 / nullif(sum(assignment_count + skipped_count), 0) as "success"
from analytics.assignment_success_rate
where
    {IN_RANGE}
    and {IN_ENVIRONMENT}
    and {ALL_OR_CHOSEN}"""

SUCCESS_OVER_TIME = f"""select
    {SLOT} as "time",
    {series("'success'")} as metric,
    sum(assignment_count)::float8 / nullif(sum(assignment_count + skipped_count), 0) as value
from analytics.assignment_success_rate
where
    {IN_RANGE}
    and {IN_ENVIRONMENT}
    and {ALL_OR_CHOSEN}
group by 1, restaurant_key
order by 1, metric"""

OBJECTIVE = f"""select {RANGE_STARTS} as "time", 'objective' as metric, {SUCCESS_OBJECTIVE}::float8 as value
union all
select {RANGE_ENDS}, 'objective', {SUCCESS_OBJECTIVE}::float8
order by 1"""

REQUESTS = f"""select sum(assignment_count + skipped_count)::float8 as "requests"
from analytics.assignment_success_rate
where
    {IN_RANGE}
    and {IN_ENVIRONMENT}
    and {ALL_OR_CHOSEN}"""

REQUESTS_OVER_TIME = f"""select
    {SLOT} as "time",
    {series("'requests'")} as metric,
    sum(assignment_count + skipped_count)::float8 as value
from analytics.assignment_success_rate
where
    {IN_RANGE}
    and {IN_ENVIRONMENT}
    and {ALL_OR_CHOSEN}
group by 1, restaurant_key
order by 1, metric"""

ALL_RESTAURANTS_SUCCESS = f"""select
    {SLOT} as "time",
    'all restaurants' as metric,
    sum(assignment_count)::float8 / nullif(sum(assignment_count + skipped_count), 0) as value
from analytics.assignment_success_rate
where
    {IN_RANGE}
    and {IN_ENVIRONMENT}
    and restaurant_key = '(all)'
group by 1
order by 1"""

BUDGET_LEFT = f"""select 1 - burn_rate as "left"
from analytics.error_budget_burn
where
    window_hours = {24 * BUDGET_DAYS}
    and bucket_at <= {RANGE_ENDS}
    and {IN_ENVIRONMENT}
order by bucket_at desc
limit 1"""

BUDGET_LEFT_OVER_TIME = f"""select
    bucket_at as "time",
    'left' as metric,
    1 - burn_rate as value
from analytics.error_budget_burn
where
    window_hours = {24 * BUDGET_DAYS}
    and bucket_at >= date_trunc('hour', {RANGE_STARTS}, 'UTC')
    and bucket_at <= {RANGE_ENDS}
    and {IN_ENVIRONMENT}
order by bucket_at"""

# By the hour; over long ranges the last hour of each day.
BURN_OVER_TIME = f"""select
    bucket_at as "time",
    case when window_hours < 24 then window_hours || ' h' else window_hours / 24 || ' d' end as metric,
    burn_rate as value
from (
    select
        *,
        row_number() over (
            partition by
                window_hours,
                case when {IS_LONG_RANGE} then date_trunc('day', bucket_at, 'UTC') else bucket_at end
            order by bucket_at desc
        ) as from_last
    from analytics.error_budget_burn
    where
        bucket_at >= date_trunc('hour', {RANGE_STARTS}, 'UTC')
        and bucket_at <= {RANGE_ENDS}
        and {IN_ENVIRONMENT}
) as burns
where from_last = 1
order by bucket_at, window_hours"""

P95_NEWEST_HOUR = f"""select
    bucket_at as "time",
    {series("'P95'")} as metric,
    latency_ms::float8 as value
from analytics.reservation_latency_ms
where
    grain = 'hour'
    and {SINCE_START}
    and {IN_ENVIRONMENT}
    and {ALL_OR_CHOSEN}
    and phase = 'total'
    and percentile = 0.95
order by bucket_at, metric"""


def latency(phase: str) -> str:
    """P50, P95 and P99 of a phase (``total`` or ``planner``) over time."""
    name = "'P' || (percentile * 100)::int"
    return f"""select
    bucket_at as "time",
    {series(name)} as metric,
    latency_ms::float8 as value
from analytics.reservation_latency_ms
where
    {IN_RANGE}
    and {IN_ENVIRONMENT}
    and {ALL_OR_CHOSEN}
    and phase = '{phase}'
order by bucket_at, metric"""


EXHAUSTION = f"""select sum(exhausted_count)::float8 / nullif(sum(request_count), 0) as "exhausted"
from analytics.hold_retry_exhaustion
where
    {IN_RANGE}
    and {IN_ENVIRONMENT}
    and {ALL_OR_CHOSEN}"""

EXHAUSTION_OVER_TIME = f"""select
    {SLOT} as "time",
    {series("'exhausted'")} as metric,
    sum(exhausted_count)::float8 / nullif(sum(request_count), 0) as value
from analytics.hold_retry_exhaustion
where
    {IN_RANGE}
    and {IN_ENVIRONMENT}
    and {ALL_OR_CHOSEN}
group by 1, restaurant_key
order by 1, metric"""

EXHAUSTION_EVENTS = f"""select
    {SLOT} as "time",
    {series("'events with the flag'")} as metric,
    sum(exhausted_event_count)::float8 as value
from analytics.hold_retry_exhaustion
where
    {IN_RANGE}
    and {IN_ENVIRONMENT}
    and {ALL_OR_CHOSEN}
group by 1, restaurant_key
order by 1, metric"""

_KIND_COLUMNS = ",\n    ".join(
    f"(sum(trigger_count) filter (where cutoff_kind = '{kind}'))::bigint as \"{kind}\"" for kind in CUTOFF_KINDS
)

# Where requests came in and nothing was cut off, the answer is 0; nothing at all means that there is no telemetry.
_CUTOFFS = f"""select bucket_at, grain, restaurant_key, cutoff_kind, trigger_count
    from analytics.cutoff_triggers
    where {IN_RANGE}
    and {IN_ENVIRONMENT}
    union all
    select requests.bucket_at, requests.grain, requests.restaurant_key, kinds.cutoff_kind, 0
    from analytics.assignment_success_rate as requests
    cross join (values {", ".join(f"('{kind}')" for kind in CUTOFF_KINDS)}) as kinds (cutoff_kind)
    where {IN_RANGE}
    and {IN_ENVIRONMENT}"""

CUTOFFS_OVER_TIME = f"""select
    {SLOT} as "time",
    {series("cutoff_kind")} as metric,
    sum(trigger_count)::float8 as value
from (
    {_CUTOFFS}
) as cutoffs
where {ALL_OR_CHOSEN}
group by 1, restaurant_key, cutoff_kind
order by 1, metric"""

CUTOFFS_BY_RESTAURANT = f"""select
    restaurant_key as "restaurant",
    {_KIND_COLUMNS},
    sum(trigger_count)::bigint as "all kinds"
from (
    {_CUTOFFS}
) as cutoffs
where {EACH_CHOSEN}
group by restaurant_key
order by "all kinds" desc, restaurant_key
limit 50"""

ERRORS_OVER_TIME = f"""select
    {SLOT} as "time",
    error_class as metric,
    sum(error_count)::float8 as value
from analytics.error_taxonomy
where
    {ERRORS_IN_RANGE}
    and {IN_ENVIRONMENT}
    and {ALL_OR_CHOSEN}
group by 1, error_class
order by 1, metric"""

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
    {ERRORS_IN_RANGE}
    and {IN_ENVIRONMENT}
    and {ALL_OR_CHOSEN}
group by error_class, error_code, source, severity
order by "count" desc, "class", "code"
limit 100"""

UNATTRIBUTED = f"""select
    coalesce(sum(assignment_count + skipped_count) filter (where restaurant_key = '(none)'), 0)::float8
    / nullif(sum(assignment_count + skipped_count) filter (where restaurant_key = '(all)'), 0) as "without a restaurant"
from analytics.assignment_success_rate
where
    {IN_RANGE}
    and {IN_ENVIRONMENT}
    and restaurant_key in ('(none)', '(all)')"""

UNATTRIBUTED_OVER_TIME = f"""select
    {SLOT} as "time",
    'without a restaurant' as metric,
    coalesce(sum(assignment_count + skipped_count) filter (where restaurant_key = '(none)'), 0)::float8
    / nullif(sum(assignment_count + skipped_count) filter (where restaurant_key = '(all)'), 0) as value
from analytics.assignment_success_rate
where
    {IN_RANGE}
    and {IN_ENVIRONMENT}
    and restaurant_key in ('(none)', '(all)')
group by 1
order by 1"""

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
    {IN_RANGE}
    and {IN_ENVIRONMENT}
    and {EACH_CHOSEN}
group by restaurant_key
having sum(assignment_count + skipped_count) > 0
order by (sum(assignment_count + skipped_count) >= {MINIMUM_SAMPLE}) desc, "success", "refused" desc, restaurant_key
limit 20"""

DAILY_SUCCESS = f"""select
    bucket_at as "time",
    {series("'success'")} as metric,
    success_ratio::float8 as value
from analytics.assignment_success_rate
where
    {BY_DAY}
    and {IN_ENVIRONMENT}
    and {ALL_OR_CHOSEN}
order by bucket_at, metric"""

DAILY_REQUESTS = f"""select
    bucket_at as "time",
    {series("'requests'")} as metric,
    (assignment_count + skipped_count)::float8 as value
from analytics.assignment_success_rate
where
    {BY_DAY}
    and {IN_ENVIRONMENT}
    and {ALL_OR_CHOSEN}
order by bucket_at, metric"""

ERRORS_BY_DAY = f"""select
    bucket_at as "time",
    error_class as metric,
    sum(error_count)::float8 as value
from analytics.error_taxonomy
where
    {BY_DAY}
    and {IN_ENVIRONMENT}
    and {ALL_OR_CHOSEN}
group by bucket_at, error_class
order by bucket_at, metric"""

DAILY_LATENCY = f"""select
    bucket_at as "time",
    {series("'P' || (percentile * 100)::int")} as metric,
    latency_ms::float8 as value
from analytics.reservation_latency_ms
where
    {BY_DAY}
    and {IN_ENVIRONMENT}
    and {ALL_OR_CHOSEN}
    and phase = 'total'
    and percentile in (0.5, 0.95)
order by bucket_at, metric"""

NINETY_DAYS = f"""select
    restaurant_key as "restaurant",
    assignment_count + skipped_count as "requests",
    skipped_count as "refused",
    success_ratio as "success",
    exhausted_count as "out of retries",
    p50_ms as "P50",
    p95_ms as "P95",
    p99_ms as "P99",
    refreshed_at as "as of"
from analytics.restaurants_over_90_days
where
    {IN_ENVIRONMENT}
    and (restaurant_key = '(all)' or restaurant_key in (${{restaurant:sqlstring}}))
order by restaurant_key = '(all)', restaurant_key"""

HISTORY_RANGE = f"{HISTORY_DAYS}d"
"""The time range of the history panel, whatever the dashboard's is."""
