-- Row-level security on every table, and no policy: behind an API that maps its callers to database roles, an anonymous key
-- reads and writes nothing, whatever is granted by accident. The functions run as the owner, whom it does not bind.
do $$
declare
    v_table regclass;
begin
    for v_table in
        select oid::regclass
        from pg_class
        where relkind in ('r', 'p') and relnamespace = 'holds'::regnamespace
        union all
        select 'public.holdwatch_migrations'::regclass
    loop
        execute format('alter table %s enable row level security', v_table);
    end loop;
end
$$;

-- As in 0002, with row-level security.
create or replace function holds.ensure_event_partitions(p_first_day date, p_last_day date)
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
            'alter table holds.%I enable row level security', 'observability_events_' || to_char(v_day, 'YYYYMMDD')
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

revoke execute on all functions in schema holds from public;
