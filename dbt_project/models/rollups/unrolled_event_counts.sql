with

events as (
    {{ events_to_read('fct_event_counts', [
        'occurred_at', 'recorded_at', 'environment', 'restaurant_id', 'event_type', 'is_retry_exhausted', 'cutoff_kind',
    ]) }}
),

bucketed as (
    {{ in_every_bucket('events') }}
),

final as (
    select
        grain,
        bucket_at,
        environment,
        restaurant_key,
        count(*) as event_count,
        count(*) filter (where event_type = 'capacity.selector.assignment') as assignment_count,
        count(*) filter (where event_type = 'capacity.selector.skipped') as skipped_count,
        count(*) filter (
            where event_type in ('capacity.selector.assignment', 'capacity.selector.skipped') and is_retry_exhausted
        ) as exhausted_count,
        count(*) filter (where is_retry_exhausted) as exhausted_event_count,
        count(*) filter (where cutoff_kind = 'HOLD_RATE_LIMIT') as rate_limit_count,
        count(*) filter (where cutoff_kind = 'CUTOFF') as cutoff_count,
        count(*) filter (where cutoff_kind = 'MANUAL') as manual_count,
        max(occurred_at) as newest_event_at,
        max(recorded_at) as newest_recorded_at
    from bucketed
    group by grain, bucket_at, environment, restaurant_key
)

select * from final
