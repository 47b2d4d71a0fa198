-- What people and programs read of flags, and whether the trail and what is in force agree.

create function holds.list_flag_actors()
returns setof holds.flag_actors
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select * from holds.flag_actors order by person, login
$$;

-- Newest first.
create function holds.list_flag_changes(
    p_only_open boolean default true,
    p_flag text default null,
    p_change_id bigint default null,
    p_limit integer default 100
)
returns setof holds.flag_changes
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select *
    from holds.flag_changes
    where
        (p_flag is null or flag = p_flag)
        and (p_change_id is null or id = p_change_id)
        and (
            not p_only_open
            or (state in ('requested', 'approved') and expires_at > holds.flag_now())
            or (is_break_glass and (state = 'applied' or reviewed_by is null))
        )
    order by id desc
    limit p_limit
$$;

-- What is set, and who has set it: a row for each place.
create function holds.list_flag_overrides(p_environment text default null)
returns table (
    environment text, flag text, restaurant_id uuid, version bigint, value jsonb, percentage integer,
    is_break_glass boolean, is_killed boolean, ends_at timestamptz, changed_at timestamptz, changed_by text,
    change_id bigint, requested_by text, approved_by text, reason text
)
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select
        in_force.environment, in_force.flag, in_force.restaurant_id, in_force.version, in_force.value, in_force.percentage,
        in_force.is_break_glass, in_force.is_killed, case when in_force.is_break_glass then changes.expires_at end,
        in_force.changed_at, in_force.changed_by, in_force.change_id, changes.requested_by, changes.approved_by,
        changes.reason
    from holds.flag_values(p_environment) as in_force
    left join holds.flag_changes as changes on changes.id = in_force.change_id
    where in_force.value is not null or in_force.is_killed
    order by in_force.environment, in_force.flag, in_force.restaurant_id nulls first
$$;

-- The trail from a position on, with the text that each entry's hash is over; what is not sealed yet comes last.
create function holds.list_flag_audit(p_after bigint default 0, p_limit integer default null)
returns table (
    id uuid, place bigint, previous_hash bytea, hash bytea, hashed_text text, at timestamptz, environment text,
    flag text, restaurant_id uuid, action text, change_id bigint, revision integer, person text, login text,
    from_setting jsonb, to_setting jsonb, reason text, details jsonb
)
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select
        entries.id, entries.position, entries.previous_hash, entries.hash, holds.flag_audit_text(entries), entries.at,
        entries.environment, entries.flag, entries.restaurant_id, entries.action, entries.change_id, entries.revision,
        entries.person, entries.login, entries.from_setting, entries.to_setting, entries.reason, entries.details
    from holds.flag_audit as entries
    where entries.position is null or entries.position > p_after
    order by entries.position nulls last, entries.at, entries.id
    limit p_limit
$$;

-- Every way in which what is in force is not what the trail's last word says; no row: it is.
create function holds.flag_state_problems()
returns setof text
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    with here as (
        select settings.* from holds.settings
    ),

    spoken as (
        select distinct on (environment, flag, restaurant_id) environment, flag, restaurant_id, to_setting
        from holds.flag_audit
        where action in ('applied', 'break-glass', 'break-glass ended', 'set directly', 'found', 'moved')
        order by environment, flag, restaurant_id, position desc nulls first, at desc
    ),

    switched as (
        select distinct on (environment, flag, restaurant_id) environment, flag, restaurant_id, action = 'killed' as is_killed
        from holds.flag_audit
        where action in ('killed', 'kill switch taken back')
        order by environment, flag, restaurant_id, position desc nulls first, at desc
    ),

    stored as (
        select
            environment, flag, restaurant_id, is_killed,
            case
                when break_glass_value is not null then holds.flag_setting(break_glass_value, break_glass_percentage)
                else holds.flag_setting(value, percentage)
            end as setting
        from holds.flag_overrides
    )

    select format(
        '%s in %s%s is set to %s, and the trail''s last word is %s',
        coalesce(stored.flag, spoken.flag), coalesce(stored.environment, spoken.environment),
        ' for restaurant ' || coalesce(stored.restaurant_id, spoken.restaurant_id),
        holds.flag_text(stored.setting -> 'value', (stored.setting ->> 'percentage')::integer),
        holds.flag_text(spoken.to_setting -> 'value', (spoken.to_setting ->> 'percentage')::integer))
    from spoken
    full join stored
        on stored.environment = spoken.environment and stored.flag = spoken.flag
        and coalesce(stored.restaurant_id::text, '') = coalesce(spoken.restaurant_id::text, '')
    where stored.setting is distinct from spoken.to_setting
    union all
    select format(
        'the kill switch of %s in %s%s is %s, and the trail''s last word is that it is %s',
        coalesce(stored.flag, switched.flag), coalesce(stored.environment, switched.environment),
        ' for restaurant ' || coalesce(stored.restaurant_id, switched.restaurant_id),
        case when stored.is_killed then 'on' else 'not on' end, case when switched.is_killed then 'on' else 'not on' end)
    from switched
    full join stored
        on stored.environment = switched.environment and stored.flag = switched.flag
        and coalesce(stored.restaurant_id::text, '') = coalesce(switched.restaurant_id::text, '')
    where coalesce(stored.is_killed, false) <> coalesce(switched.is_killed, false)
    union all
    select format(
        'holds.strictConflicts is %s %% in the settings, and the flag is set to %s',
        here.strict_percentage,
        holds.flag_text(approved.setting -> 'value', (approved.setting ->> 'percentage')::integer))
    from here
    cross join lateral (
        select holds.flag_set_to(here.environment, 'holds.strictConflicts', null) as setting
    ) as approved
    where here.strict_percentage <> holds.flag_level(
        approved.setting -> 'value', (approved.setting ->> 'percentage')::integer)
    union all
    select format(
        'the kill switch is %s in the settings, and %s as the flag has it',
        case when here.is_strict_conflicts_enabled then 'not on' else 'on' end,
        case when here.is_strict_conflicts_enabled then 'on' else 'not on' end)
    from here
    where here.is_strict_conflicts_enabled = holds.is_flag_killed(here.environment, 'holds.strictConflicts', null)
    union all
    select format(
        'the rate limit is %s in the settings, and the flag is set to %s',
        holds.flag_rate(here.rate_limit_holds, here.rate_limit_seconds, null) #>> '{}', approved.setting ->> 'value')
    from here
    cross join lateral (
        select holds.flag_set_to(here.environment, 'holds.rateLimit', null) as setting
    ) as approved
    where
        holds.flag_rate(here.rate_limit_holds, here.rate_limit_seconds, null)
        is distinct from coalesce(approved.setting -> 'value', '"none"')
    union all
    select format('restaurant %s is set otherwise in the settings than its flags say', coalesce(stored.restaurant_id, own.restaurant_id))
    from here
    cross join lateral (
        select
            in_force.restaurant_id,
            bool_or(case
                when in_force.flag <> 'holds.strictConflicts' then null
                when in_force.is_killed then false
                else in_force.value::boolean
            end) as is_strict,
            max(in_force.value #>> '{}') filter (where in_force.flag = 'holds.rateLimit') as rate
        from holds.flag_values(here.environment) as in_force
        where in_force.restaurant_id is not null and in_force.flag in ('holds.strictConflicts', 'holds.rateLimit')
        group by in_force.restaurant_id
    ) as own
    full join holds.restaurant_settings as stored on stored.restaurant_id = own.restaurant_id
    where
        stored.is_strict is distinct from own.is_strict
        or holds.flag_rate(stored.rate_limit_holds, stored.rate_limit_seconds, stored.restaurant_id) #>> '{}'
        is distinct from own.rate
$$;

-- Events that name another entry of the trail than there is: somebody has written the chain anew, or cut its end off.
create function holds.flag_anchor_problems()
returns setof text
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select format(
        'an event of %s names entry %s of the trail, which %s',
        to_char(events.occurred_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'), events.context ->> 'auditPosition',
        case when entries.position is null then 'is not there' else 'has another hash' end)
    from holds.observability_events as events
    left join holds.flag_audit as entries on entries.position::text = events.context ->> 'auditPosition'
    where
        events.event_type = 'capacity.flags.changed'
        -- Not one that came from another database.
        and events.context ->> 'database' = holds.database_id()
        and events.context ? 'auditHash'
        and encode(entries.hash, 'hex') is distinct from events.context ->> 'auditHash'
    order by events.occurred_at
$$;

comment on function holds.flag_state_problems() is
'Every way in which the flags that are in force differ from the trail''s last word. No row: they do not.';

revoke execute on all functions in schema holds from public;
grant execute on function holds.list_flag_actors() to holds_operator;
grant execute on function holds.list_flag_changes(boolean, text, bigint, integer) to holds_operator;
grant execute on function holds.list_flag_overrides(text) to holds_operator;
grant execute on function holds.list_flag_audit(bigint, integer) to holds_operator;
grant execute on function holds.flag_state_problems() to holds_operator;
grant execute on function holds.flag_anchor_problems() to holds_operator;
