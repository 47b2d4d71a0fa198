-- The flags that the database alone decides, holds.strictConflicts and holds.rateLimit: the settings are what the overrides
-- say, brought there by the functions that drain, refuse and grandfather. Those are the owner's alone now; people ask for a
-- change (0020), and what the owner sets directly leaves the same trail. The kill switch is the operators' as it was.
--
-- Locks are taken in this order, and the rules of 0004 follow: the flags' own, the drain of creates, the override's row, the
-- settings' row. The kill switch takes the last two alone.

-- What 0009, 0012 and 0006 call set_…: the work, without the trail.
alter function holds.set_hold_conflict_enforcement(boolean, text, text) rename to put_hold_conflict_enforcement;
alter function holds.put_hold_conflict_enforcement(boolean, text, text) security invoker;
alter function holds.put_hold_conflict_enforcement(boolean, text, text) reset lock_timeout;
alter function holds.set_hold_conflict_rollout(integer, text, text) rename to put_hold_conflict_rollout;
alter function holds.put_hold_conflict_rollout(integer, text, text) security invoker;
alter function holds.set_hold_rate_limit(integer, double precision, uuid) rename to put_hold_rate_limit;
alter function holds.put_hold_rate_limit(integer, double precision, uuid) security invoker;
revoke execute on function holds.put_hold_conflict_enforcement(boolean, text, text) from holds_operator;
revoke execute on function holds.put_hold_conflict_rollout(integer, text, text) from holds_operator;
revoke execute on function holds.put_hold_rate_limit(integer, double precision, uuid) from holds_operator;
drop function holds.set_restaurant_enforcement(uuid, boolean, text, text);

-- As in 0012.
create function holds.put_restaurant_enforcement(
    p_restaurant_id uuid, p_is_strict boolean, p_reason text, p_on_overlap text
)
returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
declare
    v_grandfathered bigint := 0;
begin
    perform holds.require_read_committed();
    perform holds.require_overlaps_choice(p_on_overlap);
    if p_restaurant_id is null then
        raise exception 'name a restaurant' using errcode = '22023';
    end if;
    if p_is_strict is distinct from false then
        perform holds.drain_creates();
    end if;
    insert into holds.restaurant_settings as stored (restaurant_id, is_strict)
    values (p_restaurant_id, p_is_strict)
    on conflict (restaurant_id) do update
    set is_strict = excluded.is_strict, updated_at = clock_timestamp();
    if p_is_strict is distinct from false then
        v_grandfathered := holds.settle_overlaps(p_on_overlap, p_restaurant_id);
    end if;
    perform holds.emit(
        gen_random_uuid(), clock_timestamp(), 'capacity.enforcement.changed', 'info', 'holds.core', p_restaurant_id, null,
        jsonb_build_object(
            'isStrict', p_is_strict, 'reason', p_reason, 'changedBy', session_user,
            'grandfatheredOverlaps', v_grandfathered)
    );
    return holds.is_hold_strict_for(p_restaurant_id);
end
$$;

-- What is set for a place, the kill switch aside: its override, as a setting; NULL where it has none.
create function holds.flag_override(p_environment text, p_flag text, p_restaurant_id uuid)
returns jsonb
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select holds.flag_setting(stored.value, stored.percentage)
    from holds.flag_values(p_environment) as stored
    where stored.flag = p_flag and stored.restaurant_id is not distinct from p_restaurant_id
$$;

-- The same, and for an environment without an override the definition's default.
create function holds.flag_set_to(p_environment text, p_flag text, p_restaurant_id uuid)
returns jsonb
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
        holds.flag_override(p_environment, p_flag, p_restaurant_id),
        case
            when p_restaurant_id is null then (
                select definitions.definition -> 'default' -> p_environment
                from holds.flag_definitions as definitions
                where definitions.flag = p_flag
            )
        end
    )
$$;

create function holds.is_flag_killed(p_environment text, p_flag text, p_restaurant_id uuid)
returns boolean
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select coalesce((
        select stored.is_killed
        from holds.flag_overrides as stored
        where stored.environment = p_environment and stored.flag = p_flag
            and stored.restaurant_id is not distinct from p_restaurant_id
    ), false)
$$;

-- Brings what is set for a place into the settings that the functions of holds read. Other flags are read where they are.
create function holds.materialise_flag(p_flag text, p_restaurant_id uuid, p_reason text, p_on_overlap text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_environment text := (select environment from holds.settings);
    v_setting jsonb := holds.flag_set_to(v_environment, p_flag, p_restaurant_id);
    v_rate text := nullif(v_setting ->> 'value', 'none');
begin
    if p_flag = 'holds.rateLimit' then
        perform holds.put_hold_rate_limit(
            split_part(v_rate, '/', 1)::integer, split_part(v_rate, '/', 2)::double precision, p_restaurant_id);
    elsif p_flag = 'holds.strictConflicts' and p_restaurant_id is null then
        -- The kill switch is a setting of its own, above the share that is to be strict.
        perform holds.put_hold_conflict_rollout(
            coalesce(holds.flag_level(v_setting -> 'value', (v_setting ->> 'percentage')::integer), 100)::integer,
            p_reason, p_on_overlap);
    elsif p_flag = 'holds.strictConflicts' then
        perform holds.put_restaurant_enforcement(
            p_restaurant_id,
            case
                when holds.is_flag_killed(v_environment, p_flag, p_restaurant_id) then false
                else (v_setting ->> 'value')::boolean
            end,
            p_reason, p_on_overlap);
    end if;
end
$$;

-- Stores what the owner has set directly, and says so in the trail.
create function holds.note_direct_setting(
    p_flag text, p_restaurant_id uuid, p_value jsonb, p_percentage integer, p_reason text
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_environment text := (select environment from holds.settings);
    v_from jsonb := holds.flag_override(v_environment, p_flag, p_restaurant_id);
begin
    if v_environment is null then
        return;
    end if;
    insert into holds.flag_overrides as stored (
        environment, flag, restaurant_id, value, percentage, changed_at, changed_by
    )
    values (v_environment, p_flag, p_restaurant_id, p_value, p_percentage, holds.flag_now(), session_user)
    on conflict on constraint flag_overrides_place do update
    set version = stored.version + 1, value = excluded.value, percentage = excluded.percentage, change_id = null,
        break_glass_value = null, break_glass_percentage = null, break_glass_change_id = null, break_glass_ends_at = null,
        changed_at = excluded.changed_at, changed_by = excluded.changed_by
    where (stored.value, stored.percentage, stored.break_glass_value)
        is distinct from (excluded.value, excluded.percentage, null::jsonb);
    if found then
        perform holds.note_flag(
            v_environment, p_flag, p_restaurant_id, 'set directly', null, v_from,
            holds.flag_override(v_environment, p_flag, p_restaurant_id), p_reason);
        perform holds.tell_flag_contradictions(v_environment);
    end if;
end
$$;

create function holds.set_hold_conflict_rollout(
    percentage integer, reason text default null, on_overlap text default 'refuse'
)
returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
begin
    perform holds.lock_flags();
    perform holds.drain_creates();
    perform holds.note_direct_setting(
        'holds.strictConflicts', null, to_jsonb(percentage > 0), case when percentage between 1 and 99 then percentage end,
        reason);
    return holds.put_hold_conflict_rollout(percentage, reason, on_overlap);
end
$$;

comment on function holds.set_hold_conflict_rollout(integer, text, text) is
'The owner''s, without approval, on the trail: of a hundred restaurants, how many are strict while the switch is on.';

create function holds.set_restaurant_enforcement(
    restaurant_id uuid, is_strict boolean, reason text default null, on_overlap text default 'refuse'
)
returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
begin
    perform holds.lock_flags();
    perform holds.drain_creates();
    if restaurant_id is not null then
        perform holds.note_direct_setting('holds.strictConflicts', restaurant_id, to_jsonb(is_strict), null, reason);
    end if;
    return holds.put_restaurant_enforcement(restaurant_id, is_strict, reason, on_overlap);
end
$$;

comment on function holds.set_restaurant_enforcement(uuid, boolean, text, text) is
'The owner''s: makes one restaurant strict or not, whatever its bucket; NULL goes back to the bucket. On the trail.';

create function holds.set_hold_rate_limit(
    p_max_holds integer,
    p_per_seconds double precision default 60,
    p_restaurant_id uuid default null
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
begin
    perform holds.lock_flags();
    perform holds.note_direct_setting(
        'holds.rateLimit', p_restaurant_id, holds.flag_rate(p_max_holds, p_per_seconds, p_restaurant_id), null, null);
    perform holds.put_hold_rate_limit(p_max_holds, p_per_seconds, p_restaurant_id);
end
$$;

comment on function holds.set_hold_rate_limit(integer, double precision, uuid) is
'The owner''s: most holds that a restaurant may place in a time; NULL takes it away. Without approval, on the trail.';

-- A limit as the flag has it; NULL for a restaurant that has none of its own.
create function holds.flag_rate(p_max_holds integer, p_per_seconds double precision, p_restaurant_id uuid)
returns jsonb
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when p_max_holds is not null
            then to_jsonb(p_max_holds || '/' || trim_scale(greatest(round(p_per_seconds::numeric, 3), 0.001)))
        when p_restaurant_id is null then to_jsonb('none'::text)
    end
$$;

-- Off waits for nobody: not for creates, not for the trail (its entry is sealed by whoever comes next), and for a change of
-- the same settings no longer than that may sit idle in its transaction (lock_flags says 2 s).
create function holds.set_hold_conflict_enforcement(
    enabled boolean, reason text default null, on_overlap text default 'refuse'
)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
declare
    v_environment text := (select environment from holds.settings);
    v_was boolean;
begin
    if enabled is null then
        raise exception 'enabled must be true or false' using errcode = '22023';
    end if;
    if v_environment is null then
        raise exception 'the settings of this database are missing; run: holdwatch db migrate' using errcode = '55000';
    end if;
    if enabled then
        perform holds.lock_flags();
        perform holds.drain_creates();
    else
        perform set_config('lock_timeout', '4s', true);
    end if;
    insert into holds.flag_overrides as stored (environment, flag, is_killed, changed_at, changed_by)
    values (v_environment, 'holds.strictConflicts', not enabled, holds.flag_now(), session_user)
    on conflict on constraint flag_overrides_place do update
    set version = stored.version + 1, is_killed = excluded.is_killed, changed_at = excluded.changed_at,
        changed_by = excluded.changed_by
    where stored.is_killed <> excluded.is_killed;
    v_was := holds.is_holds_strict_conflicts_enabled();
    perform holds.put_hold_conflict_enforcement(enabled, reason, on_overlap);
    if v_was <> enabled then
        perform holds.note_kill_switch(v_environment, null, enabled, reason);
    end if;
    return enabled;
end
$$;

comment on function holds.set_hold_conflict_enforcement(boolean, text, text) is
'The kill switch. Off takes effect at once. On brings back what is approved: it waits for creates in flight; live '
'overlaps made meanwhile refuse it, or are grandfathered: they stay, later holds are refused beside them.';

-- The kill switch of one restaurant; on brings back what is approved for it.
create function holds.switch_restaurant_enforcement(
    restaurant_id uuid, enabled boolean, reason text default null, on_overlap text default 'refuse'
)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
declare
    v_environment text := (select environment from holds.settings);
begin
    if enabled is null or restaurant_id is null then
        raise exception 'enabled must be true or false, and restaurant_id a restaurant' using errcode = '22023';
    end if;
    if enabled then
        perform holds.lock_flags();
        perform holds.drain_creates();
    else
        perform set_config('lock_timeout', '4s', true);
    end if;
    insert into holds.flag_overrides as stored (environment, flag, restaurant_id, is_killed, changed_at, changed_by)
    select
        v_environment, 'holds.strictConflicts', switch_restaurant_enforcement.restaurant_id, not enabled, holds.flag_now(),
        session_user
    where not enabled or exists (
        select from holds.flag_overrides as known
        where known.environment = v_environment and known.flag = 'holds.strictConflicts'
            and known.restaurant_id = switch_restaurant_enforcement.restaurant_id
    )
    on conflict on constraint flag_overrides_place do update
    set version = stored.version + 1, is_killed = excluded.is_killed, changed_at = excluded.changed_at,
        changed_by = excluded.changed_by
    where stored.is_killed <> excluded.is_killed;
    if found then
        perform holds.materialise_flag(
            'holds.strictConflicts', switch_restaurant_enforcement.restaurant_id, reason, on_overlap);
        perform holds.note_kill_switch(v_environment, switch_restaurant_enforcement.restaurant_id, enabled, reason);
    end if;
    return holds.is_hold_strict_for(switch_restaurant_enforcement.restaurant_id);
end
$$;

comment on function holds.switch_restaurant_enforcement(uuid, boolean, text, text) is
'The kill switch of one restaurant. Off takes effect at once; on brings back what is approved for it, or its bucket.';

create function holds.note_kill_switch(p_environment text, p_restaurant_id uuid, p_enabled boolean, p_reason text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_off jsonb := holds.flag_setting('false', null);
    v_approved jsonb := holds.flag_override(p_environment, 'holds.strictConflicts', p_restaurant_id);
begin
    perform holds.note_flag(
        p_environment, 'holds.strictConflicts', p_restaurant_id,
        case when p_enabled then 'kill switch taken back' else 'killed' end,
        (select actors.person from holds.flag_actors as actors where actors.login = session_user),
        case when p_enabled then v_off else v_approved end,
        case when p_enabled then v_approved else v_off end,
        p_reason,
        p_waits => p_enabled
    );
    perform holds.tell_flag_contradictions(p_environment);
end
$$;

-- What is set already, before there were flags: it stays, whatever the defaults are.
do $$
declare
    v_found record;
    v_setting jsonb;
begin
    for v_found in
        select
            settings.environment,
            places.flag,
            places.restaurant_id,
            places.value,
            places.percentage,
            places.is_killed
        from holds.settings
        cross join lateral (
            select
                'holds.strictConflicts' as flag,
                null::uuid as restaurant_id,
                to_jsonb(settings.strict_percentage > 0) as value,
                case when settings.strict_percentage between 1 and 99 then settings.strict_percentage end as percentage,
                not settings.is_strict_conflicts_enabled as is_killed
            union all
            select
                'holds.rateLimit', null, holds.flag_rate(settings.rate_limit_holds, settings.rate_limit_seconds, null),
                null, false
            where settings.rate_limit_holds is not null
            union all
            select 'holds.strictConflicts', stored.restaurant_id, to_jsonb(stored.is_strict), null, false
            from holds.restaurant_settings as stored
            where stored.is_strict is not null
            union all
            select
                'holds.rateLimit', stored.restaurant_id,
                holds.flag_rate(stored.rate_limit_holds, stored.rate_limit_seconds, stored.restaurant_id), null, false
            from holds.restaurant_settings as stored
            where stored.rate_limit_holds is not null
        ) as places
    loop
        v_setting := holds.flag_setting(v_found.value, v_found.percentage);
        insert into holds.flag_overrides (environment, flag, restaurant_id, value, percentage, is_killed, changed_by)
        values (
            v_found.environment, v_found.flag, v_found.restaurant_id, v_found.value, v_found.percentage, v_found.is_killed,
            session_user
        );
        perform holds.note_flag(
            v_found.environment, v_found.flag, v_found.restaurant_id, 'found', null, null, v_setting,
            'set before there were flags');
        if v_found.is_killed then
            perform holds.note_flag(
                v_found.environment, v_found.flag, v_found.restaurant_id, 'killed', null, v_setting,
                holds.flag_setting('false', null), 'switched off before there were flags');
        end if;
    end loop;
end
$$;

-- Lets the hold tables count as those of another environment. What the database decides goes with them.
create function holds.change_environment(p_environment text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_was text := (select environment from holds.settings);
    v_moved record;
begin
    if v_was = p_environment then
        return;
    end if;
    perform holds.lock_flags();
    update holds.settings set environment = p_environment;
    for v_moved in
        select
            coalesce(here.flag, there.flag) as flag,
            coalesce(here.restaurant_id, there.restaurant_id) as restaurant_id,
            here.value,
            here.percentage,
            coalesce(here.is_killed, false) as is_killed,
            coalesce(there.is_killed, false) as was_killed
        from (
            select * from holds.flag_values(v_was) where flag in ('holds.strictConflicts', 'holds.rateLimit')
        ) as here
        full join (
            select * from holds.flag_values(p_environment) where flag in ('holds.strictConflicts', 'holds.rateLimit')
        ) as there on there.flag = here.flag and there.restaurant_id is not distinct from here.restaurant_id
    loop
        insert into holds.flag_overrides as stored (
            environment, flag, restaurant_id, value, percentage, is_killed, changed_at, changed_by
        )
        values (
            p_environment, v_moved.flag, v_moved.restaurant_id, v_moved.value, v_moved.percentage, v_moved.is_killed,
            holds.flag_now(), session_user
        )
        on conflict on constraint flag_overrides_place do update
        set version = stored.version + 1, value = excluded.value, percentage = excluded.percentage,
            is_killed = excluded.is_killed, change_id = null, break_glass_value = null, break_glass_percentage = null,
            break_glass_change_id = null, break_glass_ends_at = null, changed_at = excluded.changed_at,
            changed_by = excluded.changed_by;
        perform holds.note_flag(
            p_environment, v_moved.flag, v_moved.restaurant_id, 'moved', null, null,
            holds.flag_override(p_environment, v_moved.flag, v_moved.restaurant_id),
            format('the database serves %s, after %s', p_environment, v_was));
        if v_moved.is_killed <> v_moved.was_killed then
            perform holds.note_kill_switch(
                p_environment, v_moved.restaurant_id, not v_moved.is_killed,
                format('the database serves %s, after %s', p_environment, v_was));
        end if;
    end loop;
end
$$;

revoke execute on all functions in schema holds from public;
grant execute on function holds.set_hold_conflict_enforcement(boolean, text, text) to holds_operator;
grant execute on function holds.switch_restaurant_enforcement(uuid, boolean, text, text) to holds_operator;
