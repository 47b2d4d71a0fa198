{% set key = ['restaurant_key', 'grain', 'environment', 'phase', 'bucket_at'] %}

with

new_cells as (
    select * from {{ ref('unrolled_latency_cells') }}
),

touched as (
    {{ rows_touched(ref('fct_latency_sketches'), 'new_cells', key) }}
    where {{ is_rolled_up_here('fct_latency_sketches') }}
),

all_cells as (
    select * from new_cells
    union all
    {{ cells_of('touched', key) }}
),

{{ sketches_of('all_cells', key) }},

-- Their percentiles stand in the rollup.
untouched as (
    select * from {{ ref('fct_latency_sketches') }} as closed
    where
        {{ is_rolled_up_here('fct_latency_sketches') }}
        and {{ is_in_history('closed.grain', 'closed.bucket_at') }}
        -- Not an anti-join: the planner would take the cells for few, and compare each row with all of them. This is hashed.
        and ({{ key | join(", ") }}) not in (select {{ key | join(", ") }} from new_cells)
),

final as (
    select * from untouched
    union all
    select * from sketches
)

select * from final
