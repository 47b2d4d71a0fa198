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
        kinds.cutoff_kind,
        cast(kinds.trigger_count as bigint) as trigger_count
    from counts
    {{ cross_join_rows('kinds', ['cutoff_kind', 'trigger_count'], [
        ["'HOLD_RATE_LIMIT'", 'counts.rate_limit_count'],
        ["'CUTOFF'", 'counts.cutoff_count'],
        ["'MANUAL'", 'counts.manual_count'],
    ]) }}
    where kinds.trigger_count > 0
)

select * from final
