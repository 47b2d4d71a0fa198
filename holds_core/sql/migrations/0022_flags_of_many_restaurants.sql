-- Unsafe combinations are judged for all restaurants at once, since thousands may have something of their own; and who breaks
-- the glass and is never reviewed, does not break it again. Replaces functions of 0018 and 0020.

-- Without a setting of their own they become part of the query that asks; those who ask have a fixed search path.
alter function holds.flag_level(jsonb, integer) reset search_path;
alter function holds.is_flag_condition_met(jsonb, numeric) reset search_path;

drop function holds.flag_levels(text, uuid, jsonb, jsonb);

-- The level of every flag, as {flag: level}: a row for the environment (restaurant_id NULL), and one for each restaurant named,
-- exactly for that one.
--   p_variables: what environment variables of the caller's process say, as {flag: {value, percentage}}.
--   p_change: what is asked about, as if it were in force: {flag, restaurant_id, value, percentage}; NULL: nothing.
create function holds.flag_levels(
    p_environment text, p_restaurant_ids uuid[], p_variables jsonb, p_change jsonb
)
returns table (restaurant_id uuid, levels jsonb)
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    with in_force as materialized (
        select stored.flag, stored.restaurant_id, holds.flag_level(stored.value, stored.percentage) as level, stored.is_killed
        from holds.flag_values(p_environment) as stored
    ),

    asked as (
        select
            p_change ->> 'flag' as flag,
            (p_change ->> 'restaurant_id')::uuid as restaurant_id,
            holds.flag_level(nullif(p_change -> 'value', 'null'), (p_change ->> 'percentage')::integer) as level
    ),

    general as (
        select
            definitions.flag,
            definitions.definition ->> 'type' = 'boolean' as is_boolean,
            coalesce(stored.is_killed, false) as is_killed,
            coalesce(
                case
                    when definitions.flag = asked.flag and asked.restaurant_id is null then asked.level
                    else stored.level
                end,
                case
                    when definitions.definition ->> 'decided_in' = 'client'
                        then holds.flag_level(
                            p_variables -> definitions.flag -> 'value',
                            (p_variables -> definitions.flag ->> 'percentage')::integer
                        )
                end,
                holds.flag_level(
                    definitions.definition -> 'default' -> p_environment -> 'value',
                    (definitions.definition -> 'default' -> p_environment ->> 'percentage')::integer
                )
            ) as level
        from holds.flag_definitions as definitions
        cross join asked
        left join in_force as stored on stored.flag = definitions.flag and stored.restaurant_id is null
        where not definitions.is_retired
    ),

    -- Gathered, not joined: how many of its rows a function returns, the planner does not know.
    restaurants as (
        select
            gathered.restaurant_id,
            coalesce(
                jsonb_object_agg(gathered.flag, gathered.level) filter (where gathered.level is not null), '{}'
            ) as own,
            coalesce(jsonb_object_agg(gathered.flag, true) filter (where gathered.is_killed), '{}') as killed
        from (
            select in_force.restaurant_id, in_force.flag, in_force.level, in_force.is_killed
            from in_force
            where in_force.restaurant_id = any(p_restaurant_ids)
            union all
            select named.restaurant_id, null, null, false
            from unnest(p_restaurant_ids || null::uuid) as named (restaurant_id)
        ) as gathered
        group by gathered.restaurant_id
    ),

    each as (
        select
            restaurants.restaurant_id,
            general.flag,
            case
                when general.is_killed or restaurants.killed ? general.flag then 0
                when restaurants.restaurant_id = asked.restaurant_id and general.flag = asked.flag
                    then coalesce(asked.level, shared.level)
                else coalesce((restaurants.own ->> general.flag)::numeric, shared.level)
            end as level
        from restaurants
        cross join general
        cross join asked
        cross join lateral (
            select case
                when restaurants.restaurant_id is not null and general.is_boolean and general.level > 0 and general.level < 100
                    then case
                        when holds.rollout_bucket(general.flag, restaurants.restaurant_id) < general.level then 100 else 0
                    end
                else general.level
            end as level
        ) as shared
    )

    select each.restaurant_id, jsonb_object_agg(each.flag, each.level)
    from each
    group by each.restaurant_id
$$;

create or replace function holds.flag_contradictions(
    p_environment text default null, p_variables jsonb default '{}', p_change jsonb default null
)
returns table (rule text, flags text[], because text, restaurant_id uuid)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_environment text := coalesce(p_environment, (select settings.environment from holds.settings));
    v_restaurant_ids uuid[] := array(
        select distinct in_force.restaurant_id
        from holds.flag_values(v_environment) as in_force
        where in_force.restaurant_id is not null and (in_force.value is not null or in_force.is_killed)
        union
        select (p_change ->> 'restaurant_id')::uuid
        where p_change ->> 'restaurant_id' is not null
    );
begin
    return query
    with rules as (
        select
            rules.rule ->> 'name' as name,
            rules.rule -> 'when' as conditions,
            rules.rule ->> 'because' as because
        from holds.flag_definitions as definitions
        cross join jsonb_array_elements(definitions.definition -> 'rules') as rules (rule)
        where not definitions.is_retired and rules.rule -> 'environments' ? v_environment
    ),

    places as (
        select levels.restaurant_id, levels.levels, apart.flags
        from holds.flag_levels(v_environment, v_restaurant_ids, coalesce(p_variables, '{}'), p_change) as levels
        left join (
            select stored.restaurant_id, array_agg(stored.flag) as flags
            from (
                select in_force.restaurant_id, in_force.flag
                from holds.flag_values(v_environment) as in_force
                where in_force.restaurant_id is not null and (in_force.value is not null or in_force.is_killed)
                union all
                select (p_change ->> 'restaurant_id')::uuid, p_change ->> 'flag'
                where p_change ->> 'restaurant_id' is not null
            ) as stored
            group by stored.restaurant_id
        ) as apart on apart.restaurant_id = levels.restaurant_id
    )

    select
        rules.name,
        array(select named.flag from jsonb_object_keys(rules.conditions) as named (flag) order by named.flag),
        rules.because,
        places.restaurant_id
    from rules
    cross join places
    where
        (places.restaurant_id is null or rules.conditions ?| places.flags)
        and (
            select bool_and(holds.is_flag_condition_met(asked.value, (places.levels ->> asked.key)::numeric))
            from jsonb_each(rules.conditions) as asked
        )
    order by 1, 4 nulls first;
end
$$;

create or replace function holds.break_glass(
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
    v_unreviewed bigint;
begin
    perform holds.lock_flags();
    -- Alone is for emergencies: whoever goes on alone for longer than one may last, is looked at first.
    select min(known.id) into v_unreviewed
    from holds.flag_changes as known
    where known.is_break_glass and known.reviewed_by is null and known.requested_by = v_person
        and known.requested_at <= holds.flag_now() - interval '3 days';
    if v_unreviewed is not null then
        raise exception '% broke the glass more than 3 days ago, and nobody has reviewed that: change %', v_person, v_unreviewed
            using errcode = '55000', constraint = 'flag_changes_state',
            hint = 'Somebody else reviews it with: holdwatch flags review ID --remark …';
    end if;
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

revoke execute on all functions in schema holds from public;
