{# The clock is that of the database, which is also the one that has the last word on what has expired. #}
with

changes as (
    select
        id as change_id,
        environment,
        flag,
        restaurant_id,
        value,
        percentage,
        reason,
        is_break_glass,
        state,
        requested_by,
        requested_at,
        approved_by,
        expires_at,
        reviewed_by
    from {{ source('holds', 'flag_changes') }}
),

final as (
    select
        change_id,
        environment,
        flag,
        coalesce(restaurant_id::text, '(all)') as restaurant_key,
        case
            when value is null then 'default'
            when percentage is not null then percentage || '%'
            when value = 'true' then 'on'
            when value = 'false' then 'off'
            else value #>> '{}'
        end as setting,
        case
            when state = 'requested' then 'approval'
            when state = 'approved' then 'being applied'
            when reviewed_by is null then 'review'
            else 'its end'
        end as waits_for,
        is_break_glass,
        reason,
        requested_by,
        requested_at,
        approved_by,
        expires_at
    from changes
    where
        (state in ('requested', 'approved') and expires_at > now())
        or (is_break_glass and (reviewed_by is null or (state = 'applied' and expires_at > now())))
)

select * from final
