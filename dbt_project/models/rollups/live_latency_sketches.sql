{% set key = ['grain', 'bucket_at', 'environment', 'restaurant_key', 'phase'] %}

with

new_cells as (
    select * from {{ ref('unrolled_latency_cells') }}
),

closed as (
    select * from {{ ref('fct_latency_sketches') }}
    where {{ is_rolled_up_here('fct_latency_sketches') }} and {{ is_in_history('grain', 'bucket_at') }}
),

touched as (
    {{ rows_touched('closed', 'new_cells', key) }}
),

all_cells as (
    select * from new_cells
    union all
    {{ cells_of('touched', key) }}
),

{{ sketches_of('all_cells', key) }},

-- Their percentiles stand in the rollup.
untouched as (
    select * from closed
    where not exists (
        select 1 from new_cells
        where
            {% for column in key -%}
                new_cells.{{ column }} = closed.{{ column }}
                {{ "and" if not loop.last }}
            {% endfor %}
    )
),

final as (
    select * from untouched
    union all
    select * from sketches
)

select * from final
