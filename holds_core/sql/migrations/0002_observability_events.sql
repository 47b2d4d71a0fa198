-- The contract between the holds core and everything downstream: one row per event, partitioned by UTC day.
create table holds.observability_events (
    id uuid not null default gen_random_uuid(),
    occurred_at timestamptz not null,
    recorded_at timestamptz not null default clock_timestamp(),
    environment text not null,
    source text not null,
    event_type text not null,
    severity text not null default 'info',
    -- Nullable on purpose: staff and the system act without a restaurant or a booking; such events are counted, never dropped.
    restaurant_id uuid,
    booking_id uuid,
    -- Not checked to be an object: telemetry from anywhere is stored, and the views take what they can read.
    context jsonb not null default '{}',
    -- The writing transaction: arrival order, by which rollups find what is new, however late its time is.
    ingest_pos bigint not null default (pg_current_xact_id()::text)::bigint,
    primary key (id, occurred_at)
) partition by range (occurred_at);

create index observability_events_occurred_at on holds.observability_events using brin (occurred_at);
create index observability_events_ingest_pos on holds.observability_events (ingest_pos);

comment on table holds.observability_events is
'Every event of the holds platform. Identity is (id, occurred_at): sending one twice is harmless.';

-- No DEFAULT partition: it would block DETACH CONCURRENTLY, and would hide times that are out of range.
create function holds.ensure_event_partitions(p_first_day date, p_last_day date)
returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_day date;
    v_created integer := 0;
begin
    -- Two callers making the same partition would deadlock on the parent; one at a time.
    perform pg_advisory_xact_lock(hashtextextended('holds.ensure_event_partitions', 0));
    for v_day in
        select day::date
        from generate_series(p_first_day::timestamp, p_last_day::timestamp, interval '1 day') as day
        where to_regclass(format('holds.observability_events_%s', to_char(day, 'YYYYMMDD'))) is null
    loop
        -- Made apart and attached: that lets events be written and read meanwhile, where PARTITION OF would wait for the
        -- longest reader with every hold queued up behind it.
        execute format(
            'create table holds.%I (like holds.observability_events including defaults)',
            'observability_events_' || to_char(v_day, 'YYYYMMDD')
        );
        execute format(
            'alter table holds.observability_events attach partition holds.%I for values from (%L) to (%L)',
            'observability_events_' || to_char(v_day, 'YYYYMMDD'),
            v_day::timestamp at time zone 'UTC',
            (v_day + 1)::timestamp at time zone 'UTC'
        );
        v_created := v_created + 1;
    end loop;
    return v_created;
end
$$;

comment on function holds.ensure_event_partitions(date, date) is
'Makes the missing daily partitions from the first to the last UTC day, both included; returns how many it made.';

revoke execute on function holds.ensure_event_partitions(date, date) from public;
