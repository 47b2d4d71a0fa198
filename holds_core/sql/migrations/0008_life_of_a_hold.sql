-- The life of a hold once it is placed: confirm, extend, move, release, expire.

create function holds.confirm_table_hold(
    p_hold_id uuid,
    p_event_id uuid default gen_random_uuid(),
    p_occurred_at timestamptz default clock_timestamp(),
    p_lock_timeout_ms integer default 2000
)
returns holds.table_hold_result
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = 2000
as $$
declare
    v_hold holds.table_holds;
begin
    v_hold := holds.lock_live_hold(p_hold_id, p_lock_timeout_ms);
    if v_hold.status is distinct from 'held' then
        return holds.ended_result_of(v_hold);
    end if;

    update holds.table_hold_windows set expires_at = null where hold_id = p_hold_id and released_at is null;
    update holds.table_holds
    set status = 'confirmed', confirmed_at = clock_timestamp(), expires_at = null
    where id = p_hold_id
    returning * into v_hold;
    return holds.result_of(v_hold, 'confirmed', holds.emit(
        p_event_id, p_occurred_at, 'capacity.hold.confirmed', 'info', 'holds.core', v_hold.restaurant_id,
        v_hold.booking_id,
        v_hold.event_context || holds.hold_context(v_hold.id, v_hold.table_ids, v_hold.held_during)
    ));
end
$$;

comment on function holds.confirm_table_hold(uuid, uuid, timestamptz, integer) is
'Makes a hold lasting, unless it has expired. Confirming twice is harmless.';

create function holds.extend_table_hold(
    p_hold_id uuid,
    p_ttl_seconds double precision,
    p_event_id uuid default gen_random_uuid(),
    p_occurred_at timestamptz default clock_timestamp(),
    p_lock_timeout_ms integer default 2000
)
returns holds.table_hold_result
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = 2000
as $$
declare
    v_hold holds.table_holds;
begin
    if not coalesce(p_ttl_seconds > 0 and p_ttl_seconds <= 86400, false) then
        raise exception 'a hold''s time to live must be more than 0 and at most 86,400 seconds' using errcode = '22023';
    end if;
    v_hold := holds.lock_live_hold(p_hold_id, p_lock_timeout_ms);
    if v_hold.status is distinct from 'held' then
        return holds.ended_result_of(v_hold);
    end if;
    if holds.is_recorded(p_event_id, p_occurred_at) then
        return holds.result_of(v_hold, 'replayed', true);
    end if;

    -- Never shorter than it is: extending is for those who need longer.
    update holds.table_holds
    set expires_at = greatest(expires_at, clock_timestamp() + make_interval(secs => p_ttl_seconds))
    where id = p_hold_id
    returning * into v_hold;
    update holds.table_hold_windows
    set expires_at = v_hold.expires_at
    where hold_id = p_hold_id and released_at is null;
    return holds.result_of(v_hold, 'extended', holds.emit(
        p_event_id, p_occurred_at, 'capacity.hold.extended', 'info', 'holds.core', v_hold.restaurant_id,
        v_hold.booking_id,
        v_hold.event_context || holds.hold_context(v_hold.id, v_hold.table_ids, v_hold.held_during)
        || jsonb_build_object('expiresAt', v_hold.expires_at)
    ));
end
$$;

comment on function holds.extend_table_hold(uuid, double precision, uuid, timestamptz, integer) is
'Lets a hold last at least so many seconds from now. A confirmed one lasts anyway; one that ended stays ended.';

create function holds.move_table_hold(
    p_hold_id uuid,
    p_table_ids uuid[] default null,
    p_starts_at timestamptz default null,
    p_ends_at timestamptz default null,
    p_event_id uuid default gen_random_uuid(),
    p_occurred_at timestamptz default clock_timestamp(),
    p_lock_timeout_ms integer default 2000
)
returns holds.table_hold_result
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = 2000
as $$
declare
    v_began_at timestamptz := clock_timestamp();
    v_before holds.table_holds;
    v_hold holds.table_holds;
    v_is_strict boolean;
    v_table_id uuid;
    v_step record;
    v_expired_hold_ids uuid[] := '{}';
    v_shadowed uuid[] := '{}';
    v_overlaps jsonb;
    v_refusal text;
    v_context jsonb;
    v_event_recorded boolean;
    v_result holds.table_hold_result;
begin
    perform holds.require_read_committed();
    if p_table_ids is not null
        and (cardinality(p_table_ids) not between 1 and 50 or array_position(p_table_ids, null) is not null)
    then
        raise exception 'a hold needs 1 to 50 tables, none of them NULL' using errcode = '22023';
    end if;
    perform set_config('lock_timeout', p_lock_timeout_ms::text, true);
    if not holds.enter_enforcement() then
        raise exception 'a switch of enforcement is in the way' using errcode = '55P03';
    end if;
    v_before := holds.lock_live_hold(p_hold_id, p_lock_timeout_ms);
    if v_before.id is null or v_before.status not in ('held', 'confirmed') then
        return holds.ended_result_of(v_before);
    end if;
    if holds.is_recorded(p_event_id, p_occurred_at) then
        return holds.result_of(v_before, 'replayed', true);
    end if;

    v_hold := v_before;
    select coalesce(array_agg(distinct asked.table_id order by asked.table_id), v_before.table_ids) into v_hold.table_ids
    from unnest(p_table_ids) as asked (table_id);
    if not coalesce(
        coalesce(p_starts_at, lower(v_before.held_during)) < coalesce(p_ends_at, upper(v_before.held_during))
        and isfinite(coalesce(p_starts_at, now())) and isfinite(coalesce(p_ends_at, now())), false)
    then
        raise exception 'a hold''s window must begin before it ends, and both must be finite' using errcode = '22023';
    end if;
    v_hold.held_during := tstzrange(
        coalesce(p_starts_at, lower(v_before.held_during)), coalesce(p_ends_at, upper(v_before.held_during)), '[)');
    v_is_strict := holds.is_hold_strict_for(v_hold.restaurant_id);

    begin
        v_overlaps := holds.overlaps_json(v_hold.table_ids, v_hold.held_during, v_hold.owner_id);
        if v_is_strict and v_overlaps <> '[]' then
            raise exception sqlstate 'HW001';
        end if;
        -- Its old tables and its new ones in one order (rule 3): two holds that change places do not deadlock.
        for v_table_id in
            select distinct tables.table_id
            from unnest(v_before.table_ids || v_hold.table_ids) as tables (table_id)
            order by 1
        loop
            perform set_config('lock_timeout', greatest(1,
                p_lock_timeout_ms - 1000 * extract(epoch from clock_timestamp() - v_began_at))::integer::text, true);
            update holds.table_hold_windows
            set released_at = clock_timestamp()
            where hold_id = p_hold_id and table_id = v_table_id and released_at is null;
            continue when not v_table_id = any(v_hold.table_ids);
            v_step := holds.take_table(v_hold, v_table_id, v_is_strict);
            if not v_step.is_taken then
                raise exception sqlstate 'HW001';
            end if;
            v_expired_hold_ids := v_expired_hold_ids || v_step.expired_hold_ids;
            if not v_step.is_enforced then
                v_shadowed := v_shadowed || v_table_id;
            end if;
        end loop;
        update holds.table_holds
        set table_ids = v_hold.table_ids, held_during = v_hold.held_during,
            is_enforced = v_shadowed = '{}' and v_overlaps = '[]'
        where id = p_hold_id
        returning * into v_hold;
        perform holds.mark_expired(v_expired_hold_ids);
    exception
        when sqlstate 'HW001' then
            v_refusal := 'conflict';
        when lock_not_available then
            v_refusal := 'cutoff';
    end;

    v_context := v_hold.event_context || holds.hold_context(v_hold.id, v_hold.table_ids, v_hold.held_during)
        || jsonb_build_object(
            'movedFrom', holds.hold_context(v_hold.id, v_before.table_ids, v_before.held_during) - 'holdId');
    if v_refusal is not null then
        if v_refusal = 'conflict' and v_overlaps = '[]' then
            v_overlaps := holds.named_overlaps(v_hold.table_ids, v_hold.held_during, v_hold.owner_id, v_table_id);
        end if;
        v_result := holds.refusal_of(
            v_refusal, p_event_id, p_occurred_at, v_before.restaurant_id, v_before.booking_id, v_context, v_overlaps);
        v_result.hold_id := p_hold_id;
        v_result.status := v_before.status;
        return v_result;
    end if;

    v_event_recorded := holds.emit(
        p_event_id, p_occurred_at, 'capacity.hold.moved', 'info', 'holds.core', v_hold.restaurant_id, v_hold.booking_id,
        v_context || jsonb_build_object('isEnforced', v_hold.is_enforced));
    if not v_hold.is_enforced then
        if v_overlaps = '[]' then
            v_overlaps := holds.named_overlaps(v_shadowed, v_hold.held_during, v_hold.owner_id, v_shadowed[1]);
        end if;
        v_event_recorded := holds.emit(
            holds.derived_event_id(p_event_id, 'shadow'), p_occurred_at, 'capacity.hold.strict_conflict', 'warning',
            'holds.core', v_hold.restaurant_id, v_hold.booking_id,
            v_context || jsonb_build_object(
                'isShadow', true, 'conflicts', v_overlaps, 'shadowedTableIds', to_jsonb(v_shadowed),
                'constraint', 'table_hold_windows_no_overlap', 'sqlstate', '23P01')
        ) and v_event_recorded;
    end if;
    perform holds.promote_windows(v_before.table_ids);
    return holds.result_of(v_hold, 'moved', v_event_recorded);
end
$$;

comment on function holds.move_table_hold(uuid, uuid[], timestamptz, timestamptz, uuid, timestamptz, integer) is
'Moves a live hold to other tables, another window or both: all of it or nothing. NULL keeps what it has.';

create function holds.release_table_hold(
    p_hold_id uuid,
    p_event_id uuid default gen_random_uuid(),
    p_occurred_at timestamptz default clock_timestamp(),
    p_lock_timeout_ms integer default 2000
)
returns holds.table_hold_result
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = 2000
as $$
declare
    v_hold holds.table_holds;
    v_event_recorded boolean;
begin
    perform set_config('lock_timeout', p_lock_timeout_ms::text, true);
    select * into v_hold from holds.table_holds where id = p_hold_id for update;
    if not found or v_hold.status in ('released', 'expired') then
        return holds.ended_result_of(v_hold);
    end if;

    perform from holds.table_hold_windows where hold_id = p_hold_id order by table_id, id for update;
    update holds.table_hold_windows
    set released_at = clock_timestamp()
    where hold_id = p_hold_id and released_at is null;
    update holds.table_holds
    set status = 'released', released_at = clock_timestamp()
    where id = p_hold_id
    returning * into v_hold;
    v_event_recorded := holds.emit(
        p_event_id, p_occurred_at, 'capacity.hold.released', 'info', 'holds.core', v_hold.restaurant_id,
        v_hold.booking_id,
        v_hold.event_context || holds.hold_context(v_hold.id, v_hold.table_ids, v_hold.held_during)
    );
    perform holds.promote_windows(v_hold.table_ids);
    return holds.result_of(v_hold, 'released', v_event_recorded);
end
$$;

comment on function holds.release_table_hold(uuid, uuid, timestamptz, integer) is
'Frees the tables of a hold, confirmed or not. Releasing twice is harmless.';

-- Locks a hold and its windows, in that order (rule 2), and ends it where its time is over: whoever took one of the tables
-- over has released its window, and then the hold has expired, however late its caller believes to be in time.
create function holds.lock_live_hold(p_hold_id uuid, p_lock_timeout_ms integer)
returns holds.table_holds
language plpgsql
as $$
declare
    v_hold holds.table_holds;
begin
    if not coalesce(p_lock_timeout_ms between 1 and 60000, false) then
        raise exception 'the lock timeout must be 1 to 60,000 ms' using errcode = '22023';
    end if;
    perform set_config('lock_timeout', p_lock_timeout_ms::text, true);
    select * into v_hold from holds.table_holds where id = p_hold_id for update;
    if not found or v_hold.status <> 'held' then
        return v_hold;
    end if;
    perform from holds.table_hold_windows
    where hold_id = p_hold_id and released_at is null
    order by table_id, id
    for update;
    if v_hold.expires_at > clock_timestamp() and cardinality(v_hold.table_ids) = (
        select count(*)
        from holds.table_hold_windows
        where hold_id = p_hold_id and released_at is null
    ) then
        return v_hold;
    end if;
    update holds.table_hold_windows
    set released_at = clock_timestamp()
    where hold_id = p_hold_id and released_at is null;
    perform holds.mark_expired(array[p_hold_id]);
    select * into v_hold from holds.table_holds where id = p_hold_id;
    return v_hold;
end
$$;

create function holds.ended_result_of(p_hold holds.table_holds)
returns holds.table_hold_result
language plpgsql
as $$
begin
    return holds.result_of(p_hold, coalesce(p_hold.status, 'not_found'), true);
end
$$;

-- Whether this very call was carried out before: its event tells, and is written in the same transaction.
create function holds.is_recorded(p_event_id uuid, p_occurred_at timestamptz)
returns boolean
language plpgsql
as $$
begin
    return exists (
        select from holds.observability_events where id = p_event_id and occurred_at = p_occurred_at
    );
end
$$;

-- Brings windows under the constraint that were made beside it and overlap nothing live any more.
create function holds.promote_windows(p_table_ids uuid[] default null)
returns integer
language plpgsql
as $$
declare
    v_window record;
    v_count integer := 0;
begin
    for v_window in
        select windows.*
        from holds.table_hold_windows as windows
        where not windows.is_enforced
            and windows.released_at is null
            and (p_table_ids is null or windows.table_id = any(p_table_ids))
            and not holds.is_taken(windows.table_id, windows.held_during, windows.owner_id)
        order by windows.table_id, windows.id
        -- Somebody is at work on it: the sweeper comes again.
        for update skip locked
    loop
        begin
            perform set_config('lock_timeout', '100', true);
            update holds.table_hold_windows set is_enforced = true where id = v_window.id;
            v_count := v_count + 1;
            update holds.table_holds as promoted
            set is_enforced = true
            where promoted.id = v_window.hold_id
                and not exists (
                    select
                    from holds.table_hold_windows as others
                    where others.hold_id = promoted.id and not others.is_enforced and others.released_at is null
                );
        exception
            -- A hold that has just come, or one that has expired and is still there: the sweeper comes again.
            when exclusion_violation or lock_not_available or deadlock_detected then null;
        end;
    end loop;
    return v_count;
end
$$;

create function holds.expire_table_holds(p_limit integer default 1000)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = 2000
as $$
declare
    v_hold_ids uuid[];
    v_count integer;
begin
    with due as (
        select id
        from holds.table_hold_windows
        where released_at is null and expires_at <= clock_timestamp()
        order by expires_at
        limit p_limit
        for update skip locked
    ),

    released as (
        update holds.table_hold_windows as windows
        set released_at = clock_timestamp()
        from due
        where windows.id = due.id
        returning windows.hold_id
    )

    select coalesce(array_agg(distinct hold_id), '{}') into v_hold_ids
    from released;
    -- And headers that whoever took a window over had to skip.
    v_count := holds.mark_expired(v_hold_ids || array(
        select id
        from holds.table_holds
        where status = 'held' and expires_at <= clock_timestamp()
        order by expires_at
        limit p_limit
    ));
    perform holds.promote_windows();
    return v_count;
end
$$;

comment on function holds.expire_table_holds(integer) is
'Ends holds whose time is over, up to a number of windows, and promotes what overlaps nothing any more; returns how '
'many holds it marked. Safe beside itself.';

revoke execute on all functions in schema holds from public;
grant execute on function holds.confirm_table_hold(uuid, uuid, timestamptz, integer) to holds_app;
grant execute on function holds.extend_table_hold(uuid, double precision, uuid, timestamptz, integer) to holds_app;
grant execute on function holds.move_table_hold(
    uuid, uuid[], timestamptz, timestamptz, uuid, timestamptz, integer
) to holds_app;
grant execute on function holds.release_table_hold(uuid, uuid, timestamptz, integer) to holds_app;
grant execute on function holds.expire_table_holds(integer) to holds_app;
