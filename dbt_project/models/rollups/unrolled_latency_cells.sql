with

selections as (
    {{ events_to_read('fct_latency_sketches', [
        'occurred_at', 'environment', 'restaurant_id', 'total_ms', 'planner_ms',
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
