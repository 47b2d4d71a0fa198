{#
    A table, made anew with each pass of the pipeline: merging 90 days of sketches for every restaurant takes a second or more,
    which is too long for a view that somebody opens.
#}
{{ config(
    materialized='table',
    indexes=[{'columns': ['environment', 'restaurant_key'], 'unique': true}],
    pre_hook="{{ one_run_at_a_time() }}",
) }}
{% set key = ['environment', 'restaurant_key'] %}

with

counts as (
    select
        environment,
        restaurant_key,
        cast(sum(assignment_count) as bigint) as assignment_count,
        cast(sum(skipped_count) as bigint) as skipped_count,
        cast(sum(exhausted_count) as bigint) as exhausted_count
    from {{ ref('live_event_counts') }}
    where grain = 'day'
    group by environment, restaurant_key
),

days as (
    select * from {{ ref('live_latency_sketches') }}
    where grain = 'day' and phase = 'total'
),

cells as (
    {{ cells_of('days', key) }}
),

{{ sketches_of('cells', key) }},

final as (
    select
        counts.environment,
        {{ restaurant_id_of('counts.restaurant_key') }} as restaurant_id,
        counts.restaurant_key,
        counts.assignment_count,
        counts.skipped_count,
        counts.assignment_count / {{ as_double('counts.assignment_count + counts.skipped_count') }} as success_ratio,
        counts.exhausted_count,
        sketches.p50_ms,
        sketches.p95_ms,
        sketches.p99_ms,
        cast(coalesce(sketches.sample_count, 0) as bigint) as sample_count,
        now() as refreshed_at
    from counts
    left join sketches
        on counts.environment = sketches.environment and counts.restaurant_key = sketches.restaurant_key
    where counts.assignment_count + counts.skipped_count > 0
)

select * from final
