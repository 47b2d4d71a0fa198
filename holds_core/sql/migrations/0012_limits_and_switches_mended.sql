-- A limit that is changed counts from now on, and becoming strict looks at those that become it. Replaces functions of 0006
-- and 0009.

-- Seconds until a bucket that runs empty at a time has room for one more hold; 0 or less where it has. One that is fuller than
-- full was filled under another limit, or before the clock was set back: it counts as empty.
create or replace function holds.rate_limit_wait(
    p_empty_at timestamptz, p_max_holds integer, p_per_seconds double precision
)
returns double precision
language sql
volatile
as $$
    select case when filled.seconds <= p_per_seconds then filled.seconds else 0 end
        - p_per_seconds * (p_max_holds - 1) / p_max_holds
    from (select extract(epoch from p_empty_at - clock_timestamp())::double precision as seconds) as filled
$$;

-- Counts one hold. It is the last thing that a create locks, for the length of a commit, so that the holds of a restaurant
-- do not queue up behind one that waits for a table; and a hold that is refused or undone counts for nothing.
create or replace function holds.count_hold(p_restaurant_id uuid, p_max_holds integer, p_per_seconds double precision)
returns boolean
language plpgsql
as $$
begin
    insert into holds.hold_rates as rates (restaurant_id, empty_at)
    values (p_restaurant_id, clock_timestamp() + make_interval(secs => p_per_seconds / p_max_holds))
    on conflict (restaurant_id) do update
    set empty_at = make_interval(secs => p_per_seconds / p_max_holds) + case
            when rates.empty_at > clock_timestamp() + make_interval(secs => p_per_seconds) then clock_timestamp()
            else greatest(rates.empty_at, clock_timestamp())
        end
    where holds.rate_limit_wait(rates.empty_at, p_max_holds, p_per_seconds) <= 0;
    return found;
end
$$;

drop function holds.settle_overlaps(text);

-- What becoming strict means for those restaurants that become it: refused while windows of theirs overlap, unless those are
-- grandfathered. Returns how many overlaps were.
--   p_restaurant_id: the only one that may become strict; NULL: any may.
--   p_from_percentage: below it a bucket was strict before; NULL: none was.
create function holds.settle_overlaps(
    p_overlaps text, p_restaurant_id uuid default null, p_from_percentage integer default null
)
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
    where pairs.restaurant_id = coalesce(p_restaurant_id, pairs.restaurant_id)
        and holds.is_hold_strict_for(pairs.restaurant_id)
        and (
            p_from_percentage is null
            or (
                holds.rollout_bucket('holds.strictConflicts', pairs.restaurant_id) >= p_from_percentage
                and not exists (
                    select
                    from holds.restaurant_settings as overrides
                    where overrides.restaurant_id = pairs.restaurant_id and overrides.is_strict
                )
            )
        );
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

create or replace function holds.set_hold_conflict_rollout(
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
        v_grandfathered := holds.settle_overlaps(on_overlap, p_from_percentage => v_was);
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

create or replace function holds.set_restaurant_enforcement(
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
        v_grandfathered := holds.settle_overlaps(
            set_restaurant_enforcement.on_overlap, set_restaurant_enforcement.restaurant_id);
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

revoke execute on all functions in schema holds from public;
