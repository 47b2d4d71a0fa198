{% set key = [
    'restaurant_key', 'grain', 'environment', 'bucket_at', 'error_class', 'error_code', 'source', 'severity',
] %}
{{ rollup_config(key) }}

with

new_rows as (
    select * from {{ ref('unrolled_error_counts') }}
),

all_rows as (
    {{ with_closed_rows(this, 'new_rows', key) }}
),

final as (
    {{ summed_error_counts('all_rows') }}
)

select * from final
