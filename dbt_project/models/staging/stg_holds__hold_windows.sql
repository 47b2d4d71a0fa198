with

windows as (
    select
        id,
        hold_id,
        restaurant_id,
        table_id,
        owner_id,
        held_during,
        created_at,
        expires_at,
        released_at,
        is_enforced
    from {{ source('holds', 'table_hold_windows') }}
)

select
    id as window_id,
    hold_id,
    restaurant_id,
    table_id,
    owner_id,
    held_during,
    created_at,
    expires_at,
    released_at,
    is_enforced,
    -- By the clock rather than now(), as expiry is decided everywhere. A volatile function keeps a CTE from being folded
    -- into its reader, which is why this one stands in the outermost query: filters on other columns still reach the table.
    released_at is null and (expires_at is null or expires_at > clock_timestamp()) as is_live
from windows
