{% set key = ['restaurant_key', 'grain', 'environment', 'phase', 'bucket_at'] %}

with

new_cells as (
    select * from {{ ref('unrolled_latency_cells') }}
),

{{ merged_sketches(
    'new_cells', ref('fct_latency_sketches'), key, where=is_rolled_up_here('fct_latency_sketches')
) }},

-- Their percentiles stand in the rollup.
untouched as (
    select * from {{ ref('fct_latency_sketches') }}
    where
        {{ is_rolled_up_here('fct_latency_sketches') }}
        and {{ is_in_history('grain', 'bucket_at') }}
        -- Not an anti-join: the planner would take the cells for few, and compare each row with all of them. This is hashed.
        and ({{ key | join(", ") }}) not in (select {{ key | join(", ") }} from gathered_cells)
),

final as (
    select * from untouched
    union all
    select * from sketches
)

select * from final
