{# The P95 of each evaluation period, from the cells of its sketches; what is not to be judged is taken away from them. #}
with

sketches as (
    select * from {{ ref('fct_latency_sketches') }}
    where
        {{ is_rolled_up_here('fct_latency_sketches') }}
        and grain = 'minute'
        and phase in ('total', 'soak')
        and restaurant_key = any({{ restaurants_beside_maintenance() }})
        and bucket_at >= {{ alert_clock('oldest_period_starts_at') }}
        and not {{ alert_clock('is_shorter_than_a_minute') }}
),

-- Added to what is rolled up: merging the sketches first, as the live view does, would take them apart again.
unrolled as (
    {{ events_to_read('fct_latency_sketches', ['environment', 'restaurant_id', 'occurred_at', 'total_ms'], where="
        event_type in ('capacity.selector.assignment', 'capacity.selector.skipped')
        and total_ms is not null
        and not is_beside_alerts
        and occurred_at >= " ~ alert_clock('oldest_period_starts_at') ~ "
        and " ~ happened_within_days('occurred_at', 2) ~ "
        and not " ~ alert_clock('is_shorter_than_a_minute')) }}
),

newest_events as (
    select * from {{ ref('int_events_classified') }}
    where
        event_type in ('capacity.selector.assignment', 'capacity.selector.skipped')
        and total_ms is not null
        and not is_beside_alerts
        -- Both ends, so that the planner takes it for few.
        and occurred_at >= {{ alert_clock('oldest_period_starts_at') }}
        and occurred_at <= {{ alert_clock('judged_at') }}
        and {{ happened_within_days('occurred_at', 1) }}
        and {{ alert_clock('is_shorter_than_a_minute') }}
),

-- An event that the rollups have minutes for is in maintenance where its minute is; of a shorter period, where it is itself.
latencies as (
    select
        environment,
        restaurant_id,
        total_ms,
        {{ bucket_start('minute', 'occurred_at') }} as starts_at,
        {{ bucket_start('minute', 'occurred_at') }} + interval '1 minute' as ends_at
    from unrolled
    union all
    select
        environment,
        restaurant_id,
        total_ms,
        occurred_at as starts_at,
        occurred_at + interval '1 microsecond' as ends_at
    from newest_events
),

-- Weighed before they are taken apart: a sketch has many cells.
bounded_sketches as (
    select
        *,
        bucket_at as starts_at,
        bucket_at + interval '1 minute' as ends_at
    from sketches
),

weighed_sketches as (
    select
        *,
        case phase when 'total' then 1 else -1 end
        * {{ weight_beside_maintenance('bounded_sketches', 'starts_at', 'ends_at') }} as weight
    from bounded_sketches
),

scoped_latencies as (
    select
        latencies.*,
        scopes.restaurant_key
    from latencies
    cross join lateral (values ('(all)'), (latencies.restaurant_id::text)) as scopes (restaurant_key)
),

weighed_latencies as (
    select
        *,
        {{ weight_beside_maintenance('scoped_latencies', 'starts_at', 'ends_at') }} as weight
    from scoped_latencies
),

cells as (
    select
        sketch.environment,
        {{ alert_period_start('sketch.starts_at') }} as bucket_at,
        cells.sketch_index,
        sketch.weight * cells.sample_count as sample_count
    from weighed_sketches as sketch
    cross join lateral unnest(sketch.sketch_indexes, sketch.sketch_counts) as cells (sketch_index, sample_count)
    where sketch.weight <> 0
    union all
    select
        environment,
        {{ alert_period_start('starts_at') }} as bucket_at,
        {{ sketch_index('total_ms') }} as sketch_index,
        weight as sample_count
    from weighed_latencies
    where weight <> 0
),

summed as (
    select
        environment,
        bucket_at,
        sketch_index,
        sum(sample_count) as sample_count
    from cells
    group by environment, bucket_at, sketch_index
    having sum(sample_count) > 0
),

ranked as (
    select
        *,
        sum(sample_count) over (partition by environment, bucket_at) as total_count,
        sum(sample_count) over (
            partition by environment, bucket_at order by sketch_index rows unbounded preceding
        ) as counted
    from summed
),

-- By nearest rank, reckoned in whole numbers.
p95 as (
    select
        environment,
        bucket_at,
        min(case when counted * 100 >= total_count * 95 then sketch_index end) as p95_index,
        max(total_count) as sample_count
    from ranked
    group by environment, bucket_at
),

final as (
    select
        environment,
        bucket_at,
        {{ sketch_value('p95_index') }} as p95_ms,
        sample_count
    from p95
)

select * from final
