-- Feature flags: what they are, who may act, what is in force, what was asked for, and the trail of all of it.
--
-- Nobody but the owner has any right on these tables: what people may do are the functions of 0018 and 0019.
-- A setting is a value (jsonb: true, false, a number, or a rate such as "120/60") and a percentage: true for so many in a
-- hundred restaurants, 1 to 99, and false for the others; NULL is all of them.

create table holds.flag_definitions (
    flag text primary key,
    -- As holds_core/flags/definitions says; `holdwatch db migrate` brings it here.
    definition jsonb not null,
    synced_at timestamptz not null,
    -- The release that was synced last does not know it any more; what happened to it stays readable.
    is_retired boolean not null default false
);

comment on table holds.flag_definitions is 'The feature flags of the release that migrated this database last.';

-- Whose a login is. Two logins of one person are one person; a service acts for people, and says for whom.
create table holds.flag_actors (
    login text primary key,
    person text not null,
    is_service boolean not null default false,
    is_active boolean not null default true,
    changed_by text not null default session_user,
    changed_at timestamptz not null default clock_timestamp(),
    constraint flag_actors_person check (person !~ '^\s*$')
);

comment on table holds.flag_actors is 'Who may ask for changes of flags and approve them, by login.';

create table holds.flag_changes (
    id bigint generated always as identity primary key,
    environment text not null,
    flag text not null,
    -- NULL: the environment as a whole.
    restaurant_id uuid,
    -- NULL: take what is set away, back to the layer beneath.
    value jsonb,
    percentage integer,
    reason text not null,
    -- Set where it makes an unsafe combination: why it is right all the same.
    unsafe_because text,
    -- What speaks for it, for example the guardrails of a stage.
    evidence jsonb not null default '{}',
    on_overlap text not null default 'refuse',
    -- What the flag's version was when this was asked for: an answer to another question than the present one is refused.
    base_version bigint not null,
    -- Each edit is a new revision, and voids the approval of the one before.
    revision integer not null default 1,
    -- One person's, in force at once, and looked at by another afterwards.
    is_break_glass boolean not null default false,
    state text not null,
    requested_by text not null,
    requested_login text not null,
    requested_at timestamptz not null,
    -- A request that nobody has answered by then is void; a break-glass change ends then.
    expires_at timestamptz not null,
    approved_by text,
    approved_login text,
    approved_at timestamptz,
    applied_at timestamptz,
    -- The version that it made. One version is one change.
    applied_version bigint,
    ended_at timestamptz,
    -- Why it was rejected or withdrawn; what was said in the review of a break-glass change.
    remark text,
    reviewed_by text,
    reviewed_at timestamptz,
    constraint flag_changes_known_environment check (environment in ('dev', 'staging', 'prod')),
    constraint flag_changes_percentage check (percentage between 1 and 99),
    constraint flag_changes_reason check (reason !~ '^\s*$'),
    constraint flag_changes_known_state check (
        state in ('requested', 'approved', 'applied', 'rejected', 'withdrawn', 'expired', 'ended')
    ),
    constraint flag_changes_two_people check (is_break_glass or approved_by <> requested_by),
    constraint flag_changes_reviewer_is_another check (reviewed_by <> requested_by),
    constraint flag_changes_applied_was_approved check (
        applied_version is null or is_break_glass or approved_by is not null
    )
);

create unique index flag_changes_one_for_each_version
on holds.flag_changes (environment, flag, restaurant_id, applied_version) nulls not distinct
where applied_version is not null;

create index flag_changes_open on holds.flag_changes (state)
where state in ('requested', 'approved') or is_break_glass;

comment on table holds.flag_changes is 'Every change of a flag that was asked for, and what became of it.';

-- What is in force instead of the defaults. A row stays when its override is taken away: its version only grows.
create table holds.flag_overrides (
    environment text not null,
    flag text not null,
    restaurant_id uuid,
    version bigint not null default 1,
    value jsonb,
    percentage integer,
    -- NULL: the owner of the database has set it directly, or had before there were flags.
    change_id bigint references holds.flag_changes (id),
    break_glass_value jsonb,
    break_glass_percentage integer,
    break_glass_change_id bigint references holds.flag_changes (id),
    break_glass_ends_at timestamptz,
    is_killed boolean not null default false,
    changed_at timestamptz not null default clock_timestamp(),
    changed_by text not null,
    constraint flag_overrides_known_environment check (environment in ('dev', 'staging', 'prod')),
    constraint flag_overrides_place unique nulls not distinct (environment, flag, restaurant_id),
    constraint flag_overrides_percentage check (
        percentage is null or (percentage between 1 and 99 and value = 'true')
    ),
    constraint flag_overrides_break_glass check (
        (break_glass_value is null) = (break_glass_ends_at is null)
        and (break_glass_value is null) = (break_glass_change_id is null)
        and (break_glass_percentage is null or (break_glass_percentage between 1 and 99 and break_glass_value = 'true'))
    )
);

comment on table holds.flag_overrides is 'What flags are set to, by environment and for single restaurants.';

-- The trail. An entry is written first and sealed into the chain then: position, and the hash over the hash before it and
-- all that it says. Both happen in one transaction, except where the kill switch would have to wait for the chain.
create table holds.flag_audit (
    id uuid primary key default gen_random_uuid(),
    position bigint,
    previous_hash bytea,
    hash bytea,
    at timestamptz not null,
    environment text,
    flag text,
    restaurant_id uuid,
    action text not null,
    change_id bigint,
    revision integer,
    -- For whom it counts; the login may be another one of the same person, or a service that acts for them.
    person text,
    login text not null,
    from_setting jsonb,
    to_setting jsonb,
    reason text,
    details jsonb not null default '{}',
    constraint flag_audit_position unique (position),
    constraint flag_audit_sealed check (
        (position is null) = (hash is null) and (position is null) = (previous_hash is null)
    )
);

create index flag_audit_at on holds.flag_audit (at);

comment on table holds.flag_audit is 'The trail of flags: only appended to, each entry sealed to the one before.';

create function holds.refuse_change_of_flag_audit()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if tg_op = 'UPDATE' and old.position is null and new.position is not null
        and to_jsonb(old) - array['position', 'previous_hash', 'hash'] = to_jsonb(new) - array['position', 'previous_hash', 'hash']
    then
        return new;
    end if;
    raise exception 'the trail of flags is only appended to' using errcode = '42501';
end
$$;

create trigger flag_audit_only_grows before update or delete on holds.flag_audit
for each row execute function holds.refuse_change_of_flag_audit();
create trigger flag_audit_stays before truncate on holds.flag_audit
for each statement execute function holds.refuse_change_of_flag_audit();

alter table holds.flag_definitions enable row level security;
alter table holds.flag_actors enable row level security;
alter table holds.flag_changes enable row level security;
alter table holds.flag_overrides enable row level security;
alter table holds.flag_audit enable row level security;

-- Now, as far as flags go: by the database's clock, and never before the newest entry of the trail. Setting the clock back
-- brings nothing back to life that has expired.
create function holds.flag_now()
returns timestamptz
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select greatest(clock_timestamp(), (select max(at) from holds.flag_audit))
$$;

-- What is hashed. jsonb is written the same way by every release; times as UTC, whatever the session's zone.
create function holds.flag_audit_text(p_entry holds.flag_audit)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_array(
        p_entry.position, p_entry.id, to_char(p_entry.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        p_entry.environment, p_entry.flag, p_entry.restaurant_id, p_entry.action, p_entry.change_id, p_entry.revision,
        p_entry.person, p_entry.login, p_entry.from_setting, p_entry.to_setting, p_entry.reason, p_entry.details
    )::text
$$;

-- One writer at a time: the chain, the versions and the rules over several flags need all of them to stand still.
create function holds.lock_flags()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    -- With a snapshot of the past neither versions nor rules can be judged.
    perform holds.require_read_committed();
    -- A transaction that stays open after this must not stand between ops and the kill switch: see 0019.
    perform set_config('idle_in_transaction_session_timeout', '2s', true);
    perform pg_advisory_xact_lock(hashtextextended('holds.flags', 0));
end
$$;

-- Seals what is written and not sealed yet. Only under the lock.
create function holds.seal_flag_audit()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_entry holds.flag_audit;
    v_last record;
begin
    for v_entry in select * from holds.flag_audit where position is null order by at, id loop
        select position, hash into v_last from holds.flag_audit where position is not null order by position desc limit 1;
        v_entry.position := coalesce(v_last.position, 0) + 1;
        v_entry.previous_hash := coalesce(v_last.hash, '');
        update holds.flag_audit
        set position = v_entry.position,
            previous_hash = v_entry.previous_hash,
            hash = sha256(v_entry.previous_hash || convert_to(holds.flag_audit_text(v_entry), 'UTF8'))
        where id = v_entry.id;
    end loop;
end
$$;

-- A setting as people write it.
create function holds.flag_text(p_value jsonb, p_percentage integer)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when p_value is null then 'default'
        when p_percentage is not null then p_percentage || '%'
        when p_value = 'true' then 'on'
        when p_value = 'false' then 'off'
        else p_value #>> '{}'
    end
$$;

create function holds.flag_setting(p_value jsonb, p_percentage integer)
returns jsonb
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select case when p_value is not null then jsonb_build_object('value', p_value, 'percentage', p_percentage) end
$$;

-- This database, as opposed to a copy of it elsewhere.
create function holds.database_id()
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select holds.server_id() || ':' || oid from pg_database where datname = current_database()
$$;

-- Writes one entry of the trail, seals it, says it as an event, and tells who listens.
--   p_waits: false for the kill switch: where somebody else has the chain, its entry is sealed by whoever comes next.
create function holds.note_flag(
    p_environment text,
    p_flag text,
    p_restaurant_id uuid,
    p_action text,
    p_person text,
    p_from jsonb,
    p_to jsonb,
    p_reason text,
    p_change holds.flag_changes default null,
    p_details jsonb default '{}',
    p_waits boolean default true
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_entry holds.flag_audit;
begin
    if p_waits then
        perform holds.lock_flags();
    end if;
    insert into holds.flag_audit (
        at, environment, flag, restaurant_id, action, change_id, revision, person, login, from_setting, to_setting, reason,
        details
    )
    values (
        holds.flag_now(), p_environment, p_flag, p_restaurant_id, p_action, p_change.id, p_change.revision, p_person,
        session_user, p_from, p_to, p_reason, p_details
    )
    returning * into v_entry;
    if p_waits or pg_try_advisory_xact_lock(hashtextextended('holds.flags', 0)) then
        perform holds.seal_flag_audit();
        select * into v_entry from holds.flag_audit where id = v_entry.id;
    end if;
    if p_environment is not null then
        perform holds.emit_for(
            p_environment, v_entry.id, v_entry.at, 'capacity.flags.changed',
            case when p_details ? 'contradictions' or p_change.is_break_glass then 'warning' else 'info' end,
            p_restaurant_id,
            jsonb_strip_nulls(jsonb_build_object(
                'flag', p_flag, 'environment', p_environment, 'action', p_action,
                'from', holds.flag_text(p_from -> 'value', (p_from ->> 'percentage')::integer),
                'to', holds.flag_text(p_to -> 'value', (p_to ->> 'percentage')::integer),
                'reason', p_reason, 'changeId', p_change.id, 'requestedBy', p_change.requested_by,
                'approvedBy', p_change.approved_by, 'changedBy', coalesce(p_person, session_user),
                'isBreakGlass', nullif(p_change.is_break_glass, false),
                -- An anchor outside the chain: events are exported, and kept elsewhere.
                'auditPosition', v_entry.position, 'auditHash', encode(v_entry.hash, 'hex'),
                'database', holds.database_id()
            )) || p_details
        );
    end if;
    perform pg_notify('holds_flags', coalesce(p_environment, ''));
end
$$;

-- As holds.emit, for an environment that need not be the one of the hold tables.
create function holds.emit_for(
    p_environment text,
    p_event_id uuid,
    p_occurred_at timestamptz,
    p_event_type text,
    p_severity text,
    p_restaurant_id uuid,
    p_context jsonb
)
returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into holds.observability_events (
        id, occurred_at, environment, source, event_type, severity, restaurant_id, context
    )
    values (
        p_event_id, p_occurred_at, p_environment, 'holds.core', p_event_type, p_severity, p_restaurant_id, p_context
    )
    on conflict do nothing;
    return true;
exception
    when others then
        raise warning 'event % was not recorded: % (%)', p_event_type, sqlerrm, sqlstate;
        return false;
end
$$;

revoke execute on all functions in schema holds from public;
