{#
    Counts since the beginning, for who can only compare a count with an earlier one. Each has a row from the beginning: who
    counts from 0 must have seen the 0.
#}
{% set names = ['metric', 'kind', 'counted'] %}

with

-- Days of a rollup stay for a while after history has left them behind, and count until they are gone. (Those in history that a
-- dump has brought from another server are in the unrolled rows once more.)
event_days as (
    select * from {{ ref('fct_event_counts') }}
    where
        ({{ is_rolled_up_here('fct_event_counts') }} or not {{ is_in_history('grain', 'bucket_at') }})
        and grain = 'day'
        and restaurant_key = '(all)'
),

error_days as (
    select * from {{ ref('fct_error_counts') }}
    where
        ({{ is_rolled_up_here('fct_error_counts') }} or not {{ is_in_history('grain', 'bucket_at') }})
        and grain = 'day'
        and restaurant_key = '(all)'
),

-- What is not rolled up is counted as it is: nothing here is by restaurant, or by time.
newest_events as (
    {{ events_to_read('fct_event_counts', [
        'environment', 'event_type', 'is_retry_exhausted', 'cutoff_kind', 'is_error', 'error_class', 'is_fault',
        'is_beside_alerts', 'is_shadow',
    ]) }}
),

newest_errors as (
    {{ events_to_read('fct_error_counts', ['environment', 'error_class'], where='is_error') }}
),

newest as (
    select
        environment,
        {{ event_counts() }}
    from newest_events
    group by environment
),

environments as (
    select environment from event_days
    union
    select environment from newest
    union
    select environment from {{ ref('expired_totals') }}
    union
    select environment from {{ source('holds', 'settings') }}
),

counts as (
    select
        environments.environment,
        zeros.metric,
        zeros.kind,
        zeros.counted
    from environments
    {{ cross_join_rows('zeros', names, zero_totals()) }}
    union all
    select
        event_days.environment,
        sums.metric,
        sums.kind,
        sums.counted
    from event_days
    {{ cross_join_rows('sums', names, event_totals('event_days')) }}
    union all
    select
        environment,
        'errors' as metric,
        error_class as kind,
        error_count as counted
    from error_days
    union all
    select
        newest.environment,
        sums.metric,
        sums.kind,
        sums.counted
    from newest
    {{ cross_join_rows('sums', names, event_totals('newest')) }}
    union all
    select
        environment,
        'errors' as metric,
        error_class as kind,
        count(*) as counted
    from newest_errors
    group by environment, error_class
    union all
    select
        environment,
        metric,
        kind,
        total as counted
    from {{ ref('expired_totals') }}
),

final as (
    select
        environment,
        metric,
        kind,
        cast(sum(counted) as bigint) as total
    from counts
    group by environment, metric, kind
)

select * from final
