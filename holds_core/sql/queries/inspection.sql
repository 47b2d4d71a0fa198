-- What people look at: `holdwatch holds`.

-- name: list_holds
select
    id, restaurant_id, booking_id, status, cardinality(table_ids) as table_count, lower(held_during) as starts_at,
    upper(held_during) as ends_at, is_enforced, created_at, expires_at
from holds.table_holds
where
    (%(restaurant_id)s::uuid is null or restaurant_id = %(restaurant_id)s)
    and (%(status)s::text is null or status = %(status)s)
order by created_at desc
limit %(limit)s;

-- name: show_hold
select
    id, restaurant_id, booking_id, status, table_ids, lower(held_during) as starts_at, upper(held_during) as ends_at,
    is_enforced, created_at, expires_at, confirmed_at, released_at, idempotency_key, event_context
from holds.table_holds
where id = %(hold_id)s;

-- name: double_bookings
-- Every overlapping pair of live windows of different owners, whatever the constraint or the switch says; and those that have
-- ended of which one was made since a time. Whose overlap begins first comes first.
select
    one.restaurant_id, one.table_id, one.hold_id as first_hold_id, two.hold_id as second_hold_id,
    greatest(lower(one.held_during), lower(two.held_during)) as overlap_starts_at,
    least(upper(one.held_during), upper(two.held_during)) as overlap_ends_at,
    greatest(one.created_at, two.created_at) as began_at,
    true as is_live
from holds.table_hold_windows as one
inner join holds.table_hold_windows as two
    on
        one.table_id = two.table_id
        and one.held_during && two.held_during
        and one.id < two.id
        and one.owner_id <> two.owner_id
where
    one.released_at is null
    and two.released_at is null
    and (one.expires_at is null or one.expires_at > clock_timestamp())
    and (two.expires_at is null or two.expires_at > clock_timestamp())
union all
select
    restaurant_id, table_id, first_hold_id, second_hold_id,
    lower(shared_during) as overlap_starts_at,
    upper(shared_during) as overlap_ends_at,
    began_at, is_live
from holds.double_bookings_since(coalesce(%(since)s::timestamptz, 'infinity'))
where not is_live
order by overlap_starts_at, began_at, first_hold_id, second_hold_id
limit %(limit)s;

-- name: is_sweep_due
select
    holds.are_flags_due()
    or exists (
        select from holds.table_hold_windows
        where released_at is null and expires_at <= clock_timestamp()
    )
    or exists (
        select from holds.table_holds
        where status = 'held' and expires_at <= clock_timestamp()
    )
    or exists (
        select from holds.table_hold_windows
        where not is_enforced and released_at is null
    )
    or exists (
        select from holds.table_hold_windows
        where created_at > (select checks.checked_until from holds.double_booking_checks as checks)
    );

-- name: last_event_partition
-- The last day whose events can be stored.
select max(to_date(right(parts.inhrelid::regclass::text, 8), 'YYYYMMDD'))
from pg_inherits as parts
where parts.inhparent = 'holds.observability_events'::regclass;

-- name: restaurants_beginning
-- Those from one id to another that have holds, each by a jump in the index: holds may be millions.
with recursive jumps as (
    (
        select restaurant_id
        from holds.table_holds
        where restaurant_id >= %(first)s
        order by restaurant_id
        limit 1
    )
    union all
    select (
        select holds.restaurant_id
        from holds.table_holds as holds
        where holds.restaurant_id > jumps.restaurant_id
        order by holds.restaurant_id
        limit 1
    )
    from jumps
    where jumps.restaurant_id < %(last)s
)

select restaurant_id
from jumps
where restaurant_id <= %(last)s
order by restaurant_id
limit %(limit)s;

-- name: extension_state
-- No row where the server does not have it; NULL where this database does not.
select installed_version
from pg_available_extensions
where name = 'btree_gist';

-- name: roles_of_login
-- What the login is here, by inheritance as well; no row where it is nothing. The owner, and a superuser, is all of it.
with owners as (
    select pg_has_role(namespaces.nspowner, 'member') as is_owner
    from pg_namespace as namespaces
    where namespaces.nspname = 'holds'
)

select 'the owner' as role_name
from owners
where owners.is_owner
union all
select group_roles.rolname::text as role_name
from pg_roles as group_roles
cross join owners
where
    not owners.is_owner
    and group_roles.rolname in ('analytics_reader', 'holds_app', 'holds_operator')
    and pg_has_role(group_roles.oid, 'member')
order by role_name;

-- name: last_refresh
-- When the rollup was refreshed that has waited longest.
select min(refreshed_at)
from analytics.rollup_positions;

-- name: blocked_pipelines
-- The environments whose last run a gate stopped, and why.
select
    environment,
    blocked_reason
from analytics.pipeline_freshness
where is_blocked
order by environment;

-- name: last_ended_run
-- When the last run of the pipeline ended, well or not, in the environment that this database serves.
select greatest(freshness.last_run_succeeded_at, freshness.last_run_failed_at) as ended_at
from analytics.pipeline_freshness as freshness
inner join analytics.int_alert_clock as clock on freshness.environment = clock.stored_environment;

-- name: firing_alerts
-- What wakes people comes first.
select
    alert,
    severity,
    environment
from analytics.alert_evaluations
where is_firing
order by severity, alert, environment;

-- name: stopped_schedules
-- What somebody switched off in Dagster: schedules, and sensors.
select instigator_body::jsonb -> 'origin' ->> 'job_name' as schedule_name
from dagster.instigators
where status = 'STOPPED'
order by schedule_name;

-- name: last_heartbeat
-- The last sign of life of Dagster's daemons: of the one among them that decides what is due.
select max(timestamp) at time zone 'UTC' as last_heartbeat_at
from dagster.daemon_heartbeats
where daemon_type = 'SCHEDULER';
