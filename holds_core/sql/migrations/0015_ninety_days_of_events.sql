-- Few among many, and read whenever somebody asks how fresh the views are: how the pipeline's runs ended.
create index observability_events_pipeline_runs on holds.observability_events (occurred_at)
where event_type in ('pipeline.run.succeeded', 'pipeline.run.failed');

-- pg_control_system() is marked volatile, which would keep every view that asks for it from being planned as a whole.
create function holds.server_id()
returns bigint
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    return (select system_identifier from pg_control_system());
end
$$;

comment on function holds.server_id() is
'The server whose transaction ids observability_events.ingest_pos counts: another one after a restore from a dump.';

revoke execute on function holds.server_id() from public;
grant execute on function holds.server_id() to analytics_reader;

-- Events whose time is out of range (more than a day ahead, or before the history), or for whose day there is no partition.
-- Kept apart, so that they are neither lost nor in the way; holds.readmit_quarantined_events lets in what fits by then.
create table holds.quarantined_events (
    id uuid not null,
    occurred_at timestamptz not null,
    quarantined_at timestamptz not null default clock_timestamp(),
    environment text not null,
    source text not null,
    event_type text not null,
    severity text not null,
    restaurant_id uuid,
    booking_id uuid,
    context jsonb not null,
    primary key (id, occurred_at)
);
alter table holds.quarantined_events enable row level security;

comment on table holds.quarantined_events is
'Events with a time that the history has no place for. As a rule a clock is wrong: that of the machine they are from.';

-- From 00:00 UTC 90 days before today to a day ahead of the clock.
create function holds.is_in_event_history(p_occurred_at timestamptz)
returns boolean
language plpgsql
stable
as $$
begin
    return p_occurred_at <= clock_timestamp() + interval '1 day'
        and p_occurred_at >= (date_trunc('day', now() at time zone 'UTC') - interval '90 days') at time zone 'UTC';
end
$$;

create function holds.quarantine(
    p_event_id uuid,
    p_occurred_at timestamptz,
    p_event_type text,
    p_severity text,
    p_source text,
    p_restaurant_id uuid,
    p_booking_id uuid,
    p_context jsonb
)
returns void
language plpgsql
as $$
begin
    raise warning 'event % has a time that the history has no place for (%), and was put into holds.quarantined_events',
        p_event_type, p_occurred_at;
    insert into holds.quarantined_events (
        id, occurred_at, environment, source, event_type, severity, restaurant_id, booking_id, context
    )
    values (
        p_event_id, p_occurred_at, (select environment from holds.settings), p_source, p_event_type, p_severity,
        p_restaurant_id, p_booking_id, p_context
    )
    on conflict do nothing;
end
$$;

-- As in 0007, with quarantine.
create or replace function holds.emit(
    p_event_id uuid,
    p_occurred_at timestamptz,
    p_event_type text,
    p_severity text,
    p_source text,
    p_restaurant_id uuid,
    p_booking_id uuid,
    p_context jsonb
)
returns boolean
language plpgsql
as $$
declare
    v_constraint text;
begin
    -- As a rule the clocks agree, and the function is not called.
    if p_occurred_at not between clock_timestamp() - interval '89 days' and clock_timestamp()
        and not holds.is_in_event_history(p_occurred_at)
    then
        perform holds.quarantine(
            p_event_id, p_occurred_at, p_event_type, p_severity, p_source, p_restaurant_id, p_booking_id, p_context);
        return true;
    end if;
    insert into holds.observability_events (
        id, occurred_at, environment, source, event_type, severity, restaurant_id, booking_id, context
    )
    values (
        p_event_id, p_occurred_at, (select environment from holds.settings), p_source, p_event_type, p_severity,
        p_restaurant_id, p_booking_id, p_context
    )
    on conflict do nothing;
    return true;
exception
    when others then
        get stacked diagnostics v_constraint = constraint_name;
        -- No partition is a check that no constraint has a name for: nobody has made those of the days to come.
        if sqlstate = '23514' and v_constraint = '' then
            begin
                perform holds.quarantine(
                    p_event_id, p_occurred_at, p_event_type, p_severity, p_source, p_restaurant_id, p_booking_id,
                    p_context);
                return true;
            exception
                when others then
                    null;
            end;
        end if;
        raise warning 'event % was not recorded: % (%)', p_event_type, sqlerrm, sqlstate;
        return false;
end
$$;

create or replace function holds.store_event(
    p_event_id uuid,
    p_occurred_at timestamptz,
    p_event_type text,
    p_severity text,
    p_source text,
    p_restaurant_id uuid,
    p_booking_id uuid,
    p_context jsonb
)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
declare
    v_constraint text;
begin
    -- As a rule the clocks agree, and the function is not called.
    if p_occurred_at not between clock_timestamp() - interval '89 days' and clock_timestamp()
        and not holds.is_in_event_history(p_occurred_at)
    then
        perform holds.quarantine(
            p_event_id, p_occurred_at, p_event_type, p_severity, p_source, p_restaurant_id, p_booking_id, p_context);
        return;
    end if;
    insert into holds.observability_events (
        id, occurred_at, environment, source, event_type, severity, restaurant_id, booking_id, context
    )
    values (
        p_event_id, p_occurred_at, (select environment from holds.settings), p_source, p_event_type, p_severity,
        p_restaurant_id, p_booking_id, p_context
    )
    on conflict do nothing;
exception
    when check_violation then
        get stacked diagnostics v_constraint = constraint_name;
        if v_constraint <> '' then
            raise;
        end if;
        perform holds.quarantine(
            p_event_id, p_occurred_at, p_event_type, p_severity, p_source, p_restaurant_id, p_booking_id, p_context);
end
$$;

-- As in 0007; out of range, the two are stored one by one, which puts them into quarantine.
create or replace function holds.emit_conflict(
    p_event_id uuid,
    p_occurred_at timestamptz,
    p_restaurant_id uuid,
    p_booking_id uuid,
    p_context jsonb,
    p_overlaps jsonb
)
returns boolean
language plpgsql
as $$
begin
    -- As a rule the clocks agree, and the function is not called.
    if p_occurred_at not between clock_timestamp() - interval '89 days' and clock_timestamp()
        and not holds.is_in_event_history(p_occurred_at)
    then
        return false;
    end if;
    insert into holds.observability_events (
        id, occurred_at, environment, source, event_type, severity, restaurant_id, booking_id, context
    )
    select
        holds.derived_event_id(p_event_id, said.outcome), p_occurred_at, (select environment from holds.settings), 'holds.core',
        said.event_type, 'warning', p_restaurant_id, p_booking_id, p_context || said.context
    from (
        values
        (
            'conflict',
            'capacity.hold.strict_conflict',
            jsonb_build_object(
                'conflicts', p_overlaps, 'constraint', 'table_hold_windows_no_overlap', 'sqlstate', '23P01')
        ),
        ('rpc', 'capacity.rpc.conflict', jsonb_build_object('code', '23P01', 'reason', 'HOLD_CONFLICT'))
    ) as said (outcome, event_type, context)
    on conflict do nothing;
    return true;
exception
    when others then
        raise warning 'events of a conflict were not recorded: % (%)', sqlerrm, sqlstate;
        return false;
end
$$;

create function holds.readmit_quarantined_events()
returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_count integer;
begin
    with fitting as (
        delete from holds.quarantined_events
        where
            holds.is_in_event_history(occurred_at)
            and to_regclass(
                'holds.observability_events_' || to_char(occurred_at at time zone 'UTC', 'YYYYMMDD')) is not null
        returning *
    )
    insert into holds.observability_events (
        id, occurred_at, environment, source, event_type, severity, restaurant_id, booking_id, context
    )
    select id, occurred_at, environment, source, event_type, severity, restaurant_id, booking_id, context
    from fitting
    on conflict do nothing;
    get diagnostics v_count = row_count;
    return v_count;
end
$$;

comment on function holds.readmit_quarantined_events() is
'Lets events out of quarantine that the history has a place for by now; returns how many.';

-- Ended windows stay for as long as events do, and a hold for as long as its windows. Looked for without an index: that would
-- cost every release something, and this runs once a day.
create function holds.forget_ended_holds(p_before timestamptz, p_limit integer default 50000)
returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_count integer;
begin
    with over as (
        select windows.hold_id
        from holds.table_hold_windows as windows
        group by windows.hold_id
        -- Of a confirmed one nobody says that its guests have left.
        having max(coalesce(windows.released_at, upper(windows.held_during))) < p_before
        limit p_limit
    ),

    forgotten as (
        select holds.id
        from holds.table_holds as holds
        inner join over on over.hold_id = holds.id
        for update of holds skip locked
    ),

    windows_gone as (
        delete from holds.table_hold_windows as windows
        using forgotten
        where windows.hold_id = forgotten.id
    )

    delete from holds.table_holds as holds
    using forgotten
    where holds.id = forgotten.id;
    get diagnostics v_count = row_count;
    return v_count;
end
$$;

comment on function holds.forget_ended_holds(timestamptz, integer) is
'Deletes holds all of whose windows ended before a moment, at most so many at once; returns how many.';

revoke execute on all functions in schema holds from public;

-- How far `holdwatch events sync` has followed another database's events.
create table holds.event_syncs (
    -- Host, port, database and table; never a password.
    source text primary key,
    -- Where the source counts its arrivals: everything up to here was read.
    position bigint,
    -- Where it has only times: everything up to here was read, and is looked at again as far back as the overlap.
    read_until timestamptz,
    synced_at timestamptz not null default clock_timestamp()
);
alter table holds.event_syncs enable row level security;

comment on table holds.event_syncs is 'How far events of other databases were followed; one row per source.';
