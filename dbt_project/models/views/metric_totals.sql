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
    union all
    select * from {{ ref('unrolled_event_counts') }}
    where grain = 'day' and restaurant_key = '(all)'
),

error_days as (
    select * from {{ ref('fct_error_counts') }}
    where
        ({{ is_rolled_up_here('fct_error_counts') }} or not {{ is_in_history('grain', 'bucket_at') }})
        and grain = 'day'
        and restaurant_key = '(all)'
    union all
    select * from {{ ref('unrolled_error_counts') }}
    where grain = 'day' and restaurant_key = '(all)'
),

environments as (
    select environment from event_days
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
