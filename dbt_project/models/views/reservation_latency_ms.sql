with

sketches as (
    select * from {{ ref('live_latency_sketches') }}
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
    cross join lateral (
        values
        (0.5::float8, sketches.p50_ms),
        (0.95::float8, sketches.p95_ms),
        (0.99::float8, sketches.p99_ms)
    ) as ranks (percentile, latency_ms)
)

select * from final
