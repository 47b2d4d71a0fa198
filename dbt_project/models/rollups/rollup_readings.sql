with

positions as (
    select * from {{ ref('rollup_positions') }}
),

-- Transaction ids, and so positions, start anew on another server: what a dump has brought along counts for nothing here.
judged as (
    select
        *,
        server_id = {{ server_id() }} as is_of_this_server
    from positions
)

select
    rollup,
    is_of_this_server,
    case when is_of_this_server then read_after else -1 end as read_after,
    read_until,
    read_from,
    read_before
from judged
