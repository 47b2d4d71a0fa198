with

selections as (
    {{ events_to_read('fct_latency_sketches', [
        'occurred_at', 'environment', 'restaurant_id', 'total_ms', 'planner_ms', 'is_beside_alerts',
    ], where="event_type in ('capacity.selector.assignment', 'capacity.selector.skipped')") }}
),

placed as (
    {{ placed_in_buckets('selections') }}
),

latencies as (
    select *, 'total' as phase, {{ sketch_index('total_ms') }} as sketch_index
    from placed
    where total_ms is not null
    union all
    select *, 'planner' as phase, {{ sketch_index('planner_ms') }} as sketch_index
    from placed
    where planner_ms is not null
    union all
    -- Those of the first that alerts are to leave out: counts can be taken away again.
    select *, 'soak' as phase, {{ sketch_index('total_ms') }} as sketch_index
    from placed
    where total_ms is not null and is_beside_alerts
),

final as (
    select
        {{ bucket_key(['environment', 'phase']) }},
        sketch_index,
        cast(count(*) as integer) as sample_count
    from latencies
    {{ group_by_buckets(['environment', 'phase', 'sketch_index']) }}
)

select * from final
