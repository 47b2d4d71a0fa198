with

counts as (
    select * from {{ ref('live_event_counts') }}
    where assignment_count + skipped_count > 0
),

final as (
    select
        bucket_at,
        grain,
        environment,
        {{ restaurant_id_of('restaurant_key') }} as restaurant_id,
        restaurant_key,
        cast(assignment_count as bigint) as assignment_count,
        cast(skipped_count as bigint) as skipped_count,
        assignment_count / {{ as_double('assignment_count + skipped_count') }} as success_ratio,
        cast(judged_assignment_count + judged_fault_count as bigint) as judged_count,
        cast(judged_assignment_count as bigint) as good_count
    from counts
)

select * from final
