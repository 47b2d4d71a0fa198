-- A restaurant that is switched off by itself is named, wherever it is said what is in force: by the status of the switch, and by
-- the proof. What no switch mends is asked for by itself, too. Replaces a function of 0009.

-- Restaurants that are set apart from what is approved for all: not strict where some are to be, or strict where not all are.
-- Each row counts all of them. Who, when and why is what the trail says last of whatever put it into force.
create function holds.restaurants_apart(p_limit integer default null)
returns table (
    restaurant_id uuid,
    is_strict boolean,
    is_killed boolean,
    changed_at timestamptz,
    changed_by text,
    reason text,
    restaurant_count bigint
)
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    with apart as (
        select
            stored.restaurant_id,
            stored.is_strict,
            stored.updated_at,
            settings.environment,
            count(*) over () as restaurant_count
        from holds.restaurant_settings as stored
        cross join holds.settings
        where
            (not stored.is_strict and settings.strict_percentage > 0)
            or (stored.is_strict and settings.strict_percentage < 100)
        order by stored.is_strict, stored.updated_at desc, stored.restaurant_id
        limit p_limit
    ),

    said as (
        select distinct on (entries.restaurant_id)
            entries.restaurant_id,
            entries.at,
            coalesce(entries.person, entries.login) as changed_by,
            entries.reason
        from holds.flag_audit as entries
        inner join apart
            on entries.restaurant_id = apart.restaurant_id and entries.environment = apart.environment
        where
            entries.flag = 'holds.strictConflicts'
            and entries.action in (
                'set directly', 'found', 'killed', 'kill switch taken back', 'applied', 'break-glass', 'break-glass ended'
            )
        order by entries.restaurant_id, entries.at desc, entries.position desc nulls first
    )

    select
        apart.restaurant_id,
        apart.is_strict,
        holds.is_flag_killed(apart.environment, 'holds.strictConflicts', apart.restaurant_id),
        coalesce(said.at, apart.updated_at),
        said.changed_by,
        said.reason,
        apart.restaurant_count
    from apart
    left join said on apart.restaurant_id = said.restaurant_id
    order by apart.is_strict, coalesce(said.at, apart.updated_at) desc, apart.restaurant_id
$$;

comment on function holds.restaurants_apart(integer) is
'Restaurants whose strict conflicts are switched otherwise than approved for all: since when, by whom, why, and '
'whether by the kill switch. At most so many; each row counts all.';

-- What of enforcement_problems no switch mends, as in 0009.
create function holds.guard_problems()
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

comment on function holds.guard_problems() is
'Every reason to doubt that the constraint refuses what it watches: its definition, its index, and a probe. '
'No row: it does.';

-- As in 0009, with the restaurants named.
create or replace function holds.enforcement_problems()
returns setof text
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    c_named constant integer := 5;
    v_percentage integer;
    v_apart text;
begin
    return query select holds.guard_problems();
    select strict_percentage into v_percentage from holds.settings;
    if not holds.is_holds_strict_conflicts_enabled() then
        return next 'strict conflicts are switched off';
    elsif v_percentage < 100 then
        return next format('strict conflicts are on for %s %% of the restaurants only', v_percentage);
    elsif exists (select from holds.restaurant_settings where not is_strict) then
        select
            format('strict conflicts are off for %s restaurants: ', max(apart.restaurant_count))
            || string_agg(apart.restaurant_id::text, ', ')
            || case when max(apart.restaurant_count) > c_named then ', …' else '' end
        into v_apart
        from holds.restaurants_apart(c_named) as apart;
        return next replace(v_apart, ' 1 restaurants: ', ' restaurant ');
    elsif exists (select from holds.unenforced_overlaps()) then
        return next 'live windows overlap that the constraint does not watch';
    end if;
end
$$;

comment on function holds.enforcement_problems() is
'Every reason to doubt that overlapping holds are refused, by constraint, index, switch and a probe, with the '
'restaurants that are off by themselves. No row: they are refused.';

revoke execute on all functions in schema holds from public;
grant execute on function holds.restaurants_apart(integer) to holds_app, holds_operator;
grant execute on function holds.guard_problems() to holds_app, holds_operator;
