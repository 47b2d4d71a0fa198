with

sketches as (
    select * from {{ ref('live_latency_sketches') }}
    where phase in ('total', 'planner')
),

final as (
    select
        sketches.bucket_at,
        sketches.grain,
        sketches.environment,
        {{ restaurant_id_of('sketches.restaurant_key') }} as restaurant_id,
        sketches.restaurant_key,
        sketches.phase,
        ranks.percentile,
        ranks.latency_ms,
        cast(sketches.sample_count as bigint) as sample_count
    from sketches
    {{ cross_join_rows('ranks', ['percentile', 'latency_ms'], [
        [as_double(0.5), 'sketches.p50_ms'],
        [as_double(0.95), 'sketches.p95_ms'],
        [as_double(0.99), 'sketches.p99_ms'],
    ]) }}
)

select * from final
