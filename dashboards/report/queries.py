"""The report's SQL: views of the schema ``analytics`` alone, by the day.

Parameters: ``environment``, ``restaurant`` (a ``restaurant_key``), ``from_at`` and ``to_at`` (when the first and the
last day begin).
"""

from __future__ import annotations

ENVIRONMENTS = """
select
    environment,
    environment in (select environment from analytics.hold_enforcement) as is_of_the_holds
from analytics.pipeline_freshness
order by environment
"""

# A live pair that the detector has found is an event as well, of the same moment: the larger count has each once.
DAYS = """
with

days as (
    select generate_series(%(from_at)s::timestamptz, %(to_at)s::timestamptz, interval '1 day') as bucket_at
),

requests as (
    select
        bucket_at,
        sum(assignment_count) filter (where restaurant_key = %(restaurant)s)::bigint as assigned,
        sum(skipped_count) filter (where restaurant_key = %(restaurant)s)::bigint as refused,
        sum(assignment_count + skipped_count) filter (where restaurant_key = '(none)')::bigint as unattributed,
        sum(judged_count) filter (where restaurant_key = %(restaurant)s)::bigint as judged,
        sum(good_count) filter (where restaurant_key = %(restaurant)s)::bigint as good
    from analytics.assignment_success_rate
    where
        grain = 'day'
        and environment = %(environment)s
        and restaurant_key in (%(restaurant)s, '(none)')
        and bucket_at between %(from_at)s and %(to_at)s
    group by bucket_at
),

latencies as (
    select
        bucket_at,
        max(latency_ms) filter (where percentile = 0.5) as p50_ms,
        max(latency_ms) filter (where percentile = 0.95) as p95_ms,
        max(latency_ms) filter (where percentile = 0.99) as p99_ms,
        max(sample_count) as latency_samples
    from analytics.reservation_latency_ms
    where
        grain = 'day'
        and environment = %(environment)s
        and restaurant_key = %(restaurant)s
        and phase = 'total'
        and bucket_at between %(from_at)s and %(to_at)s
    group by bucket_at
),

retries as (
    select
        bucket_at,
        exhausted_count as exhausted
    from analytics.hold_retry_exhaustion
    where
        grain = 'day'
        and environment = %(environment)s
        and restaurant_key = %(restaurant)s
        and bucket_at between %(from_at)s and %(to_at)s
),

cutoffs as (
    select
        bucket_at,
        sum(trigger_count) filter (where cutoff_kind = 'HOLD_RATE_LIMIT')::bigint as rate_limits,
        sum(trigger_count) filter (where cutoff_kind = 'CUTOFF')::bigint as cutoffs,
        sum(trigger_count) filter (where cutoff_kind = 'MANUAL')::bigint as manual_steps
    from analytics.cutoff_triggers
    where
        grain = 'day'
        and environment = %(environment)s
        and restaurant_key = %(restaurant)s
        and bucket_at between %(from_at)s and %(to_at)s
    group by bucket_at
),

activities as (
    select
        bucket_at,
        sum(event_count)::bigint as hold_events,
        sum(event_count) filter (where activity = 'created')::bigint as holds,
        sum(event_count) filter (where activity = 'conflict refused')::bigint as conflicts_refused,
        sum(event_count) filter (where activity = 'conflict let through')::bigint as conflicts_let_through
    from analytics.hold_activity
    where
        grain = 'day'
        and environment = %(environment)s
        and restaurant_key = %(restaurant)s
        and bucket_at between %(from_at)s and %(to_at)s
    group by bucket_at
),

found as (
    select
        bucket_at,
        sum(error_count) as pairs
    from analytics.error_taxonomy
    where
        grain = 'day'
        and environment = %(environment)s
        and restaurant_key = %(restaurant)s
        and source = 'holds.detector'
        and severity = 'critical'
        and bucket_at between %(from_at)s and %(to_at)s
    group by bucket_at
),

standing as (
    select
        date_trunc('day', began_at, 'UTC') as bucket_at,
        count(*) as pairs
    from analytics.double_bookings
    where
        coalesce(environment, %(environment)s) = %(environment)s
        and %(restaurant)s in ('(all)', restaurant_key)
    group by 1
),

runs as (
    select
        date_trunc('day', ended_at, 'UTC') as bucket_at,
        count(*) filter (where outcome = 'succeeded') as runs_succeeded,
        count(*) filter (where outcome = 'blocked') as runs_blocked,
        count(*) filter (where outcome = 'failed') as runs_failed
    from analytics.pipeline_runs
    where environment = %(environment)s and ended_at >= %(from_at)s
    group by 1
)

select
    (days.bucket_at at time zone 'UTC')::date as day,
    requests.assigned,
    requests.refused,
    requests.unattributed,
    requests.judged,
    requests.good,
    latencies.p50_ms,
    latencies.p95_ms,
    latencies.p99_ms,
    latencies.latency_samples,
    retries.exhausted,
    cutoffs.rate_limits,
    cutoffs.cutoffs,
    cutoffs.manual_steps,
    activities.hold_events,
    activities.holds,
    activities.conflicts_refused,
    activities.conflicts_let_through,
    greatest(found.pairs, standing.pairs)::bigint as double_bookings,
    runs.runs_succeeded,
    runs.runs_blocked,
    runs.runs_failed
from days
left join requests on days.bucket_at = requests.bucket_at
left join latencies on days.bucket_at = latencies.bucket_at
left join retries on days.bucket_at = retries.bucket_at
left join cutoffs on days.bucket_at = cutoffs.bucket_at
left join activities on days.bucket_at = activities.bucket_at
left join found on days.bucket_at = found.bucket_at
left join standing on days.bucket_at = standing.bucket_at
left join runs on days.bucket_at = runs.bucket_at
order by days.bucket_at
"""

STANDING = """
select
    restaurant_key,
    table_id::text as table_id,
    first_hold_id::text as first_hold_id,
    second_hold_id::text as second_hold_id,
    overlap_starts_at,
    overlap_ends_at,
    began_at,
    count(*) over () as pair_count
from analytics.double_bookings
where coalesce(environment, %(environment)s) = %(environment)s and %(restaurant)s in ('(all)', restaurant_key)
order by began_at desc, table_id, first_hold_id, second_hold_id
limit 50
"""

CHANGES = """
select
    occurred_at,
    kind,
    title,
    restaurant_key,
    coalesce(reason, '') as reason,
    coalesce(changed_by, '') as changed_by
from analytics.operational_changes
where
    environment = %(environment)s
    and (%(restaurant)s = '(all)' or restaurant_key in ('(all)', %(restaurant)s))
    and occurred_at >= %(from_at)s
order by occurred_at desc, kind, title
"""

ERRORS = """
select
    error_class,
    sum(error_count)::bigint as error_count
from analytics.error_taxonomy
where
    grain = 'day'
    and environment = %(environment)s
    and restaurant_key = %(restaurant)s
    and bucket_at between %(from_at)s and %(to_at)s
group by error_class
order by error_count desc, error_class
"""

MAINTENANCE = """
select
    starts_at,
    ends_at,
    restaurant_key,
    reason
from analytics.maintenance_periods
where
    environment = %(environment)s
    and (%(restaurant)s = '(all)' or restaurant_key in ('(all)', %(restaurant)s))
    and ends_at >= %(from_at)s
    and starts_at <= now()
order by starts_at desc
"""

WHOLE_HISTORY = """
select
    p50_ms,
    p95_ms,
    p99_ms,
    refreshed_at
from analytics.restaurants_over_90_days
where environment = %(environment)s and restaurant_key = %(restaurant)s and p95_ms is not null
"""

FRESHNESS = """
select
    newest_event_at,
    last_run_succeeded_at,
    last_run_failed_at,
    is_blocked,
    blocked_reason,
    event_counts_refreshed_at,
    error_counts_refreshed_at,
    latency_sketches_refreshed_at
from analytics.pipeline_freshness
where environment = %(environment)s
"""

ENFORCEMENT = """
select
    is_enabled,
    strict_percentage::float8 as strict_percentage,
    strict_restaurant_count,
    lenient_restaurant_count,
    unenforced_window_count
from analytics.hold_enforcement
where environment = %(environment)s
"""

ALERTS = """
select
    alert,
    coalesce(is_breaching, false) as is_breaching,
    coalesce(is_firing, false) as is_firing
from analytics.alert_evaluations
where environment = %(environment)s
order by alert
"""

EVENT_TOTAL = """
select total
from analytics.metric_totals
where environment = %(environment)s and metric = 'events'
"""
