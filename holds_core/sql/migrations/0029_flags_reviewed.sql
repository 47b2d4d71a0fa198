-- What a review of the flags found, mended in functions of 0019, 0021, 0023 and 0025: a restaurant's kill switch waits for locks as
-- long as its caller says; "on" where nothing was off is no change; an open switch lets go of its locks; broken glass stays behind
-- when a database changes its environment, and is no tampering; nothing goes up by stages where nothing is held; a guard takes
-- back only what has a stage before it; one restaurant's setting is judged against its own.

-- As in 0012; how long it may wait for locks is its callers' to say.
create or replace function holds.put_restaurant_enforcement(
    p_restaurant_id uuid, p_is_strict boolean, p_reason text, p_on_overlap text
)
returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_grandfathered bigint := 0;
begin
    perform holds.require_read_committed();
    perform holds.require_overlaps_choice(p_on_overlap);
    if p_restaurant_id is null then
        raise exception 'name a restaurant' using errcode = '22023';
    end if;
    if p_is_strict is distinct from false then
        perform holds.drain_creates();
    end if;
    insert into holds.restaurant_settings as stored (restaurant_id, is_strict)
    values (p_restaurant_id, p_is_strict)
    on conflict (restaurant_id) do update
    set is_strict = excluded.is_strict, updated_at = clock_timestamp();
    if p_is_strict is distinct from false then
        v_grandfathered := holds.settle_overlaps(p_on_overlap, p_restaurant_id);
    end if;
    perform holds.emit(
        gen_random_uuid(), clock_timestamp(), 'capacity.enforcement.changed', 'info', 'holds.core', p_restaurant_id, null,
        jsonb_build_object(
            'isStrict', p_is_strict, 'reason', p_reason, 'changedBy', session_user,
            'grandfatheredOverlaps', v_grandfathered)
    );
    return holds.is_hold_strict_for(p_restaurant_id);
end
$$;

-- Off waits for nobody: not for creates, not for the trail (its entry is sealed by whoever comes next), and for a change of
-- the same settings no longer than that may sit idle in its transaction (lock_flags says 2 s).
create or replace function holds.set_hold_conflict_enforcement(
    enabled boolean, reason text default null, on_overlap text default 'refuse'
)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
declare
    v_environment text := (select environment from holds.settings);
    v_was boolean;
begin
    if enabled is null then
        raise exception 'enabled must be true or false' using errcode = '22023';
    end if;
    if v_environment is null then
        raise exception 'the settings of this database are missing; run: holdwatch db migrate' using errcode = '55000';
    end if;
    if enabled then
        perform holds.lock_flags();
        perform holds.drain_creates();
    else
        perform set_config('lock_timeout', '4s', true);
        -- Nor does it, left open, stand between others and the switch: see lock_flags.
        perform set_config('idle_in_transaction_session_timeout', '2s', true);
    end if;
    -- On where nothing was off is no change: requests stay up to date, and a soak goes on.
    insert into holds.flag_overrides as stored (environment, flag, is_killed, changed_at, changed_by)
    select v_environment, 'holds.strictConflicts', not enabled, holds.flag_now(), session_user
    where not enabled or exists (
        select from holds.flag_overrides as known
        where known.environment = v_environment and known.flag = 'holds.strictConflicts' and known.restaurant_id is null
    )
    on conflict on constraint flag_overrides_place do update
    set version = stored.version + 1, is_killed = excluded.is_killed, changed_at = excluded.changed_at,
        changed_by = excluded.changed_by
    where stored.is_killed <> excluded.is_killed;
    v_was := holds.is_holds_strict_conflicts_enabled();
    perform holds.put_hold_conflict_enforcement(enabled, reason, on_overlap);
    if v_was <> enabled then
        perform holds.note_kill_switch(v_environment, null, enabled, reason);
    end if;
    return enabled;
end
$$;

-- The kill switch of one restaurant; on brings back what is approved for it.
create or replace function holds.switch_restaurant_enforcement(
    restaurant_id uuid, enabled boolean, reason text default null, on_overlap text default 'refuse'
)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
declare
    v_environment text := (select environment from holds.settings);
begin
    if enabled is null or restaurant_id is null then
        raise exception 'enabled must be true or false, and restaurant_id a restaurant' using errcode = '22023';
    end if;
    if enabled then
        perform holds.lock_flags();
        perform holds.drain_creates();
    else
        perform set_config('lock_timeout', '4s', true);
        perform set_config('idle_in_transaction_session_timeout', '2s', true);
    end if;
    insert into holds.flag_overrides as stored (environment, flag, restaurant_id, is_killed, changed_at, changed_by)
    select
        v_environment, 'holds.strictConflicts', switch_restaurant_enforcement.restaurant_id, not enabled, holds.flag_now(),
        session_user
    where not enabled or exists (
        select from holds.flag_overrides as known
        where known.environment = v_environment and known.flag = 'holds.strictConflicts'
            and known.restaurant_id = switch_restaurant_enforcement.restaurant_id
    )
    on conflict on constraint flag_overrides_place do update
    set version = stored.version + 1, is_killed = excluded.is_killed, changed_at = excluded.changed_at,
        changed_by = excluded.changed_by
    where stored.is_killed <> excluded.is_killed;
    if found then
        perform holds.materialise_flag(
            'holds.strictConflicts', switch_restaurant_enforcement.restaurant_id, reason, on_overlap);
        perform holds.note_kill_switch(v_environment, switch_restaurant_enforcement.restaurant_id, enabled, reason);
    end if;
    return holds.is_hold_strict_for(switch_restaurant_enforcement.restaurant_id);
end
$$;

-- Lets the hold tables count as those of another environment. What the database decides goes with them: what was approved, and
-- the kill switch. A glass that is broken stays behind, since it was for a time.
create or replace function holds.change_environment(p_environment text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_was text := (select environment from holds.settings);
    v_moved record;
    v_left_behind record;
begin
    if v_was = p_environment then
        return;
    end if;
    perform holds.lock_flags();
    for v_moved in
        select
            coalesce(here.flag, there.flag) as flag,
            coalesce(here.restaurant_id, there.restaurant_id) as restaurant_id,
            here.value,
            here.percentage,
            coalesce(here.is_killed, false) as is_killed,
            coalesce(there.is_killed, false) as was_killed
        from (
            select * from holds.flag_overrides
            where environment = v_was and flag in ('holds.strictConflicts', 'holds.rateLimit')
        ) as here
        full join (
            select * from holds.flag_overrides
            where environment = p_environment and flag in ('holds.strictConflicts', 'holds.rateLimit')
        ) as there on there.flag = here.flag and there.restaurant_id is not distinct from here.restaurant_id
    loop
        insert into holds.flag_overrides as stored (
            environment, flag, restaurant_id, value, percentage, is_killed, changed_at, changed_by
        )
        values (
            p_environment, v_moved.flag, v_moved.restaurant_id, v_moved.value, v_moved.percentage, v_moved.is_killed,
            holds.flag_now(), session_user
        )
        on conflict on constraint flag_overrides_place do update
        set version = stored.version + 1, value = excluded.value, percentage = excluded.percentage,
            is_killed = excluded.is_killed, change_id = null, break_glass_value = null, break_glass_percentage = null,
            break_glass_change_id = null, break_glass_ends_at = null, changed_at = excluded.changed_at,
            changed_by = excluded.changed_by;
        perform holds.note_flag(
            p_environment, v_moved.flag, v_moved.restaurant_id, 'moved', null, null,
            holds.flag_override(p_environment, v_moved.flag, v_moved.restaurant_id),
            format('the database serves %s, after %s', p_environment, v_was));
        if v_moved.is_killed <> v_moved.was_killed then
            perform holds.note_kill_switch(
                p_environment, v_moved.restaurant_id, not v_moved.is_killed,
                format('the database serves %s, after %s', p_environment, v_was));
        end if;
    end loop;
    -- After the overrides' rows, as everywhere.
    update holds.settings set environment = p_environment;
    for v_left_behind in
        select flag, restaurant_id from holds.flag_overrides
        where environment = v_was and break_glass_value is not null and flag in ('holds.strictConflicts', 'holds.rateLimit')
    loop
        perform holds.materialise_flag(
            v_left_behind.flag, v_left_behind.restaurant_id,
            format('the database serves %s, after %s', p_environment, v_was), 'grandfather');
    end loop;
end
$$;

-- Every way in which what is in force is not what the trail's last word says; no row: it is.
create or replace function holds.flag_state_problems()
returns setof text
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    with here as (
        select settings.* from holds.settings
    ),

    spoken as (
        select distinct on (environment, flag, restaurant_id) environment, flag, restaurant_id, to_setting
        from holds.flag_audit
        where action in ('applied', 'break-glass', 'break-glass ended', 'set directly', 'found', 'moved')
        order by environment, flag, restaurant_id, position desc nulls first, at desc
    ),

    switched as (
        select distinct on (environment, flag, restaurant_id) environment, flag, restaurant_id, action = 'killed' as is_killed
        from holds.flag_audit
        where action in ('killed', 'kill switch taken back')
        order by environment, flag, restaurant_id, position desc nulls first, at desc
    ),

    -- As the settings have it: a glass that is over counts until it is tended to.
    stored as (
        select
            environment, flag, restaurant_id, is_killed,
            case
                when break_glass_value is not null then holds.flag_setting(break_glass_value, break_glass_percentage)
                else holds.flag_setting(value, percentage)
            end as setting
        from holds.flag_overrides
    ),

    -- What holds for all restaurants of the environment whose holds are here.
    approved as (
        select
            definitions.flag,
            coalesce(stored.setting, definitions.definition -> 'default' -> here.environment) as setting
        from here
        cross join holds.flag_definitions as definitions
        left join stored
            on stored.environment = here.environment and stored.flag = definitions.flag and stored.restaurant_id is null
    )

    select format(
        '%s in %s%s is set to %s, and the trail''s last word is %s',
        coalesce(stored.flag, spoken.flag), coalesce(stored.environment, spoken.environment),
        ' for restaurant ' || coalesce(stored.restaurant_id, spoken.restaurant_id),
        holds.flag_text(stored.setting -> 'value', (stored.setting ->> 'percentage')::integer),
        holds.flag_text(spoken.to_setting -> 'value', (spoken.to_setting ->> 'percentage')::integer))
    from spoken
    full join stored
        on stored.environment = spoken.environment and stored.flag = spoken.flag
        and coalesce(stored.restaurant_id::text, '') = coalesce(spoken.restaurant_id::text, '')
    where stored.setting is distinct from spoken.to_setting
    union all
    select format(
        'the kill switch of %s in %s%s is %s, and the trail''s last word is that it is %s',
        coalesce(stored.flag, switched.flag), coalesce(stored.environment, switched.environment),
        ' for restaurant ' || coalesce(stored.restaurant_id, switched.restaurant_id),
        case when stored.is_killed then 'on' else 'not on' end, case when switched.is_killed then 'on' else 'not on' end)
    from switched
    full join stored
        on stored.environment = switched.environment and stored.flag = switched.flag
        and coalesce(stored.restaurant_id::text, '') = coalesce(switched.restaurant_id::text, '')
    where coalesce(stored.is_killed, false) <> coalesce(switched.is_killed, false)
    union all
    select format(
        'holds.strictConflicts is %s %% in the settings, and the flag is set to %s',
        here.strict_percentage,
        holds.flag_text(approved.setting -> 'value', (approved.setting ->> 'percentage')::integer))
    from here
    inner join approved on approved.flag = 'holds.strictConflicts'
    where here.strict_percentage <> holds.flag_level(
        approved.setting -> 'value', (approved.setting ->> 'percentage')::integer)
    union all
    select format(
        'the kill switch is %s in the settings, and %s as the flag has it',
        case when here.is_strict_conflicts_enabled then 'not on' else 'on' end,
        case when here.is_strict_conflicts_enabled then 'on' else 'not on' end)
    from here
    where here.is_strict_conflicts_enabled = holds.is_flag_killed(here.environment, 'holds.strictConflicts', null)
    union all
    select format(
        'the rate limit is %s in the settings, and the flag is set to %s',
        holds.flag_rate(here.rate_limit_holds, here.rate_limit_seconds, null) #>> '{}', approved.setting ->> 'value')
    from here
    inner join approved on approved.flag = 'holds.rateLimit'
    where
        holds.flag_rate(here.rate_limit_holds, here.rate_limit_seconds, null)
        is distinct from coalesce(approved.setting -> 'value', '"none"')
    union all
    select format('restaurant %s is set otherwise in the settings than its flags say', coalesce(stored.restaurant_id, own.restaurant_id))
    from here
    cross join lateral (
        select
            in_force.restaurant_id,
            bool_or(case
                when in_force.flag <> 'holds.strictConflicts' then null
                when in_force.is_killed then false
                else (in_force.setting ->> 'value')::boolean
            end) as is_strict,
            max(in_force.setting ->> 'value') filter (where in_force.flag = 'holds.rateLimit') as rate
        from stored as in_force
        where
            in_force.environment = here.environment and in_force.restaurant_id is not null
            and in_force.flag in ('holds.strictConflicts', 'holds.rateLimit')
        group by in_force.restaurant_id
    ) as own
    full join holds.restaurant_settings as stored on stored.restaurant_id = own.restaurant_id
    where
        stored.is_strict is distinct from own.is_strict
        or holds.flag_rate(stored.rate_limit_holds, stored.rate_limit_seconds, stored.restaurant_id) #>> '{}'
        is distinct from own.rate
$$;

-- What the guardrails of a stage say, as [{measure, span, at_least, at_most, value, sample_count, from, until, verdict, said}].
--   span: stage, all of it; or hour, its last one, so that hours that were good do not outweigh a minute that is not.
create or replace function holds.rollout_guardrails(
    p_environment text, p_flag text, p_guardrails jsonb, p_is_soaked boolean
)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
-- Compiling these views takes longer than running them.
set jit = off
as $$
declare
    v_measured jsonb;
    v_problem text;
begin
    if to_regclass('analytics.rollout_measures') is null then
        v_problem := 'no evidence: the views are not built; run: holdwatch pipeline run';
    elsif exists (
        select from pg_class
        where
            relnamespace = 'analytics'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'f')
            and relowner <> (select oid from pg_roles where rolname = current_user)
    ) then
        -- Whoever makes a view there says what is true, and what it calls runs as whoever reads it.
        v_problem := format('no evidence: schema analytics has relations of others than %s', current_user);
    else
        begin
            execute $measures$
                with found as materialized (
                    select * from analytics.rollout_measures where environment = $1 and flag = $2
                )

                select jsonb_agg(measured.entry order by measured.place, measured.span desc)
                from (
                    select
                        asked.place,
                        found.span,
                        jsonb_build_object(
                            'measure', asked.guardrail ->> 'measure', 'span', found.span,
                            'at_least', asked.guardrail -> 'at_least', 'at_most', asked.guardrail -> 'at_most',
                            'value', found.value, 'sample_count', found.sample_count,
                            'from', found.measured_from, 'until', found.measured_until) as entry
                    from jsonb_array_elements($3) with ordinality as asked (guardrail, place)
                    left join found
                        on found.measure = asked.guardrail ->> 'measure'
                        and (
                            found.span = 'stage'
                            or (found.sample_count >= 20 and found.measure not in ('double_bookings', 'request_count'))
                        )
                    union all
                    select
                        100, null,
                        jsonb_build_object(
                            'measure', 'firing_alerts', 'span', null, 'at_least', null, 'at_most', 0,
                            'value', count(*), 'said', string_agg(firing.alert, ', ' order by firing.alert))
                    from analytics.alert_evaluations as firing
                    -- Restaurants that are not strict yet double-book, and set that alert off: those of the stage are counted above.
                    where firing.environment = $1 and firing.is_firing and firing.alert <> 'double_booking'
                    union all
                    select
                        101, null,
                        jsonb_build_object(
                            'measure', 'pipeline_freshness', 'span', null, 'at_least', null, 'at_most', 900,
                            'value', round(greatest(
                                max(fresh.lag_seconds), extract(epoch from now() - max(fresh.last_run_succeeded_at)))::numeric),
                            'said', case
                                when bool_or(fresh.is_blocked) then 'the pipeline is blocked: ' || max(fresh.blocked_reason)
                                when max(fresh.lag_seconds) is null then 'there is no event'
                                when max(fresh.last_run_succeeded_at) is null then 'no run of the pipeline has succeeded'
                            end)
                    from analytics.pipeline_freshness as fresh
                    where fresh.environment = $1
                ) as measured
            $measures$
            into v_measured using p_environment, p_flag, p_guardrails;
        exception
            when undefined_table or undefined_column or insufficient_privilege then
                v_problem := format('no evidence: %s; run: holdwatch pipeline run', sqlerrm);
        end;
    end if;
    if v_problem is not null then
        return jsonb_build_array(jsonb_build_object('measure', 'evidence', 'verdict', 'waits', 'said', v_problem));
    end if;
    return (
        select jsonb_agg(
            case
                when entries.entry ->> 'measure' = 'pipeline_freshness' and entries.entry ->> 'said' is not null
                    then entries.entry || '{"verdict": "waits"}'
                else holds.rollout_verdict(entries.entry, p_is_soaked)
            end
            order by entries.place)
        from jsonb_array_elements(v_measured) with ordinality as entries (entry, place)
    );
end
$$;

-- Refuses a change that goes up otherwise than by the next stage, soaked and within its guardrails. Returns the evidence to be
-- kept with it, which is worked out here and now; what somebody hands in under that name is not looked at.
create or replace function holds.rollout_evidence(p_change holds.flag_changes)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_stage record;
    v_wanted integer;
    v_status jsonb;
    v_missing text[];
    -- Under these names it is this database that speaks.
    v_evidence jsonb := coalesce(p_change.evidence, '{}') - array['rollout', 'rollback'];
begin
    if p_change.is_rollback then
        return p_change.evidence;
    end if;
    if p_change.is_break_glass then
        return v_evidence;
    end if;
    select * into v_stage from holds.rollout_stages() as stages
    where stages.environment = p_change.environment and stages.flag = p_change.flag;
    if not found then
        -- Nothing is held of that environment yet, so that nothing is known of it: it begins with what it is.
        if exists (
            select from holds.flag_definitions as definitions
            where
                definitions.flag = p_change.flag and not definitions.is_retired
                and definitions.definition -> 'rollout' -> 'stages' ? p_change.environment
                and holds.flag_level(p_change.value, p_change.percentage) > holds.flag_level(
                    definitions.definition -> 'default' -> p_change.environment -> 'value',
                    (definitions.definition -> 'default' -> p_change.environment ->> 'percentage')::integer)
        ) then
            raise exception 'in % the flag % goes up by stages, and this database holds nothing of that environment yet',
                p_change.environment, p_change.flag
                using errcode = '55000', constraint = 'flag_changes_stage',
                hint = format(
                    'Have it say what is in force there: holdwatch flags request %s off --environment %s',
                    p_change.flag, p_change.environment);
        end if;
        return v_evidence;
    end if;
    if p_change.restaurant_id is not null then
        if p_change.value = 'true' and least(v_stage.stage, v_stage.approved) < 100 then
            raise exception 'in % the flag % goes up by stages: a restaurant joins by the cohort, not by a setting of its own',
                p_change.environment, p_change.flag
                using errcode = '55000', constraint = 'flag_changes_stage', hint = 'holdwatch rollout cohort --add RESTAURANT';
        end if;
        return v_evidence;
    end if;
    select holds.flag_level(wanted.setting -> 'value', (wanted.setting ->> 'percentage')::integer) into v_wanted
    from (
        select coalesce(
            holds.flag_setting(p_change.value, p_change.percentage),
            (
                select definitions.definition -> 'default' -> p_change.environment
                from holds.flag_definitions as definitions
                where definitions.flag = p_change.flag
            )
        ) as setting
    ) as wanted;
    if v_wanted <= v_stage.approved then
        return v_evidence;
    end if;
    v_status := holds.rollout_status(p_change.environment, p_change.flag, p_change.evidence -> 'from');
    v_missing := array(select jsonb_array_elements_text(v_status -> 'missing'));
    if v_wanted is distinct from (v_status ->> 'next_stage')::integer
        and not v_stage.is_killed and not v_stage.is_break_glass
    then
        v_missing := format(
            'the stage after %s %% is %s', v_stage.stage, coalesce((v_status ->> 'next_stage') || ' %', 'none')
        )::text || v_missing;
    end if;
    if v_missing <> '{}' then
        raise exception 'the rollout of % in % cannot go from % %% to % %% yet: %', p_change.flag, p_change.environment,
            v_stage.approved, v_wanted, array_to_string(v_missing, '; ')
            using errcode = '55000', constraint = 'flag_changes_stage', hint = 'See: holdwatch rollout status';
    end if;
    return v_evidence || jsonb_build_object('rollout', v_status);
end
$$;

-- Judges every rollout that is on its way, and takes back a stage whose guardrail is broken. Returns what each was found to be:
-- held_by says what holds it back, rolled_back_to what it was taken back to.
--   p_told: what held back each when this was called last, as {"flag environment": held_by}: said as an event when it changes.
create or replace function holds.guard_rollouts(p_told jsonb default '{}')
returns setof jsonb
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '5s'
as $$
declare
    v_stage record;
    v_status jsonb;
    v_held_by text;
    v_change holds.flag_changes;
begin
    for v_stage in select * from holds.rollout_stages() where is_running order by 1, 2 loop
        v_status := holds.rollout_status(v_stage.environment, v_stage.flag);
        if v_status ->> 'verdict' = 'broken' and v_status ->> 'stage_before' is not null then
            perform holds.lock_flags();
            -- Somebody may have been faster.
            v_status := holds.rollout_status(v_stage.environment, v_stage.flag);
            if v_status ->> 'verdict' = 'broken' and (v_status ->> 'is_running')::boolean
                and v_status ->> 'stage_before' is not null
            then
                v_change := holds.put_rollback(v_status, 'rollout guard', (
                    select 'a guardrail broke: ' || string_agg(holds.rollout_words(entries.entry), '; ' order by entries.place)
                    from jsonb_array_elements(v_status -> 'guardrails') with ordinality as entries (entry, place)
                    where entries.entry ->> 'verdict' = 'broken'
                ));
                return next v_status
                    || jsonb_build_object('rolled_back_to', holds.flag_text(v_change.value, v_change.percentage));
                continue;
            end if;
        end if;
        select string_agg(
            concat_ws(' of the last ', entries.entry ->> 'measure', nullif(entries.entry ->> 'span', 'stage')), ', '
            order by entries.place)
        into v_held_by
        from jsonb_array_elements(v_status -> 'guardrails') with ordinality as entries (entry, place)
        where entries.entry ->> 'verdict' in ('waits', 'broken');
        if v_held_by is distinct from p_told ->> concat_ws(' ', v_stage.flag, v_stage.environment) and v_held_by is not null then
            perform holds.note_rollout(
                'capacity.rollout.blocked', 'warning', v_status, null, 'held back by ' || v_held_by, 'rollout guard');
        end if;
        return next v_status || jsonb_build_object('held_by', v_held_by);
    end loop;
end
$$;

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
        where
            p_change.flag = any(contradictions.flags)
            -- What one restaurant is set to changes nothing for another.
            and (p_change.restaurant_id is null or contradictions.restaurant_id = p_change.restaurant_id)
    ) as found;
    if v_said is not null and p_change.unsafe_because is null and not p_change.is_break_glass then
        raise exception 'this would make an unsafe combination in %: %', p_change.environment, v_said
            using errcode = '23514', constraint = 'flag_changes_unsafe',
            hint = 'Change the other flag first, or say why it is right all the same (--unsafe-because).';
    end if;
    return v_found;
end
$$;
