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
        restaurant_key,
        grain,
        environment,
        bucket_at,
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
        max(occurred_at) filter (where grain = 'day' and restaurant_key = '(all)') as newest_event_at,
        max(recorded_at) filter (where grain = 'day' and restaurant_key = '(all)') as newest_recorded_at
    from bucketed
    group by restaurant_key, grain, environment, bucket_at
)

select * from final
