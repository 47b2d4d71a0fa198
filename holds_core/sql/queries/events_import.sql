-- name: create_event_import
create temporary table if not exists event_import (
    id uuid,
    occurred_at timestamptz,
    environment text,
    source text,
    event_type text,
    severity text,
    restaurant_id uuid,
    booking_id uuid,
    context jsonb,
    line_number bigint,
    recorded_at timestamptz
) on commit delete rows;

-- name: drop_event_import
drop table if exists pg_temp.event_import;

-- name: copy_event_import
copy pg_temp.event_import (
    id, occurred_at, environment, source, event_type, severity, restaurant_id, booking_id, context, line_number,
    recorded_at
) from stdin with (format text, encoding 'UTF8');

-- name: insert_imported_events
-- In one order everywhere, so that two imports of the same events queue up rather than deadlock; of two lines with one
-- identity the first one counts.
insert into holds.observability_events (
    id, occurred_at, recorded_at, environment, source, event_type, severity, restaurant_id, booking_id, context
)
select
    id,
    occurred_at,
    -- Events that were only just made up say when they came in; all others come in now.
    coalesce(recorded_at, clock_timestamp()) as recorded_at,
    environment,
    source,
    event_type,
    severity,
    restaurant_id,
    booking_id,
    context
from pg_temp.event_import
order by occurred_at, id, line_number
on conflict (id, occurred_at) do nothing;
