-- A change of a flag is judged for every process, not only for the one that asks; and whoever approved it is still somebody else
-- when it is applied. Replaces functions of 0020.

-- The variables of one process can make a combination unsafe, and can hide one that is unsafe for all others: both are judged.
create or replace function holds.unsafe_with(p_change holds.flag_changes, p_variables jsonb)
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
        from (
            select '{}'::jsonb as variables
            union
            select coalesce(p_variables, '{}')
        ) as judged
        cross join lateral holds.flag_contradictions(
            p_change.environment, judged.variables,
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

-- Whose a login is now; who was said to act, where it is a service's, or nobody's any more.
create function holds.flag_person_of(p_login text, p_person text)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
        (select actors.person from holds.flag_actors as actors where actors.login = p_login and not actors.is_service),
        p_person
    )
$$;

create or replace function holds.apply_flag_change(
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
    -- Between the approval and now it may have come out whose a login is.
    if holds.flag_person_of(v_change.approved_login, v_change.approved_by)
        = holds.flag_person_of(v_change.requested_login, v_change.requested_by)
    then
        raise exception 'change % was approved by %, who is the person that asked for it: somebody else has to approve it',
            p_change_id, v_change.approved_by
            using errcode = '42501', constraint = 'flag_changes_actor',
            hint = 'Ask for it anew: holdwatch flags withdraw ID, holdwatch flags request FLAG SETTING';
    end if;
    perform holds.require_base_version(v_change);
    return holds.put_flag_change(v_change, v_person, p_variables);
end
$$;

revoke execute on all functions in schema holds from public;
