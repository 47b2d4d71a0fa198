-- name: lock_migrations
select pg_advisory_lock(hashtextextended('holdwatch.migrations', 0));

-- name: unlock_migrations
select pg_advisory_unlock(hashtextextended('holdwatch.migrations', 0));

-- name: create_migrations_table
create table if not exists public.holdwatch_migrations (
    number integer primary key,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default clock_timestamp()
);

-- name: list_migrations
select number, name, checksum
from public.holdwatch_migrations
order by number;

-- name: insert_migration
insert into public.holdwatch_migrations (number, name, checksum)
values (%(number)s, %(name)s, %(checksum)s);

-- name: has_schema
select to_regclass('holds.settings') is not null;

-- name: insert_settings
insert into holds.settings (environment)
values (%(environment)s)
on conflict (is_singleton) do nothing;

-- name: stored_environment
select environment
from holds.settings;

-- name: change_environment
select holds.change_environment(%(environment)s);

-- name: ensure_event_partitions
select holds.ensure_event_partitions(%(first_day)s, %(last_day)s);
