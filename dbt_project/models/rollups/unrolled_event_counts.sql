with

events as (
    {{ events_to_read('fct_event_counts', [
        'occurred_at', 'recorded_at', 'environment', 'restaurant_id', 'event_type', 'is_retry_exhausted', 'cutoff_kind',
    ]) }}
),

placed as (
    {{ placed_in_buckets('events') }}
),

final as (
    select
        {{ bucket_key(['environment']) }},
        cast(count(*) as integer) as event_count,
        cast(count(*) filter (where event_type = 'capacity.selector.assignment') as integer) as assignment_count,
        cast(count(*) filter (where event_type = 'capacity.selector.skipped') as integer) as skipped_count,
        cast(count(*) filter (
            where event_type in ('capacity.selector.assignment', 'capacity.selector.skipped') and is_retry_exhausted
        ) as integer) as exhausted_count,
        cast(count(*) filter (where is_retry_exhausted) as integer) as exhausted_event_count,
        cast(count(*) filter (where cutoff_kind = 'HOLD_RATE_LIMIT') as integer) as rate_limit_count,
        cast(count(*) filter (where cutoff_kind = 'CUTOFF') as integer) as cutoff_count,
        cast(count(*) filter (where cutoff_kind = 'MANUAL') as integer) as manual_count,
        -- Where pipeline_freshness looks; in all other rows they would only take up room.
        case when grouping(day_at) = 0 and grouping(restaurant_key) = 1 then max(occurred_at) end as newest_event_at,
        case when grouping(day_at) = 0 and grouping(restaurant_key) = 1 then max(recorded_at) end as newest_recorded_at
    from placed
    {{ group_by_buckets(['environment']) }}
)

select * from final
