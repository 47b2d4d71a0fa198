-- The detector passes nothing by: neither what a long transaction commits late, nor what could not be recorded. Replaces the
-- function of 0010.

-- What was made before seen_until is all visible once every transaction before seen_xid has ended.
alter table holds.double_booking_checks
add column seen_until timestamptz not null default '-infinity',
add column seen_xid xid8 not null default '0';

create or replace function holds.detect_double_bookings()
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
declare
    -- A window carries the clock's time, and clocks are set back a little now and then.
    c_overlap constant interval := '1 minute';
    v_until timestamptz := clock_timestamp();
    v_check record;
    v_checked_until timestamptz;
    v_pair record;
    v_count integer := 0;
begin
    -- Two at once would find the same; the second finds nothing new.
    select * into v_check from holds.double_booking_checks for update;
    -- A window carries the time of its insert, and is seen after its commit. What was made before the last call is all seen
    -- once every transaction of that time has ended, however long it lasted. (Restored from a dump, the last call is of another
    -- count of transactions.)
    v_checked_until := v_check.checked_until;
    if v_check.seen_xid <= pg_snapshot_xmin(pg_current_snapshot()) or v_check.seen_xid > pg_current_xact_id() then
        v_checked_until := v_check.seen_until;
    end if;
    for v_pair in
        select * from holds.double_bookings_since(v_check.checked_until - c_overlap)
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
        elsif v_pair.began_at > v_until - interval '90 days' then
            -- It is found, and cannot be said now: the next call finds it again. (For what is older there is no partition.)
            v_checked_until := least(v_checked_until, v_pair.began_at);
        end if;
    end loop;
    update holds.double_booking_checks
    set checked_until = v_checked_until, seen_until = v_until, seen_xid = pg_current_xact_id();
    return v_count;
end
$$;

revoke execute on all functions in schema holds from public;
grant execute on function holds.detect_double_bookings() to holds_app, holds_operator;
