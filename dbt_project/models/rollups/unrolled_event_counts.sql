with

events as (
    {{ events_to_read('fct_event_counts', [
        'occurred_at', 'recorded_at', 'environment', 'restaurant_id', 'event_type', 'is_retry_exhausted', 'cutoff_kind',
        'is_error', 'error_class', 'is_fault', 'is_beside_alerts',
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
        {{ event_counts() }},
        -- Where pipeline_freshness looks; in all other rows they would only take up room.
        max(occurred_at) filter (where grain = 'day' and restaurant_key = '(all)') as newest_event_at,
        max(recorded_at) filter (where grain = 'day' and restaurant_key = '(all)') as newest_recorded_at,
        max(occurred_at) filter (
            where grain = 'day' and restaurant_key = '(all)' and event_type like 'capacity.%'
        ) as newest_capacity_event_at
    from bucketed
    group by restaurant_key, grain, environment, bucket_at
)

select * from final
