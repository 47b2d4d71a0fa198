-- name: read_sync_state
select position, read_until
from holds.event_syncs
where source = %(source)s;

-- name: write_sync_state
insert into holds.event_syncs (source, position, read_until, synced_at)
values (%(source)s, %(position)s, %(read_until)s, clock_timestamp())
on conflict (source) do update
    set position = excluded.position, read_until = excluded.read_until, synced_at = excluded.synced_at;

-- name: source_table_columns
select attname::text as column_name
from pg_attribute
where attrelid = to_regclass(%(table)s) and attnum > 0 and not attisdropped;

-- name: source_snapshot
-- The first transaction that may still write, and the server whose transactions are counted.
select (pg_snapshot_xmin(pg_current_snapshot())::text)::bigint as xmin, now() as read_at;
