-- Placing a hold. Replaces the functions of 0004, whose rules of locking stay in force, and adds one:
--   5. A restaurant's rate (holds.hold_rates) is locked last.
--
-- What only these functions call has no search_path of its own: theirs holds for it, and setting it costs as much as a
-- small query.

drop function holds.create_table_hold(
    uuid, uuid[], timestamptz, timestamptz, text, uuid, double precision, uuid, timestamptz, integer, integer, jsonb
);
-- Made anew in 0008, since the type that they return changes.
drop function holds.confirm_table_hold(uuid, uuid, timestamptz, integer);
drop function holds.release_table_hold(uuid, uuid, timestamptz, integer);
drop function holds.expire_table_holds(integer);
drop function holds.replay_of(holds.table_holds, bytea);
drop function holds.result_of(holds.table_holds, text, boolean);

alter type holds.table_hold_result add attribute retry_after_seconds double precision;

comment on type holds.table_hold_result is
'outcome: held, replayed, conflict, rate_limited, cutoff (create); extended, moved, confirmed, released, expired, '
'replayed, conflict, cutoff, not_found (the others). conflicts: [{tableId, startsAt, endsAt}] of others, unnamed. '
'event_recorded: false where telemetry failed. retry_after_seconds: when a limited restaurant may place its next hold.';

create function holds.result_of(p_hold holds.table_holds, p_outcome text, p_event_recorded boolean)
returns holds.table_hold_result
language plpgsql
immutable
as $$
begin
    return row(
        p_outcome, p_hold.id, p_hold.status, p_hold.table_ids, lower(p_hold.held_during), upper(p_hold.held_during),
        p_hold.is_enforced, p_hold.created_at, p_hold.expires_at, '[]'::jsonb, p_event_recorded, null
    )::holds.table_hold_result;
end
$$;

-- Stores one event; false where that failed. Telemetry never fails a hold: the caller is told, and the hold goes on.
create function holds.emit(
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
begin
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
        raise warning 'event % was not recorded: % (%)', p_event_type, sqlerrm, sqlstate;
        return false;
end
$$;

create or replace function holds.record_event(
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
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
begin
    return holds.emit(
        p_event_id, p_occurred_at, p_event_type, p_severity, p_source, p_restaurant_id, p_booking_id, p_context
    );
end
$$;

-- The same, and says why not by an error: for what waited on disk, and can wait on.
create function holds.store_event(
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
language sql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
    insert into holds.observability_events (
        id, occurred_at, environment, source, event_type, severity, restaurant_id, booking_id, context
    )
    values (
        p_event_id, p_occurred_at, (select environment from holds.settings), p_source, p_event_type, p_severity,
        p_restaurant_id, p_booking_id, p_context
    )
    on conflict do nothing
$$;

create or replace function holds.hold_context(p_hold_id uuid, p_table_ids uuid[], p_held_during tstzrange)
returns jsonb
language plpgsql
stable
as $$
begin
    return jsonb_build_object(
        'holdId', p_hold_id,
        'tableIds', to_jsonb(p_table_ids),
        'window', jsonb_build_object('startsAt', lower(p_held_during), 'endsAt', upper(p_held_during))
    );
end
$$;

-- Whether anything live of others is on a table: what is committed already needs no insert to be found, and no lock to be
-- waited for. Two branches, so that each can use its own partial index.
create function holds.is_taken(p_table_id uuid, p_held_during tstzrange, p_owner_id uuid)
returns boolean
language plpgsql
volatile
as $$
begin
    return exists (
        select
        from holds.table_hold_windows as windows
        where windows.table_id = p_table_id
            and windows.held_during && p_held_during
            and windows.is_enforced
            and windows.released_at is null
            and windows.owner_id <> p_owner_id
            and (windows.expires_at is null or windows.expires_at > clock_timestamp())
    ) or exists (
        select
        from holds.table_hold_windows as windows
        where windows.table_id = p_table_id
            and windows.held_during && p_held_during
            and not windows.is_enforced
            and windows.released_at is null
            and windows.owner_id <> p_owner_id
            and (windows.expires_at is null or windows.expires_at > clock_timestamp())
    );
end
$$;

-- Puts a window on one table under the constraint, if nobody else has it.
create function holds.put_enforced_window(
    p_hold holds.table_holds, p_table_id uuid, out is_taken boolean, out expired_hold_ids uuid[]
)
language plpgsql
as $$
declare
    v_window_ids bigint[];
begin
    expired_hold_ids := '{}';
    loop
        insert into holds.table_hold_windows (hold_id, restaurant_id, table_id, owner_id, held_during, expires_at)
        values (p_hold.id, p_hold.restaurant_id, p_table_id, p_hold.owner_id, p_hold.held_during, p_hold.expires_at)
        -- Not by name: where somebody has dropped the constraint, holds go on, and the checks below the core cry out.
        on conflict do nothing;
        is_taken := found;
        exit when is_taken;
        -- What stands in the way may have expired. Expired and inserted table by table: expiring all first, then
        -- inserting, deadlocks.
        v_window_ids := array(
            select windows.id
            from holds.table_hold_windows as windows
            where windows.table_id = p_table_id
                and windows.held_during && p_hold.held_during
                and windows.is_enforced
                and windows.released_at is null
                and windows.expires_at <= clock_timestamp()
                and windows.owner_id <> p_hold.owner_id
            order by windows.id
            for update
        );
        exit when v_window_ids = '{}';
        with released as (
            update holds.table_hold_windows
            set released_at = clock_timestamp()
            where id = any(v_window_ids)
            returning hold_id
        )
        select expired_hold_ids || array_agg(hold_id) into expired_hold_ids
        from released;
    end loop;
end
$$;

-- Puts a window on one table: under the constraint; else, where the restaurant is not strict, beside it.
create function holds.take_table(
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
begin
    if p_is_strict then
        v_step := holds.put_enforced_window(p_hold, p_table_id);
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

create or replace function holds.derived_event_id(p_event_id uuid, p_outcome text)
returns uuid
language plpgsql
immutable
as $$
begin
    return md5(p_event_id::text || p_outcome)::uuid;
end
$$;

-- As in 0004, table by table: with an array in it, or as a function in SQL, the query is planned anew at every call, which
-- costs ten times as much as running it (300 µs to 30, PostgreSQL 18).
create or replace function holds.overlaps_json(p_table_ids uuid[], p_held_during tstzrange, p_owner_id uuid)
returns jsonb
language plpgsql
volatile
as $$
declare
    v_table_id uuid;
    v_window record;
    v_overlaps jsonb := '[]';
begin
    foreach v_table_id in array p_table_ids loop
        for v_window in
            select windows.id, windows.hold_id, windows.held_during
            from holds.table_hold_windows as windows
            where windows.table_id = v_table_id
                and windows.held_during && p_held_during
                and windows.is_enforced
                and windows.released_at is null
                and windows.owner_id is distinct from p_owner_id
                and (windows.expires_at is null or windows.expires_at > clock_timestamp())
            union all
            select windows.id, windows.hold_id, windows.held_during
            from holds.table_hold_windows as windows
            where windows.table_id = v_table_id
                and windows.held_during && p_held_during
                and not windows.is_enforced
                and windows.released_at is null
                and windows.owner_id is distinct from p_owner_id
                and (windows.expires_at is null or windows.expires_at > clock_timestamp())
            order by 1
        loop
            v_overlaps := v_overlaps || jsonb_build_object(
                'tableId', v_table_id,
                'holdId', v_window.hold_id,
                'startsAt', lower(v_window.held_during),
                'endsAt', upper(v_window.held_during));
        end loop;
    end loop;
    return v_overlaps;
end
$$;

-- The conflicts that a refusal names to its caller, and in its event: the winner of a race is found now; where it has gone
-- already, the table alone is named.
create function holds.named_overlaps(
    p_table_ids uuid[], p_held_during tstzrange, p_owner_id uuid, p_lost_table_id uuid
)
returns jsonb
language plpgsql
volatile
as $$
declare
    v_overlaps jsonb := holds.overlaps_json(p_table_ids, p_held_during, p_owner_id);
begin
    if v_overlaps = '[]' then
        v_overlaps := jsonb_build_array(jsonb_build_object(
            'tableId', p_lost_table_id, 'startsAt', lower(p_held_during), 'endsAt', upper(p_held_during)));
    end if;
    return v_overlaps;
end
$$;

-- Stores the two events of a refused try together, as holds.emit stores one.
create function holds.emit_conflict(
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

-- Says what became of a call that was refused: each try repeats its own events, and each way to end has its own.
create function holds.refusal_of(
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
        v_result.event_recorded := holds.emit_conflict(
            p_event_id, p_occurred_at, p_restaurant_id, p_booking_id, p_context, p_overlaps);
        select coalesce(jsonb_agg(conflict - 'holdId'), '[]') into v_result.conflicts
        from jsonb_array_elements(p_overlaps) as conflict;
    elsif p_outcome = 'rate_limited' then
        v_result.event_recorded := holds.emit(
            holds.derived_event_id(p_event_id, 'limit'), p_occurred_at, 'capacity.rpc.conflict', 'warning',
            'holds.core', p_restaurant_id, p_booking_id,
            p_context || jsonb_build_object('code', 'P0001', 'reason', 'HOLD_RATE_LIMIT')
        );
    else
        v_result.event_recorded := holds.emit(
            holds.derived_event_id(p_event_id, 'cutoff'), p_occurred_at, 'capacity.rpc.conflict', 'warning',
            'holds.core', p_restaurant_id, p_booking_id,
            p_context || jsonb_build_object('code', '55P03', 'reason', 'CUTOFF')
        );
    end if;
    return v_result;
end
$$;

-- Marks holds as expired that lost a window to expiry, and says so once each. Skips those that somebody is changing:
-- that one, or the sweeper, finds them (rule 4).
create or replace function holds.mark_expired(p_hold_ids uuid[])
returns integer
language plpgsql
as $$
declare
    v_hold holds.table_holds;
    v_count integer := 0;
begin
    for v_hold in
        select *
        from holds.table_holds
        where id = any(p_hold_ids) and status = 'held'
        order by id
        for update skip locked
    loop
        update holds.table_holds
        set status = 'expired', released_at = clock_timestamp()
        where id = v_hold.id;
        perform holds.emit(
            gen_random_uuid(), clock_timestamp(), 'capacity.hold.expired', 'info', 'holds.core',
            v_hold.restaurant_id, v_hold.booking_id,
            v_hold.event_context || holds.hold_context(v_hold.id, v_hold.table_ids, v_hold.held_during)
            || jsonb_build_object('expiredAt', v_hold.expires_at)
        );
        v_count := v_count + 1;
    end loop;
    return v_count;
end
$$;

-- Enters where no switch is draining, at once as a rule; false where that takes longer than a lock may. The first try is
-- refused too while a switch waits for its turn, so that switching on is never starved.
create function holds.enter_enforcement()
returns boolean
language plpgsql
as $$
begin
    -- The wait is apart: its exception block is a subtransaction, which every call would pay for.
    return pg_try_advisory_xact_lock_shared(hashtextextended('holds.enforcement', 0)) or holds.wait_for_switch();
end
$$;

create function holds.wait_for_switch()
returns boolean
language plpgsql
as $$
begin
    perform pg_advisory_xact_lock_shared(hashtextextended('holds.enforcement', 0));
    return true;
exception
    when lock_not_available then
        return false;
end
$$;

create function holds.create_table_hold(
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
    v_event_recorded boolean;
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
            return holds.result_of(v_hold, 'replayed', true);
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

    v_event_recorded := holds.emit(
        holds.derived_event_id(p_event_id, 'created'), p_attempted_at, 'capacity.hold.created', 'info', 'holds.core',
        p_restaurant_id, p_booking_id,
        v_context || jsonb_build_object('isEnforced', v_hold.is_enforced, 'expiresAt', v_hold.expires_at)
    );
    if not v_hold.is_enforced then
        if v_overlaps = '[]' then
            v_overlaps := holds.named_overlaps(v_shadowed, v_held_during, v_owner_id, v_shadowed[1]);
        end if;
        v_event_recorded := holds.emit(
            holds.derived_event_id(p_event_id, 'shadow'), p_attempted_at, 'capacity.hold.strict_conflict', 'warning',
            'holds.core', p_restaurant_id, p_booking_id,
            v_context || jsonb_build_object(
                'isShadow', true, 'conflicts', v_overlaps, 'shadowedTableIds', to_jsonb(v_shadowed),
                'constraint', 'table_hold_windows_no_overlap', 'sqlstate', '23P01')
        ) and v_event_recorded;
    end if;
    return holds.result_of(v_hold, 'held', v_event_recorded);
end
$$;

comment on function holds.create_table_hold(
    uuid, uuid[], timestamptz, timestamptz, text, uuid, double precision, uuid, timestamptz, integer, integer, jsonb,
    text
) is
'Holds all of the tables or none. A refusal is an outcome, not an exception, so that its events commit with it.';

-- Functions are callable by everybody unless somebody says otherwise.
revoke execute on all functions in schema holds from public;
grant execute on function holds.create_table_hold(
    uuid, uuid[], timestamptz, timestamptz, text, uuid, double precision, uuid, timestamptz, integer, integer, jsonb,
    text
) to holds_app;
grant execute on function holds.store_event(uuid, timestamptz, text, text, text, uuid, uuid, jsonb) to holds_app;
