with

all_rows as (
    select * from {{ ref('fct_event_counts') }}
    where {{ is_rolled_up_here('fct_event_counts') }} and {{ is_in_history('grain', 'bucket_at') }}
    union all
    select * from {{ ref('unrolled_event_counts') }}
),

final as (
    {{ summed_event_counts('all_rows') }}
)

select * from final
