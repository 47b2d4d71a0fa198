-- What flags are in force, and which unsafe combinations that makes. Python judges by the same rules
-- (holds_core/flags/evaluation.py, contradictions.py), for processes that have no database at hand.

-- Takes over the definitions of a release, as {flag: definition}; returns how many were new, changed or retired.
create function holds.sync_flag_definitions(p_definitions jsonb)
returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_defined record;
    v_count integer := 0;
begin
    perform holds.lock_flags();
    for v_defined in
        select
            coalesce(given.key, known.flag) as flag,
            given.value as definition,
            known.definition as old_definition,
            known.flag is not null and not known.is_retired as was_known
        from jsonb_each(p_definitions) as given
        full join holds.flag_definitions as known on known.flag = given.key
        where given.value is distinct from case when not known.is_retired then known.definition end
        order by 1
    loop
        v_count := v_count + 1;
        if v_defined.definition is null then
            update holds.flag_definitions set is_retired = true, synced_at = holds.flag_now() where flag = v_defined.flag;
        else
            insert into holds.flag_definitions (flag, definition, synced_at)
            values (v_defined.flag, v_defined.definition, holds.flag_now())
            on conflict (flag) do update
            set definition = excluded.definition, synced_at = excluded.synced_at, is_retired = false;
        end if;
        perform holds.note_flag(
            null, v_defined.flag, null, case when v_defined.definition is null then 'retired' else 'defined' end, null,
            case when v_defined.was_known then v_defined.old_definition -> 'default' end,
            v_defined.definition -> 'default',
            null,
            p_details => jsonb_build_object('sha256', encode(sha256(convert_to(v_defined.definition::text, 'UTF8')), 'hex'))
        );
        -- A default is in force wherever nothing else is set: for what the database decides, in its settings too.
        if v_defined.definition is not null and exists (select from holds.settings) then
            perform holds.materialise_flag(
                v_defined.flag, null, 'the default of the definition that was synced', 'grandfather');
        end if;
    end loop;
    return v_count;
end
$$;

-- What is in force instead of the defaults, for an environment (NULL: all): break-glass while it lasts, else what was approved.
create function holds.flag_values(p_environment text)
returns table (
    environment text,
    flag text,
    restaurant_id uuid,
    version bigint,
    value jsonb,
    percentage integer,
    change_id bigint,
    is_break_glass boolean,
    is_killed boolean,
    changed_at timestamptz,
    changed_by text
)
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select
        stored.environment,
        stored.flag,
        stored.restaurant_id,
        stored.version,
        case when live.is_break_glass then stored.break_glass_value else stored.value end,
        case when live.is_break_glass then stored.break_glass_percentage else stored.percentage end,
        case when live.is_break_glass then stored.break_glass_change_id else stored.change_id end,
        live.is_break_glass,
        stored.is_killed,
        stored.changed_at,
        stored.changed_by
    from (select holds.flag_now() as at) as clock
    cross join holds.flag_overrides as stored
    cross join lateral (
        select coalesce(stored.break_glass_ends_at > clock.at, false) as is_break_glass
    ) as live
    where p_environment is null or stored.environment = p_environment
$$;

-- The number that rules compare: of a boolean the share of restaurants that have it on; of a rate its holds per minute.
create function holds.flag_level(p_value jsonb, p_percentage integer)
returns numeric
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select case jsonb_typeof(p_value)
        when 'boolean' then case when p_value::boolean then coalesce(p_percentage, 100) else 0 end
        when 'number' then p_value::numeric
        when 'string' then case
            when p_value #>> '{}' = 'none' then 0
            else split_part(p_value #>> '{}', '/', 1)::numeric * 60 / split_part(p_value #>> '{}', '/', 2)::numeric
        end
    end
$$;

create function holds.is_flag_condition_met(p_condition jsonb, p_level numeric)
returns boolean
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
        case
            when jsonb_typeof(p_condition -> 'is') = 'boolean'
                then case when (p_condition ->> 'is')::boolean then p_level > 0 else p_level < 100 end
            else
                (not p_condition ? 'is' or p_level = (p_condition ->> 'is')::numeric)
                and (not p_condition ? 'above' or p_level > (p_condition ->> 'above')::numeric)
                and (not p_condition ? 'below' or p_level < (p_condition ->> 'below')::numeric)
        end,
        false
    )
$$;

-- The level of every flag, as {flag: level}: of the environment, or exactly that of one restaurant.
--   p_variables: what environment variables of the caller's process say, as {flag: {value, percentage}}.
--   p_change: what is asked about, as if it were in force: {flag, restaurant_id, value, percentage}; NULL: nothing.
create function holds.flag_levels(p_environment text, p_restaurant_id uuid, p_variables jsonb, p_change jsonb)
returns jsonb
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    with given as (
        select
            definitions.flag,
            definitions.definition,
            case
                when p_change ->> 'flag' = definitions.flag and p_change ->> 'restaurant_id' is null
                    then holds.flag_level(nullif(p_change -> 'value', 'null'), (p_change ->> 'percentage')::integer)
                else holds.flag_level(general.value, general.percentage)
            end as override_level,
            case
                when p_change ->> 'flag' = definitions.flag and (p_change ->> 'restaurant_id')::uuid = p_restaurant_id
                    then holds.flag_level(nullif(p_change -> 'value', 'null'), null)
                else holds.flag_level(own.value, null)
            end as own_level,
            coalesce(general.is_killed, false) or coalesce(own.is_killed, false) as is_killed
        from holds.flag_definitions as definitions
        left join holds.flag_values(p_environment) as general
            on general.flag = definitions.flag and general.restaurant_id is null
        left join holds.flag_values(p_environment) as own
            on own.flag = definitions.flag and own.restaurant_id = p_restaurant_id
        where not definitions.is_retired
    ),

    layered as (
        select
            flag,
            definition ->> 'type' = 'boolean' as is_boolean,
            is_killed,
            own_level,
            coalesce(
                override_level,
                case
                    when definition ->> 'decided_in' = 'client'
                        then holds.flag_level(
                            p_variables -> flag -> 'value', (p_variables -> flag ->> 'percentage')::integer
                        )
                end,
                holds.flag_level(
                    definition -> 'default' -> p_environment -> 'value',
                    (definition -> 'default' -> p_environment ->> 'percentage')::integer
                )
            ) as general_level
        from given
    )

    select coalesce(jsonb_object_agg(flag, case
        when is_killed then 0
        when own_level is not null then own_level
        when p_restaurant_id is not null and is_boolean and general_level > 0 and general_level < 100
            then case when holds.rollout_bucket(flag, p_restaurant_id) < general_level then 100 else 0 end
        else general_level
    end), '{}')
    from layered
$$;

-- The rules that are met: for the environment in general, and for restaurants that have something of their own for one of the
-- rule's flags.
create function holds.flag_contradictions(
    p_environment text default null, p_variables jsonb default '{}', p_change jsonb default null
)
returns table (rule text, flags text[], because text, restaurant_id uuid)
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    with environments as (
        select coalesce(p_environment, (select settings.environment from holds.settings)) as environment
    ),

    rules as (
        select rules.rule
        from environments
        cross join holds.flag_definitions as definitions
        cross join jsonb_array_elements(definitions.definition -> 'rules') as rules (rule)
        where not definitions.is_retired and rules.rule -> 'environments' ? environments.environment
    ),

    apart as (
        select stored.restaurant_id, array_agg(stored.flag) as flags
        from environments
        cross join lateral (
            select in_force.restaurant_id, in_force.flag
            from holds.flag_values(environments.environment) as in_force
            where in_force.restaurant_id is not null and (in_force.value is not null or in_force.is_killed)
            union all
            select (p_change ->> 'restaurant_id')::uuid, p_change ->> 'flag'
            where p_change ->> 'restaurant_id' is not null
        ) as stored
        group by stored.restaurant_id
        union all
        select null, null
    ),

    levels as (
        select
            apart.restaurant_id,
            apart.flags,
            holds.flag_levels(environments.environment, apart.restaurant_id, coalesce(p_variables, '{}'), p_change) as levels
        from apart
        cross join environments
    )

    select
        rules.rule ->> 'name',
        array(select jsonb_object_keys(rules.rule -> 'when') as flag order by flag),
        rules.rule ->> 'because',
        levels.restaurant_id
    from rules
    cross join levels
    where
        (levels.flags is null or rules.rule -> 'when' ?| levels.flags)
        and (
            select bool_and(holds.is_flag_condition_met(conditions.value, (levels.levels ->> conditions.key)::numeric))
            from jsonb_each(rules.rule -> 'when') as conditions
        )
    order by 1, 4 nulls first
$$;

comment on function holds.flag_contradictions(text, jsonb, jsonb) is
'The unsafe combinations of flags that are in force in an environment, or would be with a change: rule, flags, why.';

-- Says the unsafe combinations that stand, as events: at once when a change has made them, and again every quarter of an hour.
-- The same id and time whoever says it, so that many who say it are one event.
create function holds.tell_flag_contradictions(p_environment text)
returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_found record;
    v_at timestamptz := greatest(
        date_bin('15 minutes', holds.flag_now(), '2000-01-01 00:00+00'),
        (select max(stored.changed_at) from holds.flag_overrides as stored where stored.environment = p_environment)
    );
    v_count integer := 0;
begin
    for v_found in select * from holds.flag_contradictions(p_environment) loop
        v_count := v_count + 1;
        perform holds.emit_for(
            p_environment,
            md5(concat_ws(
                '|', v_found.rule, p_environment, coalesce(v_found.restaurant_id::text, ''),
                (extract(epoch from v_at) * 1000000)::bigint
            ))::uuid,
            v_at, 'capacity.flags.contradiction', 'warning', v_found.restaurant_id,
            jsonb_build_object(
                'rule', v_found.rule, 'flags', v_found.flags, 'environment', p_environment, 'because', v_found.because)
        );
    end loop;
    return v_count;
end
$$;

-- Everything that a process needs to evaluate the flags of an environment by itself, in one answer.
create function holds.flag_snapshot(p_environment text default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_environment text := coalesce(p_environment, (select settings.environment from holds.settings));
begin
    return jsonb_build_object(
        'environment', v_environment,
        'definitions', (
            select coalesce(jsonb_object_agg(definitions.flag, definitions.definition), '{}')
            from holds.flag_definitions as definitions
            where not definitions.is_retired
        ),
        'overrides', (
            select coalesce(jsonb_agg(jsonb_build_object(
                'flag', in_force.flag,
                'restaurant_id', in_force.restaurant_id,
                'value', in_force.value,
                'percentage', in_force.percentage,
                'is_break_glass', in_force.is_break_glass,
                'is_killed', in_force.is_killed
            )), '[]')
            from holds.flag_values(v_environment) as in_force
            where in_force.value is not null or in_force.is_killed
        ),
        'changed_at', (
            select max(stored.changed_at) from holds.flag_overrides as stored where stored.environment = v_environment
        ),
        -- Relative, so that the asking machine's clock does not matter.
        'ends_in_seconds', (
            select extract(epoch from min(stored.break_glass_ends_at) - holds.flag_now())
            from holds.flag_overrides as stored
            where stored.environment = v_environment and stored.break_glass_ends_at > holds.flag_now()
        )
    );
end
$$;

comment on function holds.flag_snapshot(text) is
'Definitions and overrides of an environment (the database''s own unless named), for evaluation in the asking process.';

revoke execute on all functions in schema holds from public;
grant execute on function holds.flag_contradictions(text, jsonb, jsonb) to holds_operator;
grant execute on function holds.flag_snapshot(text) to holds_app, holds_operator;
