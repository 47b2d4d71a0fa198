{# From the days of the rollup, and one look at what is not in it yet: by no bucket, which would take several times as long. #}
with

days as (
    select
        environment,
        newest_event_at,
        newest_recorded_at,
        newest_capacity_event_at
    from {{ ref('fct_event_counts') }}
    where
        {{ is_rolled_up_here('fct_event_counts') }}
        and {{ is_in_history('grain', 'bucket_at') }}
        and grain = 'day'
        and restaurant_key = '(all)'
),

events as (
    {{ events_to_read('fct_event_counts', ['environment', 'event_type', 'occurred_at', 'recorded_at']) }}
),

all_rows as (
    select * from days
    union all
    select
        environment,
        occurred_at as newest_event_at,
        recorded_at as newest_recorded_at,
        case when event_type like 'capacity.%' then occurred_at end as newest_capacity_event_at
    from events
),

final as (
    select
        environment,
        max(newest_event_at) as newest_event_at,
        max(newest_recorded_at) as newest_recorded_at,
        max(newest_capacity_event_at) as newest_capacity_event_at
    from all_rows
    group by environment
)

select * from final
