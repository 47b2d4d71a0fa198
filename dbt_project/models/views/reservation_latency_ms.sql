with

selections as (
    select * from {{ ref('int_events_bucketed') }}
    where event_type in ('capacity.selector.assignment', 'capacity.selector.skipped')
),

latencies as (
    select
        selections.bucket_at,
        selections.grain,
        selections.environment,
        selections.restaurant_id,
        selections.restaurant_key,
        phases.phase,
        phases.latency_ms
    from selections
    cross join
        lateral (
            values
            ('total', selections.total_ms),
            ('planner', selections.planner_ms)
        ) as phases (phase, latency_ms)
    where phases.latency_ms is not null
),

summarized as (
    select
        bucket_at,
        grain,
        environment,
        restaurant_id,
        restaurant_key,
        phase,
        count(*) as sample_count,
        -- Nearest rank (inverted CDF): the least latency that at least this share of the sample does not exceed.
        percentile_disc(array[0.5, 0.95, 0.99]) within group (order by latency_ms) as percentiles_ms
    from latencies
    group by bucket_at, grain, environment, restaurant_id, restaurant_key, phase
),

final as (
    select
        summarized.bucket_at,
        summarized.grain,
        summarized.environment,
        summarized.restaurant_id,
        summarized.restaurant_key,
        summarized.phase,
        ranks.percentile,
        ranks.latency_ms,
        summarized.sample_count
    from summarized
    cross join lateral (
        values
        (0.5::float8, summarized.percentiles_ms[1]),
        (0.95::float8, summarized.percentiles_ms[2]),
        (0.99::float8, summarized.percentiles_ms[3])
    ) as ranks (percentile, latency_ms)
)

select * from final
