-- Switching on over overlaps that exist, restaurant by restaurant, and who switched last. Replaces the functions of 0005.

drop function holds.set_hold_conflict_enforcement(boolean, text);
drop function holds.unenforced_overlap_count();

-- Live windows beside the constraint, each with every live window of another owner it overlaps.
create function holds.unenforced_overlaps()
returns table (restaurant_id uuid, table_id uuid, hold_id uuid, other_hold_id uuid)
language sql
volatile
as $$
    select unenforced.restaurant_id, unenforced.table_id, unenforced.hold_id, other.hold_id
    from holds.table_hold_windows as unenforced
    cross join lateral holds.live_overlaps(
        array[unenforced.table_id], unenforced.held_during, unenforced.owner_id
    ) as other
    where not unenforced.is_enforced
        and unenforced.released_at is null
        and (unenforced.expires_at is null or unenforced.expires_at > clock_timestamp())
$$;

-- What becoming strict means for the restaurants that are strict by the settings as they are now: refused while windows of
-- theirs overlap, unless those are grandfathered. Returns how many overlaps were.
create function holds.settle_overlaps(p_overlaps text)
returns bigint
language plpgsql
as $$
declare
    v_window_ids bigint[];
    v_overlap_count bigint;
    v_ignored integer;
begin
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
    select holds.mark_expired(coalesce(array_agg(distinct hold_id), '{}')) into v_ignored
    from released;

    select count(*) into v_overlap_count
    from holds.unenforced_overlaps() as pairs
    where holds.is_hold_strict_for(pairs.restaurant_id);
    if v_overlap_count > 0 and p_overlaps = 'refuse' then
        raise exception 'enforcement stays as it is: overlaps of live windows were made meanwhile (%)', v_overlap_count
            using errcode = '55000',
            hint = 'List them with: holdwatch holds conflicts; end one of each pair with: holdwatch holds release ID; '
                'or let them end by themselves with: --overlaps grandfather';
    end if;
    -- What overlaps nothing any more comes under the constraint; the others follow as they end.
    v_ignored := holds.promote_windows();
    return v_overlap_count;
end
$$;

-- Every create that believes the restaurant not to be strict must end before overlaps are looked for. Switching off waits
-- for nobody: a stuck transaction must not stand between ops and the kill switch. While this waits, so does every later
-- create: it gives up soon (the callers' lock_timeout).
create function holds.drain_creates()
returns void
language plpgsql
as $$
begin
    perform pg_advisory_xact_lock(hashtextextended('holds.enforcement', 0));
end
$$;

create function holds.require_overlaps_choice(p_overlaps text)
returns void
language plpgsql
as $$
begin
    if p_overlaps is null or p_overlaps not in ('refuse', 'grandfather') then
        raise exception 'on_overlap must be ''refuse'' or ''grandfather''' using errcode = '22023';
    end if;
end
$$;

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
    v_was_enabled boolean;
    v_grandfathered bigint := 0;
begin
    perform holds.require_read_committed();
    perform holds.require_overlaps_choice(on_overlap);
    if enabled is null then
        raise exception 'enabled must be true or false' using errcode = '22023';
    end if;
    if enabled then
        perform holds.drain_creates();
    end if;
    select is_strict_conflicts_enabled into v_was_enabled from holds.settings for update;
    if not found then
        raise exception 'the settings of this database are missing; run: holdwatch db migrate' using errcode = '55000';
    end if;
    if v_was_enabled = enabled then
        if enabled then
            perform holds.promote_windows();
        end if;
        return enabled;
    end if;
    update holds.settings
    set is_strict_conflicts_enabled = enabled, updated_at = clock_timestamp(), changed_by = session_user,
        change_reason = reason;
    if enabled then
        v_grandfathered := holds.settle_overlaps(on_overlap);
    end if;
    perform holds.emit(
        gen_random_uuid(), clock_timestamp(), 'capacity.enforcement.changed',
        case when enabled then 'info' else 'warning' end, 'holds.core', null, null,
        jsonb_build_object(
            'enabled', enabled, 'reason', reason, 'changedBy', session_user, 'grandfatheredOverlaps', v_grandfathered)
    );
    return enabled;
end
$$;

comment on function holds.set_hold_conflict_enforcement(boolean, text, text) is
'The kill switch. Off takes effect at once. On first waits for creates in flight; live overlaps made meanwhile refuse '
'it, or are grandfathered: they stay, later holds are refused beside them, each is promoted when it overlaps no more.';

create function holds.set_hold_conflict_rollout(
    percentage integer, reason text default null, on_overlap text default 'refuse'
)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
declare
    v_was integer;
    v_grandfathered bigint := 0;
begin
    perform holds.require_read_committed();
    perform holds.require_overlaps_choice(on_overlap);
    if not coalesce(percentage between 0 and 100, false) then
        raise exception 'the percentage must be 0 to 100' using errcode = '22023';
    end if;
    -- Not below the switch's own lock: whether it is raised is only known afterwards, and draining is harmless.
    if percentage > (select strict_percentage from holds.settings) then
        perform holds.drain_creates();
    end if;
    select strict_percentage into v_was from holds.settings for update;
    if v_was = percentage then
        return percentage;
    end if;
    update holds.settings
    set strict_percentage = percentage, updated_at = clock_timestamp(), changed_by = session_user, change_reason = reason;
    if percentage > v_was then
        -- Somebody lowered it between the two reads: then this raises it after all.
        perform holds.drain_creates();
        v_grandfathered := holds.settle_overlaps(on_overlap);
    end if;
    perform holds.emit(
        gen_random_uuid(), clock_timestamp(), 'capacity.enforcement.changed', 'info', 'holds.core', null, null,
        jsonb_build_object(
            'percentage', percentage, 'from', v_was, 'reason', reason, 'changedBy', session_user,
            'enabled', (select is_strict_conflicts_enabled from holds.settings), 'grandfatheredOverlaps', v_grandfathered)
    );
    return percentage;
end
$$;

comment on function holds.set_hold_conflict_rollout(integer, text, text) is
'Of a hundred restaurants, how many are strict while strict conflicts are on; by bucket, so that raising it only adds.';

create function holds.set_restaurant_enforcement(
    restaurant_id uuid, is_strict boolean, reason text default null, on_overlap text default 'refuse'
)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
#variable_conflict use_column
declare
    v_grandfathered bigint := 0;
begin
    perform holds.require_read_committed();
    perform holds.require_overlaps_choice(set_restaurant_enforcement.on_overlap);
    if set_restaurant_enforcement.restaurant_id is null then
        raise exception 'name a restaurant' using errcode = '22023';
    end if;
    if set_restaurant_enforcement.is_strict is distinct from false then
        perform holds.drain_creates();
    end if;
    insert into holds.restaurant_settings as stored (restaurant_id, is_strict)
    values (set_restaurant_enforcement.restaurant_id, set_restaurant_enforcement.is_strict)
    on conflict (restaurant_id) do update
    set is_strict = excluded.is_strict, updated_at = clock_timestamp();
    if set_restaurant_enforcement.is_strict is distinct from false then
        v_grandfathered := holds.settle_overlaps(set_restaurant_enforcement.on_overlap);
    end if;
    perform holds.emit(
        gen_random_uuid(), clock_timestamp(), 'capacity.enforcement.changed', 'info', 'holds.core',
        set_restaurant_enforcement.restaurant_id, null,
        jsonb_build_object(
            'isStrict', set_restaurant_enforcement.is_strict, 'reason', set_restaurant_enforcement.reason,
            'changedBy', session_user, 'grandfatheredOverlaps', v_grandfathered)
    );
    return holds.is_hold_strict_for(set_restaurant_enforcement.restaurant_id);
end
$$;

comment on function holds.set_restaurant_enforcement(uuid, boolean, text, text) is
'Makes one restaurant strict or not, whatever its bucket; NULL goes back to the bucket. The kill switch is above it.';

create function holds.enforcement_status()
returns table (
    is_enabled boolean,
    strict_percentage integer,
    changed_at timestamptz,
    changed_by text,
    reason text,
    unenforced_window_count bigint,
    overlap_count bigint
)
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select
        settings.is_strict_conflicts_enabled,
        settings.strict_percentage,
        case when settings.changed_by is not null then settings.updated_at end,
        settings.changed_by,
        settings.change_reason,
        (
            select count(*)
            from holds.table_hold_windows
            where not is_enforced and released_at is null and (expires_at is null or expires_at > clock_timestamp())
        ),
        (select count(*) from holds.unenforced_overlaps())
    from holds.settings
$$;

comment on function holds.enforcement_status() is
'The switch: whether it is on, for how many in a hundred restaurants, who switched last and why, and what is beside '
'the constraint: live windows made while it was off, and how many overlaps they make.';

-- As in 0005, with the rollout said too.
create or replace function holds.enforcement_problems()
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
    v_percentage integer;
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
    select strict_percentage into v_percentage from holds.settings;
    if not holds.is_holds_strict_conflicts_enabled() then
        return next 'strict conflicts are switched off';
    elsif v_percentage < 100 then
        return next format('strict conflicts are on for %s %% of the restaurants only', v_percentage);
    elsif exists (select from holds.restaurant_settings where not is_strict) then
        return next 'strict conflicts are off for some restaurants';
    elsif exists (select from holds.unenforced_overlaps()) then
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

revoke execute on all functions in schema holds from public;
grant execute on function holds.set_hold_conflict_enforcement(boolean, text, text) to holds_operator;
grant execute on function holds.set_hold_conflict_rollout(integer, text, text) to holds_operator;
grant execute on function holds.set_restaurant_enforcement(uuid, boolean, text, text) to holds_operator;
grant execute on function holds.enforcement_status() to holds_app, holds_operator;
