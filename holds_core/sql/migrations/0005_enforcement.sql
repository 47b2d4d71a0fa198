-- The kill switch, and the proof that the constraint is in force.

-- Live windows that the constraint does not watch, each with every live window of another owner it overlaps.
create function holds.unenforced_overlap_count()
returns bigint
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select count(*)
    from holds.table_hold_windows as unenforced
    cross join lateral holds.live_overlaps(
        array[unenforced.table_id], unenforced.held_during, unenforced.owner_id
    ) as other
    where not unenforced.is_enforced
        and unenforced.released_at is null
        and (unenforced.expires_at is null or unenforced.expires_at > clock_timestamp())
$$;

create function holds.set_hold_conflict_enforcement(enabled boolean, reason text default null)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
declare
    v_was_enabled boolean;
    v_overlap_count bigint;
    v_window_ids bigint[];
begin
    perform holds.require_read_committed();
    if enabled is null then
        raise exception 'enabled must be true or false' using errcode = '22023';
    end if;
    if enabled then
        -- Every create that believes enforcement to be off must end before overlaps are looked for. Switching off waits
        -- for nobody: a stuck transaction must not stand between ops and the kill switch.
        -- And while this waits, so does every later create: it gives up soon (see lock_timeout above).
        perform pg_advisory_xact_lock(hashtextextended('holds.enforcement', 0));

        -- What has expired is in nobody's way any more.
        v_window_ids := array(
            select id
            from holds.table_hold_windows
            where released_at is null and expires_at <= clock_timestamp()
            order by table_id, id
            for update
        );
        with released as (
            update holds.table_hold_windows
            set released_at = clock_timestamp()
            where id = any(v_window_ids)
            returning hold_id
        )
        select holds.mark_expired(coalesce(array_agg(distinct hold_id), '{}')) into v_overlap_count
        from released;

        v_overlap_count := holds.unenforced_overlap_count();
        if v_overlap_count > 0 then
            raise exception 'enforcement stays off: overlaps of live windows were made meanwhile (%)', v_overlap_count
                using errcode = '55000',
                hint = 'List them with: holdwatch holds conflicts; end one of each pair with: holdwatch holds release ID';
        end if;
        -- What overlaps nothing any more comes under the constraint.
        update holds.table_hold_windows set is_enforced = true where not is_enforced and released_at is null;
    end if;

    select is_strict_conflicts_enabled into v_was_enabled from holds.settings for update;
    if not found then
        raise exception 'the settings of this database are missing; run: holdwatch db migrate' using errcode = '55000';
    end if;
    if v_was_enabled = enabled then
        return enabled;
    end if;
    update holds.settings
    set is_strict_conflicts_enabled = enabled, updated_at = clock_timestamp();
    perform holds.record_event(
        gen_random_uuid(), clock_timestamp(), 'capacity.enforcement.changed',
        case when enabled then 'info' else 'warning' end, 'holds.core', null, null,
        jsonb_build_object('enabled', enabled, 'reason', reason, 'changedBy', session_user)
    );
    return enabled;
end
$$;

comment on function holds.set_hold_conflict_enforcement(boolean, text) is
'The kill switch. Off takes effect at once; on first waits for creates in flight, and refuses while overlaps are live.';

-- Every reason to doubt that overlaps are refused; no row means that they are. A function, so that an application can ask
-- at start-up without being allowed to read a table.
create function holds.enforcement_problems()
returns setof text
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    c_expected constant text := 'EXCLUDE USING gist (table_id WITH =, owner_id WITH <>, held_during WITH &&) '
        'WHERE ((is_enforced AND (released_at IS NULL)))';
    v_definition text;
    v_is_valid boolean;
    v_holds uuid[] := array[gen_random_uuid(), gen_random_uuid()];
    v_table_id uuid := gen_random_uuid();
    v_held_during tstzrange := tstzrange('2000-01-01 00:00+00', '2000-01-01 01:00+00', '[)');
begin
    select pg_get_constraintdef(constraints.oid), indexes.indisvalid and indexes.indisready
    into v_definition, v_is_valid
    from pg_constraint as constraints
    inner join pg_index as indexes on constraints.conindid = indexes.indexrelid
    where constraints.conrelid = 'holds.table_hold_windows'::regclass
        and constraints.conname = 'table_hold_windows_no_overlap';
    if v_definition is null then
        return next 'the constraint table_hold_windows_no_overlap is missing';
    elsif v_definition <> c_expected then
        return next 'the constraint table_hold_windows_no_overlap is not as it was made: ' || v_definition;
    elsif not v_is_valid then
        return next 'the index behind table_hold_windows_no_overlap is not valid';
    end if;
    if not holds.is_holds_strict_conflicts_enabled() then
        return next 'strict conflicts are switched off';
    elsif holds.unenforced_overlap_count() > 0 then
        return next 'live windows overlap that the constraint does not watch';
    end if;

    -- The proof: two bookings, one table, one window. Either way nothing of it stays.
    begin
        insert into holds.table_holds (
            id, restaurant_id, owner_id, idempotency_key, request_hash, table_ids, held_during, is_enforced, expires_at
        )
        select
            probe.id, v_table_id, probe.id, probe.id::text, '', array[v_table_id], v_held_during, true,
            clock_timestamp()
        from unnest(v_holds) as probe (id);
        insert into holds.table_hold_windows (hold_id, restaurant_id, table_id, owner_id, held_during)
        select probe.id, v_table_id, v_table_id, probe.id, v_held_during
        from unnest(v_holds) as probe (id);
        raise sqlstate 'HW002';
    exception
        when exclusion_violation then null;
        when sqlstate 'HW002' then return next 'two overlapping windows of different bookings were accepted';
    end;
end
$$;

comment on function holds.enforcement_problems() is
'Every reason to doubt that overlapping holds are refused, by constraint, index, switch and a probe. No row: they are.';

revoke execute on all functions in schema holds from public;
grant execute on function holds.set_hold_conflict_enforcement(boolean, text) to holds_operator;
grant execute on function holds.enforcement_problems() to holds_app, holds_operator;
