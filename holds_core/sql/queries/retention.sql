-- name: list_event_partitions
-- By name rather than by what is attached: one that was being dropped when something went wrong is found again.
select
    relname::text as partition_name,
    to_date(right(relname, 8), 'YYYYMMDD') as day,
    pg_total_relation_size(oid) as size_bytes
from pg_class
where
    relnamespace = 'holds'::regnamespace
    and relkind = 'r'
    and relname ~ '^observability_events_[0-9]{8}$'
    and to_date(right(relname, 8), 'YYYYMMDD') < %(before)s
order by relname;

-- name: partition_is_detaching
select inhdetachpending
from pg_inherits
where inhrelid = to_regclass('holds.' || quote_ident(%(name)s)) and inhparent = 'holds.observability_events'::regclass;

-- name: readmit_quarantined_events
select holds.readmit_quarantined_events();

-- name: quarantined_events
select
    count(*) as event_count,
    (array_agg(source order by quarantined_at desc))[1] as last_source
from holds.quarantined_events;

-- name: forget_ended_holds
select holds.forget_ended_holds(%(before)s);
