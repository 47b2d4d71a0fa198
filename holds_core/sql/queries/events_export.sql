-- name: export_position
-- Up to here nothing can come in any more; what is committed beyond is exported too, and again with the next export.
select holds.server_id() as server_id, (pg_snapshot_xmin(pg_current_snapshot())::text)::bigint - 1 as position;

-- name: days_with_events
select (occurred_at at time zone 'UTC')::date as day
from holds.observability_events
where ingest_pos > %(since)s
group by day
order by day;

-- name: events_of_a_day
select
    id::text as id,
    occurred_at,
    recorded_at,
    environment,
    source,
    event_type,
    severity,
    restaurant_id::text as restaurant_id,
    booking_id::text as booking_id,
    context::text as context,
    ingest_pos
from holds.observability_events
where occurred_at >= %(begins)s and occurred_at < %(ends)s
order by occurred_at, id;
