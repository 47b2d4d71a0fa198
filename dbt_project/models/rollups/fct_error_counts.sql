{% set key = [
    'restaurant_key', 'grain', 'environment', 'bucket_at', 'error_class', 'error_code', 'source', 'severity',
] %}
{{ rollup_config(key) }}

with

new_rows as (
    select * from {{ ref('unrolled_error_counts') }}
),

all_rows as (
    select * from new_rows
    {% if is_incremental() %}
        union all
        {{ rows_touched(this, 'new_rows', key) }}
    {% endif %}
),

final as (
    {{ summed_error_counts('all_rows') }}
)

select * from final
