with

counts as (
    select * from {{ ref('live_event_counts') }}
),

final as (
    select
        counts.bucket_at,
        counts.grain,
        counts.environment,
        {{ restaurant_id_of('counts.restaurant_key') }} as restaurant_id,
        counts.restaurant_key,
        activities.activity,
        cast(activities.event_count as bigint) as event_count
    from counts
    {{ cross_join_rows('activities', ['activity', 'event_count'], [
        ["'created'", 'counts.hold_created_count'],
        ["'confirmed'", 'counts.hold_confirmed_count'],
        ["'released'", 'counts.hold_released_count'],
        ["'expired'", 'counts.hold_expired_count'],
        ["'conflict refused'", 'counts.conflict_count'],
        ["'conflict let through'", 'counts.shadow_conflict_count'],
    ]) }}
    where activities.event_count > 0
)

select * from final
