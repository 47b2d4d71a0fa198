{# Of the ten newest minutes, the unfinished one included. #}
{% set key = ['environment', 'phase'] %}

with

minutes as (
    select * from {{ ref('live_latency_sketches') }}
    where
        grain = 'minute'
        and restaurant_key = '(all)'
        and phase in ('total', 'planner')
        and bucket_at > now() - interval '10 minutes'
        -- What a clock that is ahead has sent is not of now.
        and bucket_at <= now()
),

cells as (
    {{ cells_of('minutes', key) }}
),

{{ sketches_of('cells', key) }},

final as (
    select
        sketches.environment,
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
