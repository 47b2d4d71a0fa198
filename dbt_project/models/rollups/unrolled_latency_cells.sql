with

selections as (
    {{ events_to_read('fct_latency_sketches', [
        'occurred_at', 'environment', 'restaurant_id', 'total_ms', 'planner_ms', 'is_beside_alerts',
    ], where="event_type in ('capacity.selector.assignment', 'capacity.selector.skipped')") }}
),

latencies as (
    select occurred_at, environment, restaurant_id, 'total' as phase, {{ sketch_index('total_ms') }} as sketch_index
    from selections
    where total_ms is not null
    union all
    select occurred_at, environment, restaurant_id, 'planner' as phase, {{ sketch_index('planner_ms') }} as sketch_index
    from selections
    where planner_ms is not null
    union all
    -- Those of the first that alerts are to leave out: counts can be taken away again.
    select occurred_at, environment, restaurant_id, 'soak' as phase, {{ sketch_index('total_ms') }} as sketch_index
    from selections
    where total_ms is not null and is_beside_alerts
),

bucketed as (
    {{ in_every_bucket('latencies') }}
),

final as (
    select
        restaurant_key,
        grain,
        environment,
        phase,
        bucket_at,
        sketch_index,
        count(*) as sample_count
    from bucketed
    group by restaurant_key, grain, environment, phase, bucket_at, sketch_index
)

select * from final
