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
        cast(request_count as bigint) as request_count,
        cast(exhausted_count as bigint) as exhausted_count,
        exhausted_count / {{ as_double('request_count') }} as exhausted_ratio,
        cast(exhausted_event_count as bigint) as exhausted_event_count
    from counts
    where request_count > 0
)

select * from final
