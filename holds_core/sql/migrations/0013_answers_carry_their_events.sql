-- Every answer carries the events that could not be stored, for the caller to keep until they can be; a hold that is over is
-- never said to be held; a grandfathered window and a new hold never both win; moving locks table by table. Replaces functions
-- of 0007 and 0008, whose rules of locking stay in force.

alter type holds.table_hold_result add attribute unrecorded_events jsonb;

comment on type holds.table_hold_result is
'outcome: held, replayed, conflict, rate_limited, cutoff (create); extended, moved, confirmed, released, expired, '
'replayed, conflict, cutoff, not_found (the others). conflicts: [{tableId, startsAt, endsAt}] of others, unnamed. '
'event_recorded: false where telemetry failed; unrecorded_events are those to store later, by holds.store_event. '
'retry_after_seconds: when a limited restaurant may place its next hold.';

-- Kept with the hold until somebody asks again: the answer that carried them may be lost.
alter table holds.table_holds add column unrecorded_events jsonb not null default '[]';

drop function holds.result_of(holds.table_holds, text, boolean);
drop function holds.lock_live_hold(uuid, integer);

create function holds.result_of(p_hold holds.table_holds, p_outcome text)
returns holds.table_hold_result
language plpgsql
immutable
as $$
begin
    return row(
        p_outcome, p_hold.id, p_hold.status, p_hold.table_ids, lower(p_hold.held_during), upper(p_hold.held_during),
        p_hold.is_enforced, p_hold.created_at, p_hold.expires_at, '[]'::jsonb, p_hold.unrecorded_events = '[]', null,
        p_hold.unrecorded_events
    )::holds.table_hold_result;
end
$$;

-- Stores one event, or returns it for the caller to keep: [] or [event], in the names of holds.store_event.
create function holds.tell(
    p_event_id uuid,
    p_occurred_at timestamptz,
    p_event_type text,
    p_severity text,
    p_restaurant_id uuid,
    p_booking_id uuid,
    p_context jsonb
)
returns jsonb
language plpgsql
as $$
begin
    if holds.emit(
        p_event_id, p_occurred_at, p_event_type, p_severity, 'holds.core', p_restaurant_id, p_booking_id, p_context
    ) then
        return '[]';
    end if;
    return jsonb_build_array(jsonb_build_object(
        'id', p_event_id,
        'occurred_at', p_occurred_at,
        'event_type', p_event_type,
        'severity', p_severity,
        'source', 'holds.core',
        'restaurant_id', p_restaurant_id,
        'booking_id', p_booking_id,
        'context', holds.without_other_holds(p_context)));
end
$$;

-- What leaves the database does not name the holds that were in the way.
create function holds.without_other_holds(p_context jsonb)
returns jsonb
language plpgsql
immutable
as $$
begin
    if not p_context ? 'conflicts' then
        return p_context;
    end if;
    return jsonb_set(p_context, '{conflicts}', (
        select coalesce(jsonb_agg(conflict - 'holdId'), '[]')
        from jsonb_array_elements(p_context -> 'conflicts') as conflict
    ));
end
$$;

-- Remembers with the hold what could not be stored; as a rule nothing.
create function holds.with_unrecorded(p_hold holds.table_holds, p_events jsonb)
returns holds.table_holds
language plpgsql
as $$
begin
    if p_events <> '[]' then
        update holds.table_holds
        set unrecorded_events = unrecorded_events || p_events
        where id = p_hold.id
        returning * into p_hold;
    end if;
    return p_hold;
end
$$;

-- Says what became of a call that was refused: each try repeats its own events, and each way to end has its own.
create or replace function holds.refusal_of(
    p_outcome text,
    p_event_id uuid,
    p_occurred_at timestamptz,
    p_restaurant_id uuid,
    p_booking_id uuid,
    p_context jsonb,
    p_overlaps jsonb
)
returns holds.table_hold_result
language plpgsql
as $$
declare
    v_result holds.table_hold_result;
begin
    v_result.outcome := p_outcome;
    v_result.conflicts := '[]';
    if p_outcome = 'conflict' then
        -- Both at once, which costs half, as long as the database takes them.
        v_result.unrecorded_events := '[]';
        if not holds.emit_conflict(p_event_id, p_occurred_at, p_restaurant_id, p_booking_id, p_context, p_overlaps) then
            v_result.unrecorded_events := holds.tell(
                holds.derived_event_id(p_event_id, 'conflict'), p_occurred_at, 'capacity.hold.strict_conflict',
                'warning', p_restaurant_id, p_booking_id,
                p_context || jsonb_build_object(
                    'conflicts', p_overlaps, 'constraint', 'table_hold_windows_no_overlap', 'sqlstate', '23P01')
            ) || holds.tell(
                holds.derived_event_id(p_event_id, 'rpc'), p_occurred_at, 'capacity.rpc.conflict', 'warning',
                p_restaurant_id, p_booking_id,
                p_context || jsonb_build_object('code', '23P01', 'reason', 'HOLD_CONFLICT')
            );
        end if;
        select coalesce(jsonb_agg(conflict - 'holdId'), '[]') into v_result.conflicts
        from jsonb_array_elements(p_overlaps) as conflict;
    elsif p_outcome = 'rate_limited' then
        v_result.unrecorded_events := holds.tell(
            holds.derived_event_id(p_event_id, 'limit'), p_occurred_at, 'capacity.rpc.conflict', 'warning',
            p_restaurant_id, p_booking_id,
            p_context || jsonb_build_object('code', 'P0001', 'reason', 'HOLD_RATE_LIMIT')
        );
    else
        v_result.unrecorded_events := holds.tell(
            holds.derived_event_id(p_event_id, 'cutoff'), p_occurred_at, 'capacity.rpc.conflict', 'warning',
            p_restaurant_id, p_booking_id,
            p_context || jsonb_build_object('code', '55P03', 'reason', 'CUTOFF')
        );
    end if;
    v_result.event_recorded := v_result.unrecorded_events = '[]';
    return v_result;
end
$$;

-- Ends what has expired on a table beside the constraint, and says whether somebody else is left there. Whatever its time says,
-- each window is locked: a confirm or an extend of it may be under way, and the constraint does not see it.
create function holds.clear_unenforced(
    p_hold holds.table_holds, p_table_id uuid, out is_free boolean, out expired_hold_ids uuid[]
)
language plpgsql
as $$
declare
    v_window record;
begin
    is_free := true;
    expired_hold_ids := '{}';
    for v_window in
        select windows.id, windows.hold_id, windows.expires_at
        from holds.table_hold_windows as windows
        where windows.table_id = p_table_id
            and windows.held_during && p_hold.held_during
            and not windows.is_enforced
            and windows.released_at is null
            and windows.owner_id <> p_hold.owner_id
        order by windows.id
        for update
    loop
        if v_window.expires_at <= clock_timestamp() then
            update holds.table_hold_windows set released_at = clock_timestamp() where id = v_window.id;
            expired_hold_ids := expired_hold_ids || v_window.hold_id;
        else
            is_free := false;
        end if;
    end loop;
end
$$;

-- Puts a window on one table: under the constraint; else, where the restaurant is not strict, beside it.
create or replace function holds.take_table(
    p_hold holds.table_holds,
    p_table_id uuid,
    p_is_strict boolean,
    out is_taken boolean,
    out is_enforced boolean,
    out expired_hold_ids uuid[]
)
language plpgsql
as $$
declare
    v_began_at timestamptz := clock_timestamp();
    v_step record;
    v_beside record;
begin
    if p_is_strict then
        v_step := holds.put_enforced_window(p_hold, p_table_id);
        if v_step.is_taken then
            v_beside := holds.clear_unenforced(p_hold, p_table_id);
            v_step.is_taken := v_beside.is_free;
            v_step.expired_hold_ids := v_step.expired_hold_ids || v_beside.expired_hold_ids;
        end if;
    else
        begin
            -- Who is not strict does not wait for somebody who is stuck.
            perform set_config('lock_timeout', '250', true);
            v_step := holds.put_enforced_window(p_hold, p_table_id);
        exception
            when lock_not_available then
                select false as is_taken, '{}'::uuid[] as expired_hold_ids into v_step;
        end;
    end if;
    is_taken := v_step.is_taken;
    is_enforced := v_step.is_taken;
    expired_hold_ids := v_step.expired_hold_ids;

    if not is_taken and not p_is_strict then
        -- Enforcement off is not blind: what strict mode would have refused is stored, and said.
        insert into holds.table_hold_windows (
            hold_id, restaurant_id, table_id, owner_id, held_during, expires_at, is_enforced
        )
        values (
            p_hold.id, p_hold.restaurant_id, p_table_id, p_hold.owner_id, p_hold.held_during, p_hold.expires_at, false
        );
        is_taken := true;
    end if;

    -- created_at was read before the constraint was checked. If the insert had to wait, a hold may have come and gone
    -- meanwhile, and the two lifetimes would seem to overlap: read the clock again. No two commits and a round trip fit
    -- into the time that is let pass here.
    if is_taken and clock_timestamp() - v_began_at > interval '200 microseconds' then
        update holds.table_hold_windows
        set created_at = clock_timestamp()
        where hold_id = p_hold.id and table_id = p_table_id and released_at is null;
    end if;
end
$$;

-- Whether a hold has all of its tables, and time left. Whoever took one of them over has released its window.
create function holds.is_whole(p_hold holds.table_holds)
returns boolean
language plpgsql
as $$
begin
    return p_hold.expires_at > clock_timestamp() and cardinality(p_hold.table_ids) = (
        select count(*)
        from holds.table_hold_windows
        where hold_id = p_hold.id and released_at is null
    );
end
$$;

create or replace function holds.create_table_hold(
    p_restaurant_id uuid,
    p_table_ids uuid[],
    p_starts_at timestamptz,
    p_ends_at timestamptz,
    p_idempotency_key text,
    p_booking_id uuid default null,
    p_ttl_seconds double precision default 300,
    p_event_id uuid default gen_random_uuid(),
    p_attempted_at timestamptz default clock_timestamp(),
    p_attempt integer default 1,
    p_lock_timeout_ms integer default 2000,
    p_event_context jsonb default '{}',
    p_request_fingerprint text default null
)
returns holds.table_hold_result
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
-- Put back at the end of the function, whatever it is changed to within: the caller's transaction has its own.
set lock_timeout = 2000
as $$
declare
    v_table_ids uuid[] := p_table_ids;
    v_held_during tstzrange;
    v_hold_id uuid := gen_random_uuid();
    v_owner_id uuid := coalesce(p_booking_id, v_hold_id);
    v_request_hash bytea;
    v_settings record;
    v_is_strict boolean;
    v_began_at timestamptz := clock_timestamp();
    v_table_id uuid;
    v_step record;
    v_hold holds.table_holds;
    v_expired_hold_ids uuid[] := '{}';
    v_shadowed uuid[] := '{}';
    v_overlaps jsonb := '[]';
    -- Why it is refused; NULL while it is not.
    v_refusal text;
    v_context jsonb;
    v_retry_after double precision;
    v_unrecorded jsonb;
    v_result holds.table_hold_result;
begin
    if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
        perform holds.require_read_committed();
    end if;
    if p_restaurant_id is null or p_idempotency_key is null or p_idempotency_key = '' then
        raise exception 'a hold needs a restaurant and an idempotency key' using errcode = '22023';
    end if;
    if not coalesce(cardinality(p_table_ids) between 1 and 50, false) or array_position(p_table_ids, null) is not null then
        raise exception 'a hold needs 1 to 50 tables, none of them NULL' using errcode = '22023';
    end if;
    if not coalesce(p_starts_at < p_ends_at and isfinite(p_starts_at) and isfinite(p_ends_at), false) then
        raise exception 'a hold''s window must begin before it ends, and both must be finite' using errcode = '22023';
    end if;
    if not coalesce(p_ttl_seconds > 0 and p_ttl_seconds <= 86400, false) then
        raise exception 'a hold''s time to live must be more than 0 and at most 86,400 seconds' using errcode = '22023';
    end if;
    if not coalesce(p_lock_timeout_ms between 1 and 60000, false) then
        raise exception 'the lock timeout must be 1 to 60,000 ms' using errcode = '22023';
    end if;
    if coalesce(jsonb_typeof(p_event_context), 'null') <> 'object' then
        raise exception 'the event context must be a JSON object' using errcode = '22023';
    end if;
    if p_booking_id is not null and exists (select from holds.table_holds where id = p_booking_id) then
        -- A hold without a booking is owned by its own id: nobody else may pass for its owner.
        raise exception 'that booking id is the id of a hold' using errcode = '22023';
    end if;

    if cardinality(p_table_ids) > 1 then
        -- Sorted (rule 3), and each once: the same table twice would conflict with itself or be counted twice.
        select array_agg(distinct asked.table_id order by asked.table_id) into v_table_ids
        from unnest(p_table_ids) as asked (table_id);
    end if;
    v_held_during := tstzrange(p_starts_at, p_ends_at, '[)');
    v_request_hash := sha256(convert_to(
        case
            when p_request_fingerprint is null then
                concat_ws('|', p_restaurant_id, coalesce(p_booking_id::text, '-'), v_table_ids::text,
                    extract(epoch from p_starts_at), extract(epoch from p_ends_at))
            -- A search tries one set of tables after another under one key.
            else concat_ws('|', p_restaurant_id, coalesce(p_booking_id::text, '-'), 'asked', p_request_fingerprint)
        end, 'UTF8'));
    if p_lock_timeout_ms <> 2000 then
        perform set_config('lock_timeout', p_lock_timeout_ms::text, true);
    end if;

    if not holds.enter_enforcement() then
        v_refusal := 'cutoff';
    else
        select
            settings.is_strict_conflicts_enabled,
            settings.strict_percentage,
            overrides.is_strict,
            coalesce(overrides.rate_limit_holds, settings.rate_limit_holds) as max_holds,
            coalesce(overrides.rate_limit_seconds, settings.rate_limit_seconds) as per_seconds
        into v_settings
        from holds.settings
        left join holds.restaurant_settings as overrides on overrides.restaurant_id = p_restaurant_id;
        -- As holds.is_hold_strict_for says, without asking twice.
        v_is_strict := coalesce(
            v_settings.is_strict_conflicts_enabled
            and coalesce(
                v_settings.is_strict,
                v_settings.strict_percentage = 100
                or holds.rollout_bucket('holds.strictConflicts', p_restaurant_id) < v_settings.strict_percentage
            ), true);

        -- Whoever is far over the limit costs no more than this.
        if v_settings.max_holds is not null then
            select greatest(0, holds.rate_limit_wait(rates.empty_at, v_settings.max_holds, v_settings.per_seconds))
            into v_retry_after
            from holds.hold_rates as rates
            where rates.restaurant_id = p_restaurant_id;
            if v_retry_after > 0 then
                v_refusal := 'rate_limited';
            end if;
        end if;

        if v_refusal is null then
            foreach v_table_id in array v_table_ids loop
                if holds.is_taken(v_table_id, v_held_during, v_owner_id) then
                    v_overlaps := holds.overlaps_json(v_table_ids, v_held_during, v_owner_id);
                    v_refusal := case when v_is_strict then 'conflict' end;
                    exit;
                end if;
            end loop;
        end if;
    end if;

    if v_refusal is null then
        begin
            insert into holds.table_holds (
                id, restaurant_id, booking_id, owner_id, idempotency_key, request_hash, table_ids, held_during, is_enforced,
                expires_at, event_context
            )
            values (
                v_hold_id, p_restaurant_id, p_booking_id, v_owner_id, p_idempotency_key, v_request_hash, v_table_ids,
                v_held_during, true, clock_timestamp() + make_interval(secs => p_ttl_seconds), p_event_context
            )
            on conflict on constraint table_holds_idempotency_key do nothing
            returning * into v_hold;
            if not found then
                -- The key is taken: by an earlier call, or by one of the same moment.
                raise exception sqlstate 'HW001';
            end if;

            foreach v_table_id in array v_table_ids loop
                if clock_timestamp() - v_began_at > interval '1 millisecond' then
                    -- The timeout is for all waits together, not for each.
                    perform set_config('lock_timeout', greatest(1,
                        p_lock_timeout_ms - 1000 * extract(epoch from clock_timestamp() - v_began_at))::integer::text, true);
                end if;
                v_step := holds.take_table(v_hold, v_table_id, v_is_strict);
                if not v_step.is_taken then
                    raise exception sqlstate 'HW001';
                end if;
                v_expired_hold_ids := v_expired_hold_ids || v_step.expired_hold_ids;
                if not v_step.is_enforced then
                    v_shadowed := v_shadowed || v_table_id;
                end if;
            end loop;

            if v_shadowed <> '{}' or v_overlaps <> '[]' then
                update holds.table_holds set is_enforced = false where id = v_hold_id returning * into v_hold;
            end if;
            if v_expired_hold_ids <> '{}' then
                perform holds.mark_expired(v_expired_hold_ids);
            end if;
            if v_settings.max_holds is not null
                and not holds.count_hold(p_restaurant_id, v_settings.max_holds, v_settings.per_seconds)
            then
                raise exception sqlstate 'HW003';
            end if;
        exception
            when sqlstate 'HW001' then
                v_refusal := 'conflict';
            when sqlstate 'HW003' then
                v_refusal := 'rate_limited';
            when lock_not_available then
                v_refusal := 'cutoff';
        end;
    end if;

    if v_refusal is not null then
        -- Is it a request that was answered before? It gets the hold as it is now.
        select * into v_hold
        from holds.table_holds
        where restaurant_id = p_restaurant_id and idempotency_key = p_idempotency_key;
        if found then
            if v_hold.request_hash <> v_request_hash then
                raise exception 'the idempotency key was used for another request of this restaurant'
                    using errcode = '22023', constraint = 'table_holds_idempotency_key';
            end if;
            if v_hold.status = 'held' and not holds.is_whole(v_hold) then
                -- Its time is over, or its tables are somebody else's already; the sweeper has not come yet.
                v_hold.status := 'expired';
            end if;
            return holds.result_of(v_hold, 'replayed');
        end if;
    end if;

    v_context := p_event_context || holds.hold_context(v_hold_id, v_table_ids, v_held_during)
        || jsonb_build_object('attempt', p_attempt);

    if v_refusal is not null then
        if v_refusal = 'conflict' and v_overlaps = '[]' then
            v_overlaps := holds.named_overlaps(v_table_ids, v_held_during, v_owner_id, v_table_id);
        elsif v_refusal = 'rate_limited' then
            v_context := v_context
                || jsonb_build_object('maxHolds', v_settings.max_holds, 'perSeconds', v_settings.per_seconds);
        end if;
        v_result := holds.refusal_of(
            v_refusal, p_event_id, p_attempted_at, p_restaurant_id, p_booking_id, v_context, v_overlaps);
        if v_refusal = 'rate_limited' then
            -- Found only at the end, another one took the last place: the next is free one share of the time later.
            v_result.retry_after_seconds := coalesce(
                nullif(v_retry_after, 0), v_settings.per_seconds / v_settings.max_holds);
        end if;
        v_result.table_ids := v_table_ids;
        v_result.starts_at := p_starts_at;
        v_result.ends_at := p_ends_at;
        return v_result;
    end if;

    v_unrecorded := holds.tell(
        holds.derived_event_id(p_event_id, 'created'), p_attempted_at, 'capacity.hold.created', 'info',
        p_restaurant_id, p_booking_id,
        v_context || jsonb_build_object('isEnforced', v_hold.is_enforced, 'expiresAt', v_hold.expires_at)
    );
    if not v_hold.is_enforced then
        if v_overlaps = '[]' then
            v_overlaps := holds.named_overlaps(v_shadowed, v_held_during, v_owner_id, v_shadowed[1]);
        end if;
        v_unrecorded := v_unrecorded || holds.tell(
            holds.derived_event_id(p_event_id, 'shadow'), p_attempted_at, 'capacity.hold.strict_conflict', 'warning',
            p_restaurant_id, p_booking_id,
            v_context || jsonb_build_object(
                'isShadow', true, 'conflicts', v_overlaps, 'shadowedTableIds', to_jsonb(v_shadowed),
                'constraint', 'table_hold_windows_no_overlap', 'sqlstate', '23P01')
        );
    end if;
    return holds.result_of(holds.with_unrecorded(v_hold, v_unrecorded), 'held');
end
$$;

-- Ends a hold, locked by the caller, whose time is over.
create function holds.end_hold(p_hold_id uuid)
returns holds.table_holds
language plpgsql
as $$
declare
    v_hold holds.table_holds;
begin
    perform from holds.table_hold_windows
    where hold_id = p_hold_id and released_at is null
    order by table_id, id
    for update;
    update holds.table_hold_windows
    set released_at = clock_timestamp()
    where hold_id = p_hold_id and released_at is null;
    perform holds.mark_expired(array[p_hold_id]);
    select * into v_hold from holds.table_holds where id = p_hold_id;
    return v_hold;
end
$$;

-- Locks a hold and its windows, in that order (rule 2), and ends it where its time is over: whoever took one of the tables
-- over has released its window, and then the hold has expired, however late its caller believes to be in time.
--   p_with_windows: false for who locks them later, table by table (rule 3).
create function holds.lock_live_hold(p_hold_id uuid, p_lock_timeout_ms integer, p_with_windows boolean default true)
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
    if p_with_windows then
        perform from holds.table_hold_windows
        where hold_id = p_hold_id and released_at is null
        order by table_id, id
        for update;
    end if;
    if holds.is_whole(v_hold) then
        return v_hold;
    end if;
    return holds.end_hold(p_hold_id);
end
$$;

create or replace function holds.ended_result_of(p_hold holds.table_holds)
returns holds.table_hold_result
language plpgsql
as $$
begin
    return holds.result_of(p_hold, coalesce(p_hold.status, 'not_found'));
end
$$;

create or replace function holds.confirm_table_hold(
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
    return holds.result_of(holds.with_unrecorded(v_hold, holds.tell(
        p_event_id, p_occurred_at, 'capacity.hold.confirmed', 'info', v_hold.restaurant_id, v_hold.booking_id,
        v_hold.event_context || holds.hold_context(v_hold.id, v_hold.table_ids, v_hold.held_during)
    )), 'confirmed');
end
$$;

create or replace function holds.extend_table_hold(
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
        return holds.result_of(v_hold, 'replayed');
    end if;

    -- Never shorter than it is: extending is for those who need longer.
    update holds.table_holds
    set expires_at = greatest(expires_at, clock_timestamp() + make_interval(secs => p_ttl_seconds))
    where id = p_hold_id
    returning * into v_hold;
    update holds.table_hold_windows
    set expires_at = v_hold.expires_at
    where hold_id = p_hold_id and released_at is null;
    return holds.result_of(holds.with_unrecorded(v_hold, holds.tell(
        p_event_id, p_occurred_at, 'capacity.hold.extended', 'info', v_hold.restaurant_id, v_hold.booking_id,
        v_hold.event_context || holds.hold_context(v_hold.id, v_hold.table_ids, v_hold.held_during)
        || jsonb_build_object('expiresAt', v_hold.expires_at)
    )), 'extended');
end
$$;

create or replace function holds.move_table_hold(
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
    v_unrecorded jsonb;
    v_window_count integer := 0;
    v_left_count integer;
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
    v_before := holds.lock_live_hold(p_hold_id, p_lock_timeout_ms, p_with_windows => false);
    if v_before.id is null or v_before.status not in ('held', 'confirmed') then
        return holds.ended_result_of(v_before);
    end if;
    if holds.is_recorded(p_event_id, p_occurred_at) then
        return holds.result_of(v_before, 'replayed');
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
            get diagnostics v_left_count = row_count;
            v_window_count := v_window_count + v_left_count;
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
        if v_before.status = 'held' and v_window_count <> cardinality(v_before.table_ids) then
            -- Its time ran out meanwhile, and somebody else has one of its tables.
            raise exception sqlstate 'HW004';
        end if;
        update holds.table_holds
        set table_ids = v_hold.table_ids, held_during = v_hold.held_during,
            is_enforced = v_shadowed = '{}' and v_overlaps = '[]'
        where id = p_hold_id
        returning * into v_hold;
        perform holds.mark_expired(v_expired_hold_ids);
    exception
        when sqlstate 'HW001' then
            v_refusal := 'conflict';
        when sqlstate 'HW004' then
            return holds.ended_result_of(holds.end_hold(p_hold_id));
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

    v_unrecorded := holds.tell(
        p_event_id, p_occurred_at, 'capacity.hold.moved', 'info', v_hold.restaurant_id, v_hold.booking_id,
        v_context || jsonb_build_object('isEnforced', v_hold.is_enforced));
    if not v_hold.is_enforced then
        if v_overlaps = '[]' then
            v_overlaps := holds.named_overlaps(v_shadowed, v_hold.held_during, v_hold.owner_id, v_shadowed[1]);
        end if;
        v_unrecorded := v_unrecorded || holds.tell(
            holds.derived_event_id(p_event_id, 'shadow'), p_occurred_at, 'capacity.hold.strict_conflict', 'warning',
            v_hold.restaurant_id, v_hold.booking_id,
            v_context || jsonb_build_object(
                'isShadow', true, 'conflicts', v_overlaps, 'shadowedTableIds', to_jsonb(v_shadowed),
                'constraint', 'table_hold_windows_no_overlap', 'sqlstate', '23P01')
        );
    end if;
    perform holds.promote_windows(v_before.table_ids);
    return holds.result_of(holds.with_unrecorded(v_hold, v_unrecorded), 'moved');
end
$$;

create or replace function holds.release_table_hold(
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
    v_unrecorded jsonb;
begin
    perform set_config('lock_timeout', p_lock_timeout_ms::text, true);
    select * into v_hold from holds.table_holds where id = p_hold_id for update;
    if not found or v_hold.status in ('released', 'expired') then
        -- Nothing of it is left as a rule. If something is, whoever asks to free its tables gets them freed.
        update holds.table_hold_windows
        set released_at = clock_timestamp()
        where hold_id = p_hold_id and released_at is null;
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
    v_unrecorded := holds.tell(
        p_event_id, p_occurred_at, 'capacity.hold.released', 'info', v_hold.restaurant_id, v_hold.booking_id,
        v_hold.event_context || holds.hold_context(v_hold.id, v_hold.table_ids, v_hold.held_during)
    );
    perform holds.promote_windows(v_hold.table_ids);
    return holds.result_of(holds.with_unrecorded(v_hold, v_unrecorded), 'released');
end
$$;

-- Ends what is over, up to a number of windows and a number of holds. Neither number alone says that there is more to do: a hold
-- may be marked while some of its windows wait for the next call.
create function holds.sweep_table_holds(
    p_limit integer default 1000, out ended_holds integer, out ended_windows integer
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = 2000
as $$
declare
    v_hold_ids uuid[];
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

    select coalesce(array_agg(distinct hold_id), '{}'), count(*) into v_hold_ids, ended_windows
    from released;
    -- And holds that whoever took a window over had to skip: locked here, so that one that was just extended is seen to be.
    ended_holds := holds.mark_expired(v_hold_ids || array(
        select id
        from holds.table_holds
        where status = 'held' and expires_at <= clock_timestamp()
        order by expires_at
        limit p_limit
        for update skip locked
    ));
    perform holds.promote_windows();
end
$$;

comment on function holds.sweep_table_holds(integer) is
'Ends holds whose time is over, and promotes what overlaps nothing any more. Safe beside itself.';

create or replace function holds.expire_table_holds(p_limit integer default 1000)
returns integer
language sql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = 2000
as $$
    select ended_holds from holds.sweep_table_holds(p_limit)
$$;

revoke execute on all functions in schema holds from public;
grant execute on function holds.sweep_table_holds(integer) to holds_app;
