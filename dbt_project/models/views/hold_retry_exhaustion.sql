with

counts as (
    select
        *,
        assignment_count + skipped_count as request_count
    from {{ ref('live_event_counts') }}
),

final as (
    select
        bucket_at,
        grain,
        environment,
        {{ restaurant_id_of('restaurant_key') }} as restaurant_id,
        restaurant_key,
        request_count,
        exhausted_count,
        exhausted_count / {{ as_double('request_count') }} as exhausted_ratio,
        exhausted_event_count
    from counts
    where request_count > 0
)

select * from final
