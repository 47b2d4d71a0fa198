with

live_windows as (
    select
        hold_id,
        restaurant_id,
        table_id,
        owner_id,
        held_during,
        created_at,
        window_id
    from {{ ref('stg_holds__hold_windows') }}
    -- Implied by is_live, and said for the planner: ended windows outnumber live ones.
    where released_at is null and is_live
),

ordered as (
    select
        *,
        max(upper(held_during)) over (
            partition by table_id
            order by lower(held_during), window_id
            rows between unbounded preceding and 1 preceding
        ) as earlier_until
    from live_windows
),

-- Of two windows that overlap, the one that starts later starts before an earlier one has ended. That leaves few to be
-- compared with the others of their table, where comparing all would take a square of their number.
suspects as (
    select * from ordered
    where lower(held_during) < earlier_until
),

pairs as (
    select
        suspects.restaurant_id,
        suspects.table_id,
        earlier.hold_id as earlier_hold_id,
        earlier.created_at as earlier_created_at,
        suspects.hold_id as later_hold_id,
        suspects.created_at as later_created_at,
        earlier.held_during * suspects.held_during as shared_during
    from suspects
    inner join live_windows as earlier
        on
            suspects.table_id = earlier.table_id
            and suspects.owner_id <> earlier.owner_id
            and suspects.held_during && earlier.held_during
            -- Each pair once.
            and (lower(earlier.held_during), earlier.window_id) < (lower(suspects.held_during), suspects.window_id)
),

final as (
    select
        stored_settings.environment,
        pairs.restaurant_id,
        pairs.restaurant_id::text as restaurant_key,
        pairs.table_id,
        case
            when (pairs.earlier_created_at, pairs.earlier_hold_id) < (pairs.later_created_at, pairs.later_hold_id)
                then pairs.earlier_hold_id
            else pairs.later_hold_id
        end as first_hold_id,
        case
            when (pairs.earlier_created_at, pairs.earlier_hold_id) < (pairs.later_created_at, pairs.later_hold_id)
                then pairs.later_hold_id
            else pairs.earlier_hold_id
        end as second_hold_id,
        lower(pairs.shared_during) as overlap_starts_at,
        upper(pairs.shared_during) as overlap_ends_at,
        greatest(pairs.earlier_created_at, pairs.later_created_at) as began_at
    from pairs
    -- A missing row of settings must not hide a double booking.
    left join {{ source('holds', 'settings') }} as stored_settings on true
)

select * from final
