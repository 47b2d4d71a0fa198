-- Finds double bookings from the rows themselves, whatever the constraint and the switch say.

-- The lifetimes of what has ended, table by table: written when a window ends, never when a hold is placed. (A clock that is
-- set back must not make a release fail: hence the lesser of the two.)
create index table_hold_windows_ended_lifetime on holds.table_hold_windows using gist (
    table_id, tstzrange(least(created_at, released_at), released_at)
) where released_at is not null;
create index table_hold_windows_created_at on holds.table_hold_windows using brin (created_at);

-- Since when the detector has looked at everything; one row.
create table holds.double_booking_checks (
    is_singleton boolean primary key default true,
    checked_until timestamptz not null,
    constraint double_booking_checks_one_row check (is_singleton)
);
insert into holds.double_booking_checks (checked_until) values ('-infinity');

-- Pairs of windows of different owners on one table that overlap in their windows and in their lifetimes, of which the later
-- one was made since a time. Ended ones count: nobody may have looked while they were live. Two lifetimes overlap where the
-- earlier one lasts at the moment in which the later begins: each pair is found from its later window.
create function holds.double_bookings_since(p_since timestamptz)
returns table (
    restaurant_id uuid,
    table_id uuid,
    first_hold_id uuid,
    second_hold_id uuid,
    first_window_id bigint,
    second_window_id bigint,
    shared_during tstzrange,
    began_at timestamptz,
    is_live boolean
)
language sql
volatile
as $$
    with recent as (
        select *
        from holds.table_hold_windows
        where created_at >= p_since
    ),

    pairs as (
        select recent.id as recent_id, other.*
        from recent
        cross join lateral (
            select live.*
            from holds.table_hold_windows as live
            where live.table_id = recent.table_id
                and live.held_during && recent.held_during
                and live.is_enforced
                and live.released_at is null
            union all
            select unenforced.*
            from holds.table_hold_windows as unenforced
            where unenforced.table_id = recent.table_id
                and unenforced.held_during && recent.held_during
                and not unenforced.is_enforced
                and unenforced.released_at is null
            union all
            select ended.*
            from holds.table_hold_windows as ended
            where ended.table_id = recent.table_id
                and tstzrange(least(ended.created_at, ended.released_at), ended.released_at) @> recent.created_at
                and ended.released_at is not null
                and ended.held_during && recent.held_during
        ) as other
        where other.owner_id <> recent.owner_id
            and (other.created_at, other.id) < (recent.created_at, recent.id)
            and recent.created_at < least(other.released_at, other.expires_at, 'infinity')
            -- One that was over before it began, such as a hold for no time at all, met nobody.
            and recent.created_at < least(recent.released_at, recent.expires_at, 'infinity')
    )

    select
        recent.restaurant_id,
        recent.table_id,
        case when recent.id < pairs.id then recent.hold_id else pairs.hold_id end,
        case when recent.id < pairs.id then pairs.hold_id else recent.hold_id end,
        least(recent.id, pairs.id),
        greatest(recent.id, pairs.id),
        recent.held_during * pairs.held_during,
        greatest(recent.created_at, pairs.created_at),
        recent.released_at is null and pairs.released_at is null
            and least(recent.expires_at, pairs.expires_at, 'infinity') > clock_timestamp()
    from pairs
    inner join recent on recent.id = pairs.recent_id
$$;

create function holds.detect_double_bookings()
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
declare
    -- A window carries the time of its insert, and is seen after its commit: look again at what is younger than any
    -- transaction that places a hold may be.
    c_overlap constant interval := '5 minutes';
    v_until timestamptz := clock_timestamp();
    v_since timestamptz;
    v_pair record;
    v_count integer := 0;
begin
    -- Two at once would find the same; the second finds nothing new.
    select checked_until - c_overlap into v_since from holds.double_booking_checks for update;
    for v_pair in
        select * from holds.double_bookings_since(v_since)
    loop
        -- Once per pair: identity is made from the pair, and an event that is there is not stored again.
        continue when exists (
            select
            from holds.observability_events
            where id = holds.derived_event_id(md5(v_pair.first_window_id || '+' || v_pair.second_window_id)::uuid, 'double')
                and occurred_at = v_pair.began_at
        );
        if holds.emit(
            holds.derived_event_id(md5(v_pair.first_window_id || '+' || v_pair.second_window_id)::uuid, 'double'),
            v_pair.began_at, 'capacity.hold.double_booking', 'critical', 'holds.detector', v_pair.restaurant_id, null,
            jsonb_build_object(
                'holdId', v_pair.first_hold_id,
                'otherHoldId', v_pair.second_hold_id,
                'tableId', v_pair.table_id,
                'overlap', jsonb_build_object(
                    'startsAt', lower(v_pair.shared_during), 'endsAt', upper(v_pair.shared_during)))
        ) then
            v_count := v_count + 1;
        end if;
    end loop;
    update holds.double_booking_checks set checked_until = v_until;
    return v_count;
end
$$;

comment on function holds.detect_double_bookings() is
'Records capacity.hold.double_booking, once per pair of windows, for what was made since the last call; returns how '
'many are new.';

revoke execute on function holds.double_bookings_since(timestamptz) from public;
revoke execute on function holds.detect_double_bookings() from public;
grant execute on function holds.detect_double_bookings() to holds_app, holds_operator;
