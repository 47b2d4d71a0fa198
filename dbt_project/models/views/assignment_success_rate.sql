with

selections as (
    select * from {{ ref('int_events_bucketed') }}
    where event_type in ('capacity.selector.assignment', 'capacity.selector.skipped')
),

counted as (
    select
        bucket_at,
        grain,
        environment,
        restaurant_id,
        restaurant_key,
        count(*) filter (where event_type = 'capacity.selector.assignment') as assignment_count,
        count(*) filter (where event_type = 'capacity.selector.skipped') as skipped_count
    from selections
    group by bucket_at, grain, environment, restaurant_id, restaurant_key
),

final as (
    select
        bucket_at,
        grain,
        environment,
        restaurant_id,
        restaurant_key,
        assignment_count,
        skipped_count,
        assignment_count / nullif(assignment_count + skipped_count, 0)::float8 as success_ratio
    from counted
)

select * from final
