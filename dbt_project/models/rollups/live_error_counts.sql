with

all_rows as (
    select * from {{ ref('fct_error_counts') }}
    where {{ is_rolled_up_here('fct_error_counts') }} and {{ is_in_history('grain', 'bucket_at') }}
    union all
    select * from {{ ref('unrolled_error_counts') }}
),

final as (
    {{ summed_error_counts('all_rows') }}
)

select * from final
