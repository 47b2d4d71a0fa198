-- Whoever sweeps the holds makes the partitions of the days to come as well: an application that embeds the core alone has no
-- pipeline that would. Without a partition of its day an event is quarantined; the hold goes through all the same.

create function holds.tend_event_partitions(out partitions_made integer, out events_readmitted integer)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
declare
    c_days_ahead constant integer := 14;
    v_today date := (clock_timestamp() at time zone 'UTC')::date;
begin
    partitions_made := 0;
    events_readmitted := 0;
    -- As a rule they are there, and nobody waits for the lock.
    if exists (
        select from generate_series(0, c_days_ahead) as ahead (days)
        where to_regclass(
            format('holds.observability_events_%s', to_char(v_today + ahead.days, 'YYYYMMDD'))) is null
    ) then
        partitions_made := holds.ensure_event_partitions(v_today, v_today + c_days_ahead);
    end if;
    if partitions_made > 0 then
        events_readmitted := holds.readmit_quarantined_events();
    end if;
end
$$;

comment on function holds.tend_event_partitions() is
'Makes the partitions of today and the next 14 UTC days that are missing, and lets the events in that were '
'quarantined for want of them. `holdwatch holds sweep` calls it.';

revoke execute on all functions in schema holds from public;
grant execute on function holds.tend_event_partitions() to holds_app;
