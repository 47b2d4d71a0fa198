-- What applications may do, as functions: holds_app executes these and reads no table.
--
-- Rules of locking, in force for every function below:
--   1. The switch's drain lock comes first (shared for creates, exclusive for switching on).
--   2. A hold's header is locked before its windows.
--   3. Windows are locked and inserted in the order of table_id, then id; whoever holds a window waits only for higher ones.
--   4. Whoever holds windows never waits for a header: it skips locked ones.
-- Plain inserts under the exclusion constraint deadlock whatever their order; ON CONFLICT DO NOTHING does not.

create type holds.table_hold_result as (
    outcome text,
    hold_id uuid,
    status text,
    table_ids uuid [],
    starts_at timestamptz,
    ends_at timestamptz,
    is_enforced boolean,
    created_at timestamptz,
    expires_at timestamptz,
    conflicts jsonb,
    event_recorded boolean
);

comment on type holds.table_hold_result is
'outcome: held, replayed, conflict, cutoff (create); confirmed, released, expired, not_found (the others). '
'conflicts: [{tableId, startsAt, endsAt}] of others, never naming them. event_recorded: false where telemetry failed.';

create function holds.record_event(
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
    -- Telemetry never fails a hold: the caller is told, and the hold goes on.
    when others then
        raise warning 'event % was not recorded: % (%)', p_event_type, sqlerrm, sqlstate;
        return false;
end
$$;

comment on function holds.record_event(uuid, timestamptz, text, text, text, uuid, uuid, jsonb) is
'Records one event of this database''s environment; false where that failed. The same id and time twice is one event.';

-- One try may end in one way, and the next in another: each has an event id of its own, and each try repeats its own.
create function holds.derived_event_id(p_event_id uuid, p_outcome text)
returns uuid
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select md5(p_event_id::text || p_outcome)::uuid
$$;

-- With a snapshot of the past neither the switch nor another's windows can be judged.
create function holds.require_read_committed()
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
        raise exception 'holds are placed and switched at READ COMMITTED, not at %',
            upper(current_setting('transaction_isolation')) using errcode = '25001';
    end if;
end
$$;

create function holds.is_holds_strict_conflicts_enabled()
returns boolean
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    -- Strict where nothing is stored: what is not known to be off is on.
    select coalesce((select is_strict_conflicts_enabled from holds.settings), true)
$$;

comment on function holds.is_holds_strict_conflicts_enabled() is 'Whether overlapping holds are refused.';

-- Live windows of others on these tables. Two branches, so that each can use its own partial index.
create function holds.live_overlaps(p_table_ids uuid[], p_held_during tstzrange, p_owner_id uuid)
returns setof holds.table_hold_windows
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select windows.*
    from unnest(p_table_ids) as asked (table_id)
    cross join lateral (
        select enforced.*
        from holds.table_hold_windows as enforced
        where enforced.table_id = asked.table_id
            and enforced.held_during && p_held_during
            and enforced.is_enforced
            and enforced.released_at is null
        union all
        select unenforced.*
        from holds.table_hold_windows as unenforced
        where unenforced.table_id = asked.table_id
            and unenforced.held_during && p_held_during
            and not unenforced.is_enforced
            and unenforced.released_at is null
    ) as windows
    where windows.owner_id is distinct from p_owner_id
        and (windows.expires_at is null or windows.expires_at > clock_timestamp())
$$;

create function holds.find_hold_conflicts(
    p_table_ids uuid[],
    p_starts_at timestamptz,
    p_ends_at timestamptz,
    p_booking_id uuid default null
)
returns table (table_id uuid, starts_at timestamptz, ends_at timestamptz, is_confirmed boolean)
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select live.table_id, lower(live.held_during), upper(live.held_during), live.expires_at is null
    from holds.live_overlaps(p_table_ids, tstzrange(p_starts_at, p_ends_at, '[)'), p_booking_id) as live
    order by 1, 2
$$;

comment on function holds.find_hold_conflicts(uuid[], timestamptz, timestamptz, uuid) is
'The live windows on these tables that overlap [starts, ends), those of the booking itself left out; names nobody.';

create function holds.overlaps_json(p_table_ids uuid[], p_held_during tstzrange, p_owner_id uuid)
returns jsonb
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(jsonb_agg(jsonb_build_object(
        'tableId', live.table_id,
        'holdId', live.hold_id,
        'startsAt', lower(live.held_during),
        'endsAt', upper(live.held_during)
    ) order by live.table_id, live.id), '[]')
    from holds.live_overlaps(p_table_ids, p_held_during, p_owner_id) as live
$$;

create function holds.result_of(p_hold holds.table_holds, p_outcome text, p_event_recorded boolean)
returns holds.table_hold_result
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select
        p_outcome, p_hold.id, p_hold.status, p_hold.table_ids, lower(p_hold.held_during), upper(p_hold.held_during),
        p_hold.is_enforced, p_hold.created_at, p_hold.expires_at, '[]'::jsonb, p_event_recorded
$$;

-- What a repeated request gets: the hold as it is now, unless the key was used for something else.
create function holds.replay_of(p_hold holds.table_holds, p_request_hash bytea)
returns holds.table_hold_result
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_hold.request_hash <> p_request_hash then
        raise exception 'the idempotency key was used for another request of this restaurant'
            using errcode = '22023', constraint = 'table_holds_idempotency_key';
    end if;
    return holds.result_of(p_hold, 'replayed', true);
end
$$;

-- The context that every event of a hold carries.
create function holds.hold_context(p_hold_id uuid, p_table_ids uuid[], p_held_during tstzrange)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'holdId', p_hold_id,
        'tableIds', to_jsonb(p_table_ids),
        'window', jsonb_build_object('startsAt', lower(p_held_during), 'endsAt', upper(p_held_during))
    )
$$;

-- Marks holds as expired that lost a window to expiry, and says so once each. Skips those that somebody is changing:
-- that one, or the sweeper, finds them (rule 4).
create function holds.mark_expired(p_hold_ids uuid[])
returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
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
        perform holds.record_event(
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
    p_event_context jsonb default '{}'
)
returns holds.table_hold_result
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
-- Put back at the end of the function, whatever it is changed to within: the caller's transaction has its own.
set lock_timeout = 2000
as $$
declare
    v_table_ids uuid[];
    v_held_during tstzrange;
    v_hold_id uuid := gen_random_uuid();
    v_owner_id uuid;
    v_request_hash bytea;
    v_is_strict boolean;
    v_hold holds.table_holds;
    v_result holds.table_hold_result;
    v_table_id uuid;
    v_taken_over uuid[] := '{}';
    v_window_ids bigint[];
    v_began_at timestamptz := clock_timestamp();
    v_inserting_since timestamptz;
    v_overlaps jsonb := '[]';
    v_shadowed uuid[] := '{}';
    v_context jsonb;
begin
    perform holds.require_read_committed();
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

    if exists (select from holds.table_holds where id = p_booking_id) then
        -- A hold without a booking is owned by its own id: nobody else may pass for its owner.
        raise exception 'that booking id is the id of a hold' using errcode = '22023';
    end if;

    -- Sorted (rule 3), and each once: the same table twice would conflict with itself or be counted twice.
    select array_agg(distinct asked.table_id order by asked.table_id) into v_table_ids
    from unnest(p_table_ids) as asked (table_id);
    v_held_during := tstzrange(p_starts_at, p_ends_at, '[)');
    v_owner_id := coalesce(p_booking_id, v_hold_id);
    v_request_hash := sha256(convert_to(
        concat_ws('|', p_restaurant_id, coalesce(p_booking_id::text, '-'), v_table_ids::text,
            extract(epoch from p_starts_at), extract(epoch from p_ends_at)), 'UTF8'));

    select * into v_hold
    from holds.table_holds
    where restaurant_id = p_restaurant_id and idempotency_key = p_idempotency_key;
    if found then
        return holds.replay_of(v_hold, v_request_hash);
    end if;

    perform set_config('lock_timeout', p_lock_timeout_ms::text, true);
    <<attempt>>
    begin
        perform pg_advisory_xact_lock_shared(hashtextextended('holds.enforcement', 0));
        v_is_strict := holds.is_holds_strict_conflicts_enabled();

        -- A conflict that is committed already needs no insert to be found, and no lock to be waited for.
        v_overlaps := holds.overlaps_json(v_table_ids, v_held_during, v_owner_id);
        if v_is_strict and v_overlaps <> '[]' then
            raise exception sqlstate 'HW001';
        end if;

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
            -- The same key at the same moment: the other call made the hold.
            raise exception sqlstate 'HW001';
        end if;

        v_inserting_since := clock_timestamp();
        foreach v_table_id in array v_table_ids loop
            -- The timeout is for all waits together, not for each.
            perform set_config('lock_timeout', greatest(
                1, p_lock_timeout_ms - 1000 * extract(epoch from clock_timestamp() - v_began_at))::integer::text, true);
            -- Expire and insert table by table: expiring all first, then inserting, deadlocks.
            v_window_ids := array(
                select windows.id
                from holds.table_hold_windows as windows
                where windows.table_id = v_table_id
                    and windows.held_during && v_held_during
                    and windows.is_enforced
                    and windows.released_at is null
                    and windows.expires_at <= clock_timestamp()
                    and windows.owner_id <> v_owner_id
                order by windows.id
                for update
            );
            if v_window_ids <> '{}' then
                with released as (
                    update holds.table_hold_windows
                    set released_at = clock_timestamp()
                    where id = any(v_window_ids)
                    returning hold_id
                )
                select v_taken_over || array_agg(hold_id) into v_taken_over
                from released;
            end if;

            insert into holds.table_hold_windows (
                hold_id, restaurant_id, table_id, owner_id, held_during, expires_at
            )
            values (v_hold_id, p_restaurant_id, v_table_id, v_owner_id, v_held_during, v_hold.expires_at)
            -- Not by name: where somebody has dropped the constraint, holds go on, and the checks below the core cry out.
            on conflict do nothing;
            if not found then
                if v_is_strict then
                    raise exception sqlstate 'HW001';
                end if;
                -- Enforcement off is not blind: what strict mode would have refused is stored, and said.
                insert into holds.table_hold_windows (
                    hold_id, restaurant_id, table_id, owner_id, held_during, expires_at, is_enforced
                )
                values (
                    v_hold_id, p_restaurant_id, v_table_id, v_owner_id, v_held_during, v_hold.expires_at, false
                );
                v_shadowed := v_shadowed || v_table_id;
            end if;
        end loop;

        -- created_at was read before the constraint was checked. If the insert had to wait, a hold may have come and gone
        -- meanwhile, and the two lifetimes would seem to overlap: read the clock again. No two commits and a round trip fit
        -- into the time that is let pass here.
        if clock_timestamp() - v_inserting_since > interval '200 microseconds' then
            update holds.table_hold_windows set created_at = clock_timestamp() where hold_id = v_hold_id;
        end if;
        if v_shadowed <> '{}' or v_overlaps <> '[]' then
            update holds.table_holds set is_enforced = false where id = v_hold_id returning * into v_hold;
        end if;
    exception
        when sqlstate 'HW001' then
            v_result.outcome := 'conflict';
        when lock_not_available then
            v_result.outcome := 'cutoff';
    end attempt;

    v_context := p_event_context || holds.hold_context(v_hold_id, v_table_ids, v_held_during)
        || jsonb_build_object('attempt', p_attempt);

    if v_result.outcome is null then
        if v_taken_over <> '{}' then
            perform holds.mark_expired(v_taken_over);
        end if;
        v_result := holds.result_of(v_hold, 'held', holds.record_event(
            holds.derived_event_id(p_event_id, 'created'), p_attempted_at, 'capacity.hold.created', 'info', 'holds.core', p_restaurant_id, p_booking_id,
            v_context || jsonb_build_object('isEnforced', v_hold.is_enforced, 'expiresAt', v_hold.expires_at)
        ));
        if v_shadowed <> '{}' or v_overlaps <> '[]' then
            v_result.event_recorded := holds.record_event(
                holds.derived_event_id(p_event_id, 'shadow'), p_attempted_at, 'capacity.hold.strict_conflict', 'warning',
                'holds.core', p_restaurant_id, p_booking_id,
                v_context || jsonb_build_object(
                    'isShadow', true, 'conflicts', v_overlaps, 'shadowedTableIds', to_jsonb(v_shadowed),
                    'constraint', 'table_hold_windows_no_overlap', 'sqlstate', '23P01')
            ) and v_result.event_recorded;
        end if;
        return v_result;
    end if;

    if v_result.outcome = 'conflict' then
        -- Was it this very request, made at the same moment by a caller that asked twice?
        select * into v_hold
        from holds.table_holds
        where restaurant_id = p_restaurant_id and idempotency_key = p_idempotency_key;
        if found then
            return holds.replay_of(v_hold, v_request_hash);
        end if;
        -- The loser of a race finds the winner now; where that has gone already, the table alone is named.
        if v_overlaps = '[]' then
            v_overlaps := holds.overlaps_json(v_table_ids, v_held_during, v_owner_id);
        end if;
        if v_overlaps = '[]' then
            v_overlaps := jsonb_build_array(jsonb_build_object(
                'tableId', v_table_id, 'startsAt', p_starts_at, 'endsAt', p_ends_at));
        end if;
        v_result.event_recorded := holds.record_event(
            holds.derived_event_id(p_event_id, 'conflict'), p_attempted_at, 'capacity.hold.strict_conflict', 'warning',
            'holds.core', p_restaurant_id, p_booking_id,
            v_context || jsonb_build_object(
                'conflicts', v_overlaps, 'constraint', 'table_hold_windows_no_overlap', 'sqlstate', '23P01')
        ) and holds.record_event(
            holds.derived_event_id(p_event_id, 'rpc'), p_attempted_at, 'capacity.rpc.conflict', 'warning',
            'holds.core', p_restaurant_id, p_booking_id,
            v_context || jsonb_build_object('code', '23P01', 'reason', 'HOLD_CONFLICT')
        );
        select coalesce(jsonb_agg(conflict - 'holdId'), '[]') into v_result.conflicts
        from jsonb_array_elements(v_overlaps) as conflict;
    else
        v_result.conflicts := '[]';
        v_result.event_recorded := holds.record_event(
            holds.derived_event_id(p_event_id, 'cutoff'), p_attempted_at, 'capacity.rpc.conflict', 'warning',
            'holds.core', p_restaurant_id, p_booking_id,
            v_context || jsonb_build_object(
                'code', '55P03', 'reason', 'CUTOFF', 'lockTimeoutMs', p_lock_timeout_ms)
        );
    end if;
    v_result.table_ids := v_table_ids;
    v_result.starts_at := p_starts_at;
    v_result.ends_at := p_ends_at;
    return v_result;
end
$$;

comment on function holds.create_table_hold(
    uuid, uuid[], timestamptz, timestamptz, text, uuid, double precision, uuid, timestamptz, integer, integer, jsonb
) is
'Holds all of the tables or none. A conflict is an outcome, not an exception, so that its events commit with it.';

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
    v_result holds.table_hold_result;
    v_is_whole boolean;
begin
    perform set_config('lock_timeout', p_lock_timeout_ms::text, true);
    select * into v_hold from holds.table_holds where id = p_hold_id for update;
    if not found then
        v_result.outcome := 'not_found';
        return v_result;
    end if;
    if v_hold.status <> 'held' then
        return holds.result_of(v_hold, v_hold.status, true);
    end if;

    perform from holds.table_hold_windows where hold_id = p_hold_id order by table_id, id for update;
    -- Whoever took one of the tables over has released its window: then the hold has expired, however late the confirm
    -- believes to be in time.
    select v_hold.expires_at > clock_timestamp() and bool_and(windows.released_at is null) into v_is_whole
    from holds.table_hold_windows as windows
    where windows.hold_id = p_hold_id;
    if not v_is_whole then
        update holds.table_hold_windows
        set released_at = clock_timestamp()
        where hold_id = p_hold_id and released_at is null;
        perform holds.mark_expired(array[p_hold_id]);
        select * into v_hold from holds.table_holds where id = p_hold_id;
        return holds.result_of(v_hold, 'expired', true);
    end if;

    update holds.table_hold_windows set expires_at = null where hold_id = p_hold_id;
    update holds.table_holds
    set status = 'confirmed', confirmed_at = clock_timestamp(), expires_at = null
    where id = p_hold_id
    returning * into v_hold;
    return holds.result_of(v_hold, 'confirmed', holds.record_event(
        p_event_id, p_occurred_at, 'capacity.hold.confirmed', 'info', 'holds.core', v_hold.restaurant_id,
        v_hold.booking_id,
        v_hold.event_context || holds.hold_context(v_hold.id, v_hold.table_ids, v_hold.held_during)
    ));
end
$$;

comment on function holds.confirm_table_hold(uuid, uuid, timestamptz, integer) is
'Makes a hold lasting, unless it has expired. Confirming twice is harmless.';

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
    v_result holds.table_hold_result;
begin
    perform set_config('lock_timeout', p_lock_timeout_ms::text, true);
    select * into v_hold from holds.table_holds where id = p_hold_id for update;
    if not found then
        v_result.outcome := 'not_found';
        return v_result;
    end if;
    if v_hold.status in ('released', 'expired') then
        return holds.result_of(v_hold, v_hold.status, true);
    end if;

    perform from holds.table_hold_windows where hold_id = p_hold_id order by table_id, id for update;
    update holds.table_hold_windows
    set released_at = clock_timestamp()
    where hold_id = p_hold_id and released_at is null;
    update holds.table_holds
    set status = 'released', released_at = clock_timestamp()
    where id = p_hold_id
    returning * into v_hold;
    return holds.result_of(v_hold, 'released', holds.record_event(
        p_event_id, p_occurred_at, 'capacity.hold.released', 'info', 'holds.core', v_hold.restaurant_id,
        v_hold.booking_id,
        v_hold.event_context || holds.hold_context(v_hold.id, v_hold.table_ids, v_hold.held_during)
    ));
end
$$;

comment on function holds.release_table_hold(uuid, uuid, timestamptz, integer) is
'Frees the tables of a hold, confirmed or not. Releasing twice is harmless.';

create function holds.expire_table_holds(p_limit integer default 1000)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
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

    select coalesce(array_agg(distinct hold_id), '{}') into v_hold_ids
    from released;
    -- And headers that whoever took a window over had to skip.
    return holds.mark_expired(v_hold_ids || array(
        select id
        from holds.table_holds
        where status = 'held' and expires_at <= clock_timestamp()
        order by expires_at
        limit p_limit
    ));
end
$$;

comment on function holds.expire_table_holds(integer) is
'Ends holds whose time is over, up to a number of windows; returns how many holds it marked. Safe beside itself.';

-- Functions are callable by everybody unless somebody says otherwise.
revoke execute on all functions in schema holds from public;
grant execute on function holds.create_table_hold(
    uuid, uuid[], timestamptz, timestamptz, text, uuid, double precision, uuid, timestamptz, integer, integer, jsonb
) to holds_app;
grant execute on function holds.confirm_table_hold(uuid, uuid, timestamptz, integer) to holds_app;
grant execute on function holds.release_table_hold(uuid, uuid, timestamptz, integer) to holds_app;
grant execute on function holds.expire_table_holds(integer) to holds_app;
grant execute on function holds.find_hold_conflicts(uuid[], timestamptz, timestamptz, uuid)
to holds_app, holds_operator;
grant execute on function holds.is_holds_strict_conflicts_enabled() to holds_app, holds_operator;
grant execute on function holds.record_event(uuid, timestamptz, text, text, text, uuid, uuid, jsonb) to holds_app;
