-- What alerts are judged by: the evaluation period, the objective, and the maintenance that is known of.

alter table holds.settings
add column alert_period_seconds integer not null default 300,
add column success_objective double precision not null default 0.95,
-- A part of a minute, or whole minutes that a day is made of: so that periods and minutes have common borders.
add constraint settings_alert_period check (
    alert_period_seconds between 5 and 3600
    and case
        when alert_period_seconds < 60 then 60 % alert_period_seconds = 0
        else alert_period_seconds % 60 = 0 and 86400 % alert_period_seconds = 0
    end
),
add constraint settings_success_objective check (success_objective > 0 and success_objective < 1);

comment on column holds.settings.alert_period_seconds is 'How often alerts are evaluated, in seconds.';
comment on column holds.settings.success_objective is
'Share of requests that must get their tables, over 30 days; what is missing to 1 is the error budget.';

-- Times in which something is known to be out of order: alerts about it are for nobody. Once, or every week on some days.
create table holds.maintenance_windows (
    id uuid primary key default gen_random_uuid(),
    environment text not null,
    -- NULL: the whole environment.
    restaurant_id uuid,
    -- None begins before this; one that comes once begins then.
    starts_at timestamptz not null,
    -- Of hours and less alone: how long a day is depends on who asks.
    lasts interval not null,
    -- Of one that recurs: ISO days of the week (1 is Monday), and when on those days it begins, by the clocks of time_zone.
    weekdays smallint[],
    begins_at time,
    time_zone text not null default 'UTC',
    -- None begins, and a running one ends, when this comes; NULL: it goes on.
    ends_at timestamptz,
    reason text not null,
    created_by text not null default session_user,
    created_at timestamptz not null default clock_timestamp(),
    -- Who ended it before its time.
    ended_by text,
    constraint maintenance_windows_known_environment check (environment in ('dev', 'staging', 'prod')),
    constraint maintenance_windows_lasts check (lasts > interval '0' and lasts <= interval '7 days'),
    constraint maintenance_windows_weekdays check (
        cardinality(weekdays) > 0 and weekdays <@ array[1, 2, 3, 4, 5, 6, 7]::smallint[]
    ),
    constraint maintenance_windows_recur check ((weekdays is null) = (begins_at is null)),
    constraint maintenance_windows_reason check (reason !~ '^\s*$')
);
alter table holds.maintenance_windows enable row level security;

comment on table holds.maintenance_windows is 'Known maintenance, which mutes alerts; never that of double bookings.';

-- Every stretch of maintenance that lies, if only in part, between two times. A weekly one keeps its hour when clocks change:
-- an hour that they skip begins as much later, and of one that comes twice it is the second. It lasts as long as ever.
create function holds.maintenance_occurrences(p_from timestamptz, p_until timestamptz)
returns table (
    window_id uuid, environment text, restaurant_id uuid, starts_at timestamptz, ends_at timestamptz, reason text
)
language sql
stable
security definer
-- What the planner is to reckon with, where it would take a thousand.
rows 10
set search_path = pg_catalog, pg_temp
as $$
    select
        windows.id,
        windows.environment,
        windows.restaurant_id,
        begun.starts_at,
        least(begun.starts_at + windows.lasts, windows.ends_at),
        windows.reason
    from holds.maintenance_windows as windows
    cross join lateral (
        select windows.starts_at
        where windows.weekdays is null
        union all
        select (days.day + windows.begins_at) at time zone windows.time_zone
        -- A day to spare on both sides: where clocks go back at midnight, what comes later can have the earlier date.
        from generate_series(
            date_trunc('day', greatest(windows.starts_at, p_from - windows.lasts) at time zone windows.time_zone)
            - interval '1 day',
            least(windows.ends_at, p_until) at time zone windows.time_zone + interval '1 day',
            interval '1 day'
        ) as days (day)
        where extract(isodow from days.day) = any(windows.weekdays)
    ) as begun
    where
        begun.starts_at >= windows.starts_at
        and begun.starts_at < p_until
        and begun.starts_at + windows.lasts > p_from
        and (windows.ends_at is null or windows.ends_at > greatest(begun.starts_at, p_from))
$$;

create function holds.add_maintenance_window(
    p_environment text,
    p_starts_at timestamptz,
    p_lasts interval,
    p_reason text,
    p_restaurant_id uuid default null,
    p_weekdays smallint[] default null,
    p_time_zone text default 'UTC',
    p_ends_at timestamptz default null,
    p_begins_at time default null
)
returns uuid
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_id uuid;
begin
    if not exists (select from pg_timezone_names where name = p_time_zone) then
        raise exception 'There is no time zone %: write it as Europe/Berlin.', p_time_zone using errcode = '22023';
    end if;
    if p_starts_at is null or not isfinite(p_starts_at) or p_ends_at <= p_starts_at then
        raise exception 'Maintenance begins at a time, and ends after that.' using errcode = '22023';
    end if;
    insert into holds.maintenance_windows (
        environment, restaurant_id, starts_at, lasts, weekdays, begins_at, time_zone, ends_at, reason, created_by
    )
    values (
        coalesce(p_environment, (select settings.environment from holds.settings)),
        p_restaurant_id,
        p_starts_at,
        make_interval(secs => extract(epoch from p_lasts)::double precision),
        p_weekdays,
        case when p_weekdays is null then p_begins_at else coalesce(p_begins_at, (p_starts_at at time zone p_time_zone)::time) end,
        p_time_zone,
        p_ends_at,
        p_reason,
        session_user
    )
    returning id into v_id;
    return v_id;
end
$$;

-- Ends it now: nothing of it is taken back, nothing more of it comes. Returns whether there was anything to end.
create function holds.end_maintenance_window(p_window_id uuid)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if not exists (select from holds.maintenance_windows where id = p_window_id) then
        raise exception 'There is no maintenance window %.', p_window_id using errcode = '22023';
    end if;
    update holds.maintenance_windows
    set ends_at = clock_timestamp(), ended_by = session_user
    where
        id = p_window_id
        and coalesce(ends_at, 'infinity') > clock_timestamp()
        and (weekdays is not null or starts_at + lasts > clock_timestamp());
    return found;
end
$$;

-- One row per window: those that are over are left out unless asked for.
create function holds.list_maintenance_windows(p_with_ended boolean default false)
returns table (
    id uuid, environment text, restaurant_id uuid, starts_at timestamptz, lasts interval, weekdays smallint[],
    begins_at time, time_zone text, ends_at timestamptz, reason text, created_by text, created_at timestamptz,
    ended_by text, is_over boolean, active_until timestamptz, next_starts_at timestamptz
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select
        windows.id, windows.environment, windows.restaurant_id, windows.starts_at, windows.lasts, windows.weekdays,
        windows.begins_at, windows.time_zone, windows.ends_at, windows.reason, windows.created_by, windows.created_at,
        windows.ended_by, over.is_over, occurring.active_until, occurring.next_starts_at
    from (select statement_timestamp() as at) as now
    cross join holds.maintenance_windows as windows
    cross join lateral (
        select
            coalesce(windows.ends_at <= now.at, false)
            or windows.weekdays is null and windows.starts_at + windows.lasts <= now.at as is_over
    ) as over
    cross join lateral (
        select
            max(occurrences.ends_at) filter (where occurrences.starts_at <= now.at) as active_until,
            min(occurrences.starts_at) filter (where occurrences.starts_at > now.at) as next_starts_at
        -- A week, and a day for clocks that change, hold one of whatever comes every week.
        from holds.maintenance_occurrences(now.at, greatest(now.at, windows.starts_at) + interval '8 days') as occurrences
        where occurrences.window_id = windows.id
    ) as occurring
    where p_with_ended or not over.is_over
    order by windows.starts_at, windows.id
$$;

create function holds.set_alert_period(p_seconds integer)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    update holds.settings set alert_period_seconds = p_seconds;
end
$$;

revoke execute on function holds.maintenance_occurrences(timestamptz, timestamptz) from public;
revoke execute on function holds.add_maintenance_window(
    text, timestamptz, interval, text, uuid, smallint[], text, timestamptz, time
) from public;
revoke execute on function holds.end_maintenance_window(uuid) from public;
revoke execute on function holds.list_maintenance_windows(boolean) from public;
revoke execute on function holds.set_alert_period(integer) from public;
-- Called by the views of alerts, which the reader reads.
grant execute on function holds.maintenance_occurrences(timestamptz, timestamptz) to analytics_reader, holds_operator;
grant execute on function holds.add_maintenance_window(
    text, timestamptz, interval, text, uuid, smallint[], text, timestamptz, time
) to holds_operator;
grant execute on function holds.end_maintenance_window(uuid) to holds_operator;
grant execute on function holds.list_maintenance_windows(boolean) to holds_operator;
grant execute on function holds.set_alert_period(integer) to holds_operator;

-- Few among many, and read by every dashboard: what people did to the system.
create index observability_events_changes on holds.observability_events (occurred_at)
where event_type in (
    'deploy.finished', 'capacity.enforcement.changed', 'capacity.flags.changed', 'capacity.rollout.advanced',
    'capacity.rollout.blocked'
);

-- Fewer still, and asked for at every scrape: whether a failure stands, which its successes need not be read for.
create index observability_events_failed_runs on holds.observability_events (occurred_at)
where event_type = 'pipeline.run.failed';
