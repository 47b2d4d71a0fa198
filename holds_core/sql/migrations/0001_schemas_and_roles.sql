-- Schemas, the extension the exclusion constraint needs, and the roles of least privilege.
create extension if not exists btree_gist;

create schema if not exists holds;
create schema if not exists analytics;
create schema if not exists dagster;

-- Roles belong to the server, not to one database: another database may have made them already, or be making them now.
do $$
declare
    v_role text;
begin
    foreach v_role in array array['holds_app', 'holds_operator', 'analytics_reader'] loop
        begin
            execute format('create role %I nologin', v_role);
        exception
            when duplicate_object or unique_violation then null;
        end;
    end loop;
end
$$;

revoke all on schema holds, analytics, dagster from public;
grant usage on schema holds to holds_app, holds_operator;
grant usage on schema analytics to analytics_reader;
-- What dbt builds later is readable at once, and by nobody else.
alter default privileges in schema analytics grant select on tables to analytics_reader;

-- One row: what this database is. The hold tables and the switch serve one environment.
create table holds.settings (
    is_singleton boolean primary key default true,
    environment text not null,
    is_strict_conflicts_enabled boolean not null default true,
    updated_at timestamptz not null default clock_timestamp(),
    constraint settings_one_row check (is_singleton),
    constraint settings_known_environment check (environment in ('dev', 'staging', 'prod'))
);
