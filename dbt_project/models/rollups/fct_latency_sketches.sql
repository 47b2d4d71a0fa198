{% set key = ['restaurant_key', 'grain', 'environment', 'phase', 'bucket_at'] %}
{{ rollup_config(key) }}

with

new_cells as (
    select * from {{ ref('unrolled_latency_cells') }}
),

{% if is_incremental() %}
    touched as (
        {{ rows_touched(this, 'new_cells', key) }}
    ),
{% endif %}

all_cells as (
    select * from new_cells
    {% if is_incremental() %}
        union all
        {{ cells_of('touched', key) }}
    {% endif %}
),

{{ sketches_of('all_cells', key) }}

select * from sketches
