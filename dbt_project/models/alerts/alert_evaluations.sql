with

history as (
    select * from {{ ref('alert_history') }}
),

final as (
    select distinct on (alert, environment) *
    from history
    order by alert asc, environment asc, bucket_at desc
)

select * from final
