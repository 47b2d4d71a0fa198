with

counts as (
    select * from {{ ref('live_event_counts') }}
    where
        restaurant_key = '(all)'
        and judged_assignment_count + judged_fault_count > 0
),

final as (
    select
        bucket_at,
        grain,
        environment,
        cast(judged_assignment_count + judged_fault_count as bigint) as request_count,
        cast(judged_assignment_count as bigint) as good_count
    from counts
)

select * from final
