with

events as (
    select
        *,
        event_type in ('capacity.selector.assignment', 'capacity.selector.skipped') as is_request
    from {{ ref('int_events_bucketed') }}
),

counted as (
    select
        bucket_at,
        grain,
        environment,
        restaurant_id,
        restaurant_key,
        count(*) filter (where is_request) as request_count,
        count(*) filter (where is_request and is_retry_exhausted) as exhausted_count,
        count(*) filter (where is_retry_exhausted) as exhausted_event_count
    from events
    where is_request or is_retry_exhausted
    group by bucket_at, grain, environment, restaurant_id, restaurant_key
),

final as (
    select
        bucket_at,
        grain,
        environment,
        restaurant_id,
        restaurant_key,
        request_count,
        exhausted_count,
        exhausted_count / request_count::float8 as exhausted_ratio,
        exhausted_event_count
    from counted
    where request_count > 0
)

select * from final
