{#
    Of the ten newest minutes, the unfinished one included. What is rolled up and what is not are merged here, once, where the
    live view would merge every sketch that has anything new.
#}
{% set key = ['environment', 'phase'] %}
{% set is_recent %}bucket_at > now() - interval '10 minutes' and bucket_at <= now(){% endset %}

with

minutes as (
    select * from {{ ref('fct_latency_sketches') }}
    where
        {{ is_rolled_up_here('fct_latency_sketches') }}
        and grain = 'minute'
        and restaurant_key = '(all)'
        and phase in ('total', 'planner')
        and {{ is_recent }}
),

newest as (
    {{ events_to_read('fct_latency_sketches', ['environment', 'occurred_at', 'total_ms', 'planner_ms'],
        where="event_type in ('capacity.selector.assignment', 'capacity.selector.skipped')
        and " ~ happened_within_days('occurred_at', 1)) }}
),

latencies as (
    select
        newest.environment,
        phases.phase,
        {{ bucket_start('minute', 'newest.occurred_at') }} as bucket_at,
        {{ sketch_index('phases.latency_ms') }} as sketch_index,
        1 as sample_count
    from newest
    {{ cross_join_rows('phases', ['phase', 'latency_ms'], [
        ["'total'", 'newest.total_ms'], ["'planner'", 'newest.planner_ms'],
    ]) }}
    where phases.latency_ms is not null
),

cells as (
    {{ cells_of('minutes', key) }}
    union all
    select
        environment,
        phase,
        sketch_index,
        sample_count
    from latencies
    where {{ is_recent }}
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
