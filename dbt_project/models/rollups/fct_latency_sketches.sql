{% set key = ['restaurant_key', 'grain', 'environment', 'phase', 'bucket_at'] %}
{{ rollup_config(key) }}

with

new_cells as (
    select * from {{ ref('unrolled_latency_cells') }}
),

{{ merged_sketches('new_cells', this, key) }}

select * from sketches
