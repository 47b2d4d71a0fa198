-- Two people change a flag: one asks, another approves, and it is applied in the same transaction. Everything is decided under
-- one lock (0017), by the database's clock, for the login of the session.
--
-- Refusals carry a constraint's name, by which clients tell them apart: flag_changes_value (impossible as asked), _actor (not
-- this person), _state (it has gone on since), _unsafe (it would make an unsafe combination).

-- Whose login this is. A service says for whom it acts; who acts for themselves, need not.
create function holds.flag_person(p_acting_for text)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_actor holds.flag_actors;
    v_person text;
begin
    select * into v_actor from holds.flag_actors where login = session_user and is_active;
    if not found then
        raise exception 'the login % is nobody''s: changes of flags are made by people that the database knows', session_user
            using errcode = '42501', constraint = 'flag_changes_actor',
            hint = format('The owner makes it somebody''s with: holdwatch db grant holds_operator %s', session_user);
    end if;
    if not v_actor.is_service then
        if p_acting_for is distinct from v_actor.person and p_acting_for is not null then
            raise exception '% cannot act for %: only a service acts for somebody else', v_actor.person, p_acting_for
                using errcode = '42501', constraint = 'flag_changes_actor';
        end if;
        return v_actor.person;
    end if;
    select person into v_person
    from holds.flag_actors
    where person = p_acting_for and is_active and not is_service
    limit 1;
    if v_person is null then
        raise exception 'the service % must say for whom it acts, and % is nobody that the database knows',
            session_user, coalesce(p_acting_for, 'nobody')
            using errcode = '42501', constraint = 'flag_changes_actor';
    end if;
    return v_person;
end
$$;

-- Reads what a flag is to be set to, and refuses what cannot be: returns the setting in its one way of writing.
create function holds.checked_flag_setting(
    p_environment text, p_flag text, p_restaurant_id uuid, inout value jsonb, inout percentage integer
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_definition jsonb;
    v_here text := (select environment from holds.settings);
    v_problem text;
begin
    select definition into v_definition from holds.flag_definitions where flag = p_flag and not is_retired;
    if v_definition is null then
        v_problem := format('there is no flag %s; there are %s', p_flag, coalesce(
            (select string_agg(flag, ', ' order by flag) from holds.flag_definitions where not is_retired),
            'none yet: holdwatch db migrate brings them'));
    elsif not v_definition -> 'default' ? p_environment then
        v_problem := format('there is no environment %s; there are dev, staging and prod', p_environment);
    elsif v_definition ->> 'decided_in' = 'database' and p_environment <> v_here then
        v_problem := format(
            '%s is decided in the database of each environment, and this one serves %s, not %s', p_flag, v_here, p_environment);
    elsif p_restaurant_id is not null and v_definition ->> 'per' = 'environment' then
        v_problem := format('%s is one for the whole environment', p_flag);
    end if;
    value := nullif(value, 'null');
    if v_problem is null and value is null then
        percentage := null;
    elsif v_problem is null and v_definition ->> 'type' = 'boolean' then
        if jsonb_typeof(value) <> 'boolean' then
            v_problem := format('%s is on or off, not %s', p_flag, value);
        elsif percentage is not null and not percentage between 0 and 100 then
            v_problem := 'a percentage is 0 to 100';
        elsif percentage < 100 and value = 'false' then
            v_problem := 'off is for everybody; for a share of the restaurants ask for on with a percentage';
        elsif percentage between 1 and 99 and p_restaurant_id is not null then
            v_problem := 'one restaurant has no percentage';
        elsif percentage between 1 and 99 and v_definition ->> 'per' = 'environment' then
            v_problem := format('%s is one for the whole environment and takes no percentage', p_flag);
        elsif percentage = 0 then
            value := 'false';
        end if;
        percentage := case when percentage between 1 and 99 then percentage end;
    elsif v_problem is null and percentage is not null then
        v_problem := format('%s is not on or off, so it takes no percentage', p_flag);
    elsif v_problem is null and v_definition ->> 'type' = 'integer' then
        if jsonb_typeof(value) <> 'number' or value::numeric <> trunc(value::numeric) then
            v_problem := format('%s is a whole number, not %s', p_flag, value);
        elsif value::numeric < (v_definition ->> 'minimum')::numeric
            or value::numeric > (v_definition ->> 'maximum')::numeric
            or abs(value::numeric) > 999999999
        then
            v_problem := format('%s is %s to %s, not %s', p_flag, v_definition ->> 'minimum', v_definition ->> 'maximum', value);
        else
            value := to_jsonb(trunc(value::numeric));
        end if;
    elsif v_problem is null then
        if value = '"none"' and p_restaurant_id is not null then
            v_problem := 'a restaurant''s own limit is one; to take it away ask for default';
        elsif value <> '"none"' and not coalesce(
            value #>> '{}' ~ '^[1-9][0-9]{0,8}/[0-9]{1,5}(\.[0-9]{1,3})?$'
            and split_part(value #>> '{}', '/', 2)::numeric between 0.001 and 86400,
            false
        ) then
            v_problem := format('%s is HOLDS/SECONDS, such as "120/60" (at most a day), or "none", not %s', p_flag, value);
        elsif value <> '"none"' then
            value := to_jsonb(
                split_part(value #>> '{}', '/', 1) || '/' || trim_scale(split_part(value #>> '{}', '/', 2)::numeric));
        end if;
    end if;
    if v_problem is not null then
        raise exception '%', v_problem using errcode = '22023', constraint = 'flag_changes_value';
    end if;
end
$$;

create function holds.flag_version(p_environment text, p_flag text, p_restaurant_id uuid)
returns bigint
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select coalesce((
        select stored.version
        from holds.flag_overrides as stored
        where stored.environment = p_environment and stored.flag = p_flag
            and stored.restaurant_id is not distinct from p_restaurant_id
    ), 0)
$$;

-- The unsafe combinations with this flag that there would be with a change: refused, unless it says why it is right.
create function holds.unsafe_with(p_change holds.flag_changes, p_variables jsonb)
returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_found jsonb;
    v_said text;
begin
    select
        coalesce(jsonb_agg(found.rule), '[]'),
        string_agg(format('%s (%s)', found.rule, rtrim(found.because, '.')), '; ')
    into v_found, v_said
    from (
        select distinct contradictions.rule, contradictions.because
        from holds.flag_contradictions(
            p_change.environment, coalesce(p_variables, '{}'),
            jsonb_build_object(
                'flag', p_change.flag, 'restaurant_id', p_change.restaurant_id, 'value', p_change.value,
                'percentage', p_change.percentage)
        ) as contradictions
        where p_change.flag = any(contradictions.flags)
    ) as found;
    if v_said is not null and p_change.unsafe_because is null and not p_change.is_break_glass then
        raise exception 'this would make an unsafe combination in %: %', p_change.environment, v_said
            using errcode = '23514', constraint = 'flag_changes_unsafe',
            hint = 'Change the other flag first, or say why it is right all the same (--unsafe-because).';
    end if;
    return v_found;
end
$$;

-- A change as it would be stored, with everything checked that does not depend on who approves it.
create function holds.drafted_flag_change(
    p_draft holds.flag_changes, p_expires_in interval, p_longest interval, p_variables jsonb
)
returns holds.flag_changes
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_setting record;
    v_is_so jsonb;
begin
    if p_draft.reason is null or p_draft.reason ~ '^\s*$' then
        raise exception 'say why: a change of a flag needs a reason' using errcode = '22023', constraint = 'flag_changes_value';
    end if;
    if not coalesce(p_expires_in > interval '0' and p_expires_in <= p_longest, false) then
        raise exception 'it must expire, within %', p_longest using errcode = '22023', constraint = 'flag_changes_value';
    end if;
    perform holds.require_overlaps_choice(p_draft.on_overlap);
    p_draft.environment := coalesce(p_draft.environment, (select environment from holds.settings));
    v_setting := holds.checked_flag_setting(
        p_draft.environment, p_draft.flag, p_draft.restaurant_id, p_draft.value, p_draft.percentage);
    p_draft.value := v_setting.value;
    p_draft.percentage := v_setting.percentage;
    if p_draft.is_break_glass then
        v_is_so := holds.flag_override(p_draft.environment, p_draft.flag, p_draft.restaurant_id);
    else
        -- Beneath a break-glass change: what that has set may be asked for, to stay.
        select holds.flag_setting(stored.value, stored.percentage) into v_is_so
        from holds.flag_overrides as stored
        where stored.environment = p_draft.environment and stored.flag = p_draft.flag
            and stored.restaurant_id is not distinct from p_draft.restaurant_id;
    end if;
    if holds.flag_setting(p_draft.value, p_draft.percentage) is not distinct from v_is_so then
        raise exception '% is %: there is nothing to change', p_draft.flag,
            case
                when v_is_so is null then 'not set to anything there'
                else 'set to ' || holds.flag_text(p_draft.value, p_draft.percentage) || ' there already'
            end
            using errcode = '55000', constraint = 'flag_changes_state';
    end if;
    p_draft.evidence := coalesce(p_draft.evidence, '{}');
    p_draft.unsafe_because := nullif(trim(p_draft.unsafe_because), '');
    p_draft.base_version := holds.flag_version(p_draft.environment, p_draft.flag, p_draft.restaurant_id);
    p_draft.expires_at := holds.flag_now() + p_expires_in;
    perform holds.unsafe_with(p_draft, p_variables);
    return p_draft;
end
$$;

-- Writes the entry of the trail that says what was done to a change.
create function holds.note_flag_change(
    p_change holds.flag_changes, p_action text, p_person text, p_reason text, p_variables jsonb default '{}'
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_unsafe jsonb := holds.unsafe_with(p_change, p_variables);
begin
    perform holds.note_flag(
        p_change.environment, p_change.flag, p_change.restaurant_id, p_action, p_person,
        holds.flag_override(p_change.environment, p_change.flag, p_change.restaurant_id),
        holds.flag_setting(p_change.value, p_change.percentage),
        p_reason, p_change,
        jsonb_strip_nulls(jsonb_build_object(
            'contradictions', nullif(v_unsafe, '[]'),
            'unsafeBecause', p_change.unsafe_because,
            'evidence', nullif(p_change.evidence, '{}'),
            'expiresAt', p_change.expires_at
        ))
    );
end
$$;

-- Puts a change into force. It has been approved, or it breaks the glass.
create function holds.put_flag_change(p_change holds.flag_changes, p_person text, p_variables jsonb)
returns holds.flag_changes
language plpgsql
set search_path = pg_catalog, pg_temp
-- While this waits for creates to end, every later create waits behind it.
set lock_timeout = '1s'
as $$
declare
    v_version bigint;
begin
    if p_change.flag = 'holds.strictConflicts' and p_change.value is distinct from 'false' then
        perform holds.drain_creates();
    end if;
    perform holds.note_flag_change(
        p_change, case when p_change.is_break_glass then 'break-glass' else 'applied' end, p_person, p_change.reason,
        p_variables);
    insert into holds.flag_overrides as stored (
        environment, flag, restaurant_id, value, percentage, change_id, break_glass_value, break_glass_percentage,
        break_glass_change_id, break_glass_ends_at, changed_at, changed_by
    )
    select
        p_change.environment, p_change.flag, p_change.restaurant_id,
        case when not p_change.is_break_glass then p_change.value end,
        case when not p_change.is_break_glass then p_change.percentage end,
        case when not p_change.is_break_glass then p_change.id end,
        case when p_change.is_break_glass then p_change.value end,
        case when p_change.is_break_glass then p_change.percentage end,
        case when p_change.is_break_glass then p_change.id end,
        case when p_change.is_break_glass then p_change.expires_at end,
        holds.flag_now(), p_person
    on conflict on constraint flag_overrides_place do update
    set version = stored.version + 1,
        value = case when p_change.is_break_glass then stored.value else excluded.value end,
        percentage = case when p_change.is_break_glass then stored.percentage else excluded.percentage end,
        change_id = case when p_change.is_break_glass then stored.change_id else excluded.change_id end,
        break_glass_value = excluded.break_glass_value,
        break_glass_percentage = excluded.break_glass_percentage,
        break_glass_change_id = excluded.break_glass_change_id,
        break_glass_ends_at = excluded.break_glass_ends_at,
        changed_at = excluded.changed_at,
        changed_by = excluded.changed_by
    returning version into v_version;
    -- Another break-glass change that was in force here has ended with this.
    update holds.flag_changes
    set state = 'ended', ended_at = holds.flag_now()
    where
        is_break_glass and state = 'applied' and id <> p_change.id and environment = p_change.environment
        and flag = p_change.flag and restaurant_id is not distinct from p_change.restaurant_id;
    update holds.flag_changes
    set state = 'applied', applied_at = holds.flag_now(), applied_version = v_version
    where id = p_change.id
    returning * into p_change;
    perform holds.materialise_flag(
        p_change.flag, p_change.restaurant_id, format('change %s: %s', p_change.id, p_change.reason), p_change.on_overlap);
    perform holds.tell_flag_contradictions(p_change.environment);
    return p_change;
end
$$;

-- The change of that number, locked, if it may still be acted on.
create function holds.open_flag_change(p_change_id bigint, p_revision integer default null)
returns holds.flag_changes
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_change holds.flag_changes;
begin
    perform holds.lock_flags();
    select * into v_change from holds.flag_changes where id = p_change_id for update;
    if not found then
        raise exception 'there is no change %', p_change_id using errcode = '22023', constraint = 'flag_changes_value';
    end if;
    if v_change.state not in ('requested', 'approved') then
        raise exception 'change % is % already', p_change_id,
            case when v_change.is_break_glass then 'a break-glass one, and ' || v_change.state else v_change.state end
            using errcode = '55000', constraint = 'flag_changes_state';
    end if;
    if v_change.expires_at <= holds.flag_now() then
        raise exception 'change % has expired, at %; ask for it again', p_change_id,
            to_char(v_change.expires_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"')
            using errcode = '55000', constraint = 'flag_changes_state';
    end if;
    if p_revision is not null and p_revision <> v_change.revision then
        raise exception 'change % has been edited since you looked: it is at revision %, not %', p_change_id,
            v_change.revision, p_revision
            using errcode = '55000', constraint = 'flag_changes_state', hint = 'Look at it again, and decide anew.';
    end if;
    return v_change;
end
$$;

create function holds.require_base_version(p_change holds.flag_changes)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_version bigint := holds.flag_version(p_change.environment, p_change.flag, p_change.restaurant_id);
begin
    if v_version <> p_change.base_version then
        raise exception 'change % is out of date: % has changed since it was asked for (version %, now %)', p_change.id,
            p_change.flag, p_change.base_version, v_version
            using errcode = '55000', constraint = 'flag_changes_state',
            hint = 'Whoever asked for it takes it up again with: holdwatch flags edit ID';
    end if;
end
$$;

-- Whether two logins, or names, are those of one person: by what was noted when it was asked for, and by what is known now.
create function holds.is_requester(p_change holds.flag_changes, p_person text)
returns boolean
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select
        p_change.requested_by = p_person
        or p_change.requested_login = session_user and not exists (
            select from holds.flag_actors as actors where actors.login = session_user and actors.is_service
        )
        or exists (
            select from holds.flag_actors as actors
            where actors.login = p_change.requested_login and actors.person = p_person and not actors.is_service
        )
$$;

create function holds.request_flag_change(
    p_flag text,
    p_value jsonb,
    p_reason text,
    p_percentage integer default null,
    p_environment text default null,
    p_restaurant_id uuid default null,
    p_unsafe_because text default null,
    p_on_overlap text default 'refuse',
    p_expires_in interval default '7 days',
    p_evidence jsonb default '{}',
    p_acting_for text default null,
    p_variables jsonb default '{}'
)
returns holds.flag_changes
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '5s'
as $$
declare
    v_person text := holds.flag_person(p_acting_for);
    v_change holds.flag_changes;
begin
    perform holds.lock_flags();
    v_change.environment := p_environment;
    v_change.flag := p_flag;
    v_change.restaurant_id := p_restaurant_id;
    v_change.value := p_value;
    v_change.percentage := p_percentage;
    v_change.reason := p_reason;
    v_change.unsafe_because := p_unsafe_because;
    v_change.on_overlap := p_on_overlap;
    v_change.evidence := p_evidence;
    v_change.is_break_glass := false;
    v_change := holds.drafted_flag_change(v_change, p_expires_in, interval '30 days', p_variables);
    insert into holds.flag_changes (
        environment, flag, restaurant_id, value, percentage, reason, unsafe_because, evidence, on_overlap, base_version, state,
        requested_by, requested_login, requested_at, expires_at
    )
    values (
        v_change.environment, v_change.flag, v_change.restaurant_id, v_change.value, v_change.percentage, v_change.reason,
        v_change.unsafe_because, v_change.evidence, v_change.on_overlap, v_change.base_version, 'requested', v_person,
        session_user, holds.flag_now(), v_change.expires_at
    )
    returning * into v_change;
    perform holds.note_flag_change(v_change, 'requested', v_person, v_change.reason, p_variables);
    return v_change;
end
$$;

comment on function holds.request_flag_change(
    text, jsonb, text, integer, text, uuid, text, text, interval, jsonb, text, jsonb
) is
'Asks for a change of a flag; somebody else approves it. NULL takes what is set away. A service says for whom it acts.';

-- The whole of it anew: what is not given is as it was not said. Voids an approval, and takes up the flag's present version.
create function holds.edit_flag_change(
    p_change_id bigint,
    p_revision integer,
    p_value jsonb,
    p_reason text,
    p_percentage integer default null,
    p_unsafe_because text default null,
    p_on_overlap text default 'refuse',
    p_expires_in interval default '7 days',
    p_evidence jsonb default '{}',
    p_acting_for text default null,
    p_variables jsonb default '{}'
)
returns holds.flag_changes
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '5s'
as $$
declare
    v_person text := holds.flag_person(p_acting_for);
    v_change holds.flag_changes := holds.open_flag_change(p_change_id, p_revision);
begin
    if not holds.is_requester(v_change, v_person) then
        raise exception 'change % is %''s: nobody else edits it', p_change_id, v_change.requested_by
            using errcode = '42501', constraint = 'flag_changes_actor', hint = 'Reject it, and ask for your own.';
    end if;
    v_change.value := p_value;
    v_change.percentage := p_percentage;
    v_change.reason := p_reason;
    v_change.unsafe_because := p_unsafe_because;
    v_change.on_overlap := p_on_overlap;
    v_change.evidence := p_evidence;
    v_change := holds.drafted_flag_change(v_change, p_expires_in, interval '30 days', p_variables);
    update holds.flag_changes
    set value = v_change.value, percentage = v_change.percentage, reason = v_change.reason,
        unsafe_because = v_change.unsafe_because, on_overlap = v_change.on_overlap, evidence = v_change.evidence,
        base_version = v_change.base_version, expires_at = v_change.expires_at, revision = revision + 1,
        state = 'requested', approved_by = null, approved_login = null, approved_at = null
    where id = p_change_id
    returning * into v_change;
    perform holds.note_flag_change(v_change, 'edited', v_person, v_change.reason, p_variables);
    return v_change;
end
$$;

create function holds.approve_flag_change(
    p_change_id bigint,
    p_revision integer,
    p_remark text default null,
    p_apply boolean default true,
    p_acting_for text default null,
    p_variables jsonb default '{}'
)
returns holds.flag_changes
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '5s'
as $$
declare
    v_person text := holds.flag_person(p_acting_for);
    v_change holds.flag_changes;
begin
    if p_revision is null then
        raise exception 'say which revision you approve: the one that you have seen'
            using errcode = '22023', constraint = 'flag_changes_value';
    end if;
    v_change := holds.open_flag_change(p_change_id, p_revision);
    if holds.is_requester(v_change, v_person) then
        raise exception 'change % was asked for by %: somebody else has to approve it', p_change_id, v_change.requested_by
            using errcode = '42501', constraint = 'flag_changes_actor';
    end if;
    if v_change.state = 'approved' then
        raise exception 'change % is approved already, by %; what is left is to apply it', p_change_id, v_change.approved_by
            using errcode = '55000', constraint = 'flag_changes_state', hint = 'holdwatch flags apply ID';
    end if;
    perform holds.require_base_version(v_change);
    update holds.flag_changes
    set state = 'approved', approved_by = v_person, approved_login = session_user, approved_at = holds.flag_now(),
        remark = p_remark
    where id = p_change_id
    returning * into v_change;
    perform holds.note_flag_change(v_change, 'approved', v_person, p_remark, p_variables);
    if p_apply then
        v_change := holds.put_flag_change(v_change, v_person, p_variables);
    end if;
    return v_change;
end
$$;

comment on function holds.approve_flag_change(bigint, integer, text, boolean, text, jsonb) is
'Approves a change of a flag that somebody else has asked for, in the revision named, and applies it at once.';

create function holds.apply_flag_change(
    p_change_id bigint, p_revision integer, p_acting_for text default null, p_variables jsonb default '{}'
)
returns holds.flag_changes
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '5s'
as $$
declare
    v_person text := holds.flag_person(p_acting_for);
    v_change holds.flag_changes := holds.open_flag_change(p_change_id, p_revision);
begin
    if v_change.state <> 'approved' then
        raise exception 'change % is not approved yet', p_change_id
            using errcode = '55000', constraint = 'flag_changes_state';
    end if;
    perform holds.require_base_version(v_change);
    return holds.put_flag_change(v_change, v_person, p_variables);
end
$$;

create function holds.reject_flag_change(p_change_id bigint, p_reason text, p_acting_for text default null)
returns holds.flag_changes
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '5s'
as $$
declare
    v_person text := holds.flag_person(p_acting_for);
    v_change holds.flag_changes := holds.open_flag_change(p_change_id);
begin
    if holds.is_requester(v_change, v_person) then
        raise exception 'change % is your own; withdraw it', p_change_id
            using errcode = '42501', constraint = 'flag_changes_actor', hint = 'holdwatch flags withdraw ID';
    end if;
    return holds.closed_flag_change(v_change, 'rejected', v_person, p_reason);
end
$$;

-- Takes back what one has asked for; ends a break-glass change before its time, whoever has made it.
create function holds.withdraw_flag_change(p_change_id bigint, p_reason text, p_acting_for text default null)
returns holds.flag_changes
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '5s'
as $$
declare
    v_person text := holds.flag_person(p_acting_for);
    v_change holds.flag_changes;
begin
    perform holds.lock_flags();
    select * into v_change from holds.flag_changes where id = p_change_id and is_break_glass and state = 'applied';
    if found then
        perform holds.end_break_glass(v_change, v_person, p_reason, v_change.on_overlap);
        select * into v_change from holds.flag_changes where id = p_change_id;
        return v_change;
    end if;
    v_change := holds.open_flag_change(p_change_id);
    if not holds.is_requester(v_change, v_person) then
        raise exception 'change % is %''s: somebody else rejects it', p_change_id, v_change.requested_by
            using errcode = '42501', constraint = 'flag_changes_actor', hint = 'holdwatch flags reject ID';
    end if;
    return holds.closed_flag_change(v_change, 'withdrawn', v_person, p_reason);
end
$$;

create function holds.closed_flag_change(p_change holds.flag_changes, p_state text, p_person text, p_reason text)
returns holds.flag_changes
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_change holds.flag_changes;
begin
    if p_reason is null or p_reason ~ '^\s*$' then
        raise exception 'say why' using errcode = '22023', constraint = 'flag_changes_value';
    end if;
    update holds.flag_changes
    set state = p_state, ended_at = holds.flag_now(), remark = p_reason
    where id = p_change.id
    returning * into v_change;
    perform holds.note_flag(
        v_change.environment, v_change.flag, v_change.restaurant_id, p_state, p_person,
        holds.flag_override(v_change.environment, v_change.flag, v_change.restaurant_id),
        holds.flag_setting(v_change.value, v_change.percentage), p_reason, v_change);
    return v_change;
end
$$;

-- One person, at once, for a time: it ends by itself, somebody else reviews it, and until then every report marks it.
create function holds.break_glass(
    p_flag text,
    p_value jsonb,
    p_reason text,
    p_lasts interval,
    p_percentage integer default null,
    p_environment text default null,
    p_restaurant_id uuid default null,
    p_on_overlap text default 'refuse',
    p_acting_for text default null,
    p_variables jsonb default '{}'
)
returns holds.flag_changes
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '5s'
as $$
declare
    v_person text := holds.flag_person(p_acting_for);
    v_change holds.flag_changes;
begin
    perform holds.lock_flags();
    if nullif(p_value, 'null') is null then
        raise exception 'say what to set it to: breaking the glass takes nothing away'
            using errcode = '22023', constraint = 'flag_changes_value';
    end if;
    v_change.environment := p_environment;
    v_change.flag := p_flag;
    v_change.restaurant_id := p_restaurant_id;
    v_change.value := p_value;
    v_change.percentage := p_percentage;
    v_change.reason := p_reason;
    v_change.on_overlap := p_on_overlap;
    v_change.is_break_glass := true;
    v_change := holds.drafted_flag_change(v_change, p_lasts, interval '3 days', p_variables);
    insert into holds.flag_changes (
        environment, flag, restaurant_id, value, percentage, reason, on_overlap, base_version, is_break_glass, state,
        requested_by, requested_login, requested_at, expires_at
    )
    values (
        v_change.environment, v_change.flag, v_change.restaurant_id, v_change.value, v_change.percentage, v_change.reason,
        v_change.on_overlap, v_change.base_version, true, 'approved', v_person, session_user, holds.flag_now(),
        v_change.expires_at
    )
    returning * into v_change;
    return holds.put_flag_change(v_change, v_person, p_variables);
end
$$;

comment on function holds.break_glass(
    text, jsonb, text, interval, integer, text, uuid, text, text, jsonb
) is
'Sets a flag at once and by oneself, for at most three days. It ends by itself, and somebody else has to review it.';

create function holds.review_flag_change(p_change_id bigint, p_remark text, p_acting_for text default null)
returns holds.flag_changes
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '5s'
as $$
declare
    v_person text := holds.flag_person(p_acting_for);
    v_change holds.flag_changes;
begin
    perform holds.lock_flags();
    select * into v_change from holds.flag_changes where id = p_change_id and is_break_glass for update;
    if not found then
        raise exception 'there is no break-glass change %', p_change_id
            using errcode = '22023', constraint = 'flag_changes_value';
    end if;
    if v_change.reviewed_by is not null then
        raise exception 'change % was reviewed already, by %', p_change_id, v_change.reviewed_by
            using errcode = '55000', constraint = 'flag_changes_state';
    end if;
    if holds.is_requester(v_change, v_person) then
        raise exception 'change % was made by %: somebody else has to review it', p_change_id, v_change.requested_by
            using errcode = '42501', constraint = 'flag_changes_actor';
    end if;
    if p_remark is null or p_remark ~ '^\s*$' then
        raise exception 'say what you found' using errcode = '22023', constraint = 'flag_changes_value';
    end if;
    update holds.flag_changes
    set reviewed_by = v_person, reviewed_at = holds.flag_now(), remark = p_remark
    where id = p_change_id
    returning * into v_change;
    perform holds.note_flag(
        v_change.environment, v_change.flag, v_change.restaurant_id, 'reviewed', v_person, null,
        holds.flag_setting(v_change.value, v_change.percentage), p_remark, v_change);
    return v_change;
end
$$;

-- What was approved before is in force again.
create function holds.end_break_glass(p_change holds.flag_changes, p_person text, p_reason text, p_on_overlap text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
-- While this waits for creates to end, every later create waits behind it.
set lock_timeout = '1s'
as $$
begin
    if p_reason is null or p_reason ~ '^\s*$' then
        raise exception 'say why' using errcode = '22023', constraint = 'flag_changes_value';
    end if;
    if p_change.flag = 'holds.strictConflicts' then
        perform holds.drain_creates();
    end if;
    update holds.flag_changes
    set state = 'ended', ended_at = holds.flag_now()
    where id = p_change.id
    returning * into p_change;
    update holds.flag_overrides
    set version = version + 1, break_glass_value = null, break_glass_percentage = null, break_glass_change_id = null,
        break_glass_ends_at = null, changed_at = holds.flag_now(), changed_by = coalesce(p_person, session_user)
    where break_glass_change_id = p_change.id;
    perform holds.note_flag(
        p_change.environment, p_change.flag, p_change.restaurant_id, 'break-glass ended', p_person,
        holds.flag_setting(p_change.value, p_change.percentage),
        holds.flag_override(p_change.environment, p_change.flag, p_change.restaurant_id), p_reason, p_change);
    perform holds.materialise_flag(
        p_change.flag, p_change.restaurant_id, format('change %s has ended', p_change.id), p_on_overlap);
    perform holds.tell_flag_contradictions(p_change.environment);
end
$$;

-- The environments of which this database holds flags: its own, and those that something is set for.
create function holds.held_flag_environments()
returns table (environment text)
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select stored.environment from holds.flag_overrides as stored
    union
    select settings.environment from holds.settings
$$;

-- Ends what is over, and says the unsafe combinations that stand. Harmless at any time; the sweeper calls it every minute.
create function holds.tend_flags()
returns table (ended_changes integer, contradictions integer)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
declare
    v_change holds.flag_changes;
begin
    ended_changes := 0;
    contradictions := 0;
    if not pg_try_advisory_xact_lock(hashtextextended('holds.flags', 0)) then
        -- Somebody is at it; what is left is for the next time.
        return next;
        return;
    end if;
    perform holds.lock_flags();
    perform holds.seal_flag_audit();
    for v_change in
        select *
        from holds.flag_changes
        where expires_at <= holds.flag_now() and (state in ('requested', 'approved') or (is_break_glass and state = 'applied'))
        order by expires_at
    loop
        begin
            if v_change.is_break_glass then
                -- Nobody is here to choose: what overlaps stays until it ends, and what was approved is in force.
                perform holds.end_break_glass(v_change, null, 'its time was over', 'grandfather');
            else
                perform holds.closed_flag_change(v_change, 'expired', null, 'nobody answered in time');
            end if;
            ended_changes := ended_changes + 1;
        exception
            -- Creates that do not end, for example; the next minute comes.
            when lock_not_available then
                raise warning 'change % has not ended yet: %', v_change.id, sqlerrm;
        end;
    end loop;
    select coalesce(sum(holds.tell_flag_contradictions(held.environment)), 0)::integer into contradictions
    from holds.held_flag_environments() as held;
    return next;
end
$$;

comment on function holds.tend_flags() is
'Ends requests and break-glass changes whose time is over, and records the unsafe combinations that stand.';

-- Whether tend_flags would find anything to do.
create function holds.are_flags_due()
returns boolean
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select
        exists (
            select from holds.flag_changes
            where
                expires_at <= holds.flag_now()
                and (state in ('requested', 'approved') or (is_break_glass and state = 'applied'))
        )
        or exists (select from holds.flag_audit where position is null)
        or exists (
            select
            from holds.held_flag_environments() as held
            cross join lateral holds.flag_contradictions(held.environment)
            where not exists (
                select
                from holds.observability_events as events
                where
                    events.event_type = 'capacity.flags.contradiction'
                    and events.environment = held.environment
                    and events.occurred_at > clock_timestamp() - interval '15 minutes'
            )
        )
$$;

-- Says whose a login is; the owner's to say.
create function holds.set_flag_actor(
    p_login text, p_person text, p_is_service boolean default false, p_is_active boolean default true
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '5s'
as $$
begin
    perform holds.lock_flags();
    insert into holds.flag_actors as known (login, person, is_service, is_active, changed_by, changed_at)
    values (p_login, p_person, p_is_service, p_is_active, session_user, holds.flag_now())
    on conflict (login) do update
    set person = excluded.person, is_service = excluded.is_service, is_active = excluded.is_active,
        changed_by = excluded.changed_by, changed_at = excluded.changed_at
    where (known.person, known.is_service, known.is_active)
        is distinct from (excluded.person, excluded.is_service, excluded.is_active);
    if found then
        perform holds.note_flag(
            null, null, null, 'actor', p_person, null, null, null,
            p_details => jsonb_build_object('login', p_login, 'isService', p_is_service, 'isActive', p_is_active));
    end if;
end
$$;

comment on function holds.set_flag_actor(text, text, boolean, boolean) is
'The owner''s: whose a login is, so that several logins of one person count as that person; or that it is a service.';

revoke execute on all functions in schema holds from public;
grant execute on function holds.request_flag_change(
    text, jsonb, text, integer, text, uuid, text, text, interval, jsonb, text, jsonb
) to holds_operator;
grant execute on function holds.edit_flag_change(
    bigint, integer, jsonb, text, integer, text, text, interval, jsonb, text, jsonb
) to holds_operator;
grant execute on function holds.approve_flag_change(bigint, integer, text, boolean, text, jsonb) to holds_operator;
grant execute on function holds.apply_flag_change(bigint, integer, text, jsonb) to holds_operator;
grant execute on function holds.reject_flag_change(bigint, text, text) to holds_operator;
grant execute on function holds.withdraw_flag_change(bigint, text, text) to holds_operator;
grant execute on function holds.break_glass(
    text, jsonb, text, interval, integer, text, uuid, text, text, jsonb
) to holds_operator;
grant execute on function holds.review_flag_change(bigint, text, text) to holds_operator;
grant execute on function holds.tend_flags() to holds_app, holds_operator;
