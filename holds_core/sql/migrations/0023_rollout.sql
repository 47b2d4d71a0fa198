-- Staged rollout: a flag whose definition has stages for an environment goes up by those stages alone, each after its soak and with
-- guardrails that hold. What they are measured by is the view analytics.rollout_measures; this schema stands without it, and
-- then there is no evidence and no way up. Breaking the glass, the kill switch and the owner's direct setting are as they were.
--
-- Replaces functions of 0006, 0018 and 0020.

-- Who takes part while a flag is on for a percentage; a flag without any here: everybody. It changes while no percentage is in
-- force or asked for, so that changing it switches nothing, and who approves a stage approves it for those who are in it.
create table holds.flag_cohorts (
    flag text not null,
    restaurant_id uuid not null,
    added_by text not null,
    added_at timestamptz not null,
    constraint flag_cohorts_place primary key (flag, restaurant_id)
);
alter table holds.flag_cohorts enable row level security;

comment on table holds.flag_cohorts is 'The restaurants that take part in the stages of a flag; none: all do.';

-- Back to the stage before needs nobody's approval. Step by step: PostgreSQL 15 adds no column with a default to a table whose
-- rows are the default of a function's parameter (holds.note_flag).
alter table holds.flag_changes add column is_rollback boolean;
update holds.flag_changes set is_rollback = false;
alter table holds.flag_changes
alter column is_rollback set default false,
alter column is_rollback set not null,
drop constraint flag_changes_applied_was_approved,
add constraint flag_changes_applied_was_approved check (
    applied_version is null or is_break_glass or is_rollback or approved_by is not null
);

-- The first 4 bytes of the hash, big-endian, modulo 100: the same in holds_core/rollout.py. Who takes no part is in bucket 100,
-- which no percentage reaches.
create or replace function holds.rollout_bucket(p_flag text, p_restaurant_id uuid)
returns integer
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when exists (select from holds.flag_cohorts as taking_part where taking_part.flag = p_flag)
            and not exists (
                select from holds.flag_cohorts as taking_part
                where taking_part.flag = p_flag and taking_part.restaurant_id = p_restaurant_id
            )
            then 100
        else (
            ('x' || substr(encode(sha256(convert_to(p_flag || ':' || p_restaurant_id, 'UTF8')), 'hex'), 1, 8))::bit(32)::bigint
            % 100
        )::integer
    end
$$;

comment on function holds.rollout_bucket(text, uuid) is
'The bucket of a restaurant for a flag: sha256 of flag:restaurant, first 4 bytes, modulo 100; 100: it takes no part.';

-- Every flag that has stages, in every environment of which this database holds flags: the share that is in force, and since
-- when it has been without a break. A definition's default is in force since it was synced. It is running while it goes up by
-- stages: set to something, and not for a whole soak for everybody.
create function holds.rollout_stages()
returns table (
    environment text, flag text, stage integer, began_at timestamptz, soak_ends_at timestamptz, is_running boolean,
    is_killed boolean, is_break_glass boolean, approved integer, rollout jsonb
)
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    with clock as (
        select holds.flag_now() as now_at
    ),

    held as (
        select
            placed.environment,
            definitions.flag,
            definitions.definition -> 'rollout' as rollout,
            coalesce(
                holds.flag_setting(stored.value, stored.percentage), definitions.definition -> 'default' -> placed.environment
            ) as approved,
            holds.flag_setting(stored.break_glass_value, stored.break_glass_percentage) as break_glass,
            stored.value is not null as is_set,
            coalesce(stored.is_killed, false) as is_killed,
            coalesce(stored.break_glass_ends_at > clock.now_at, false) as is_break_glass,
            case
                when stored.flag is null then definitions.synced_at
                -- A break-glass change that is over counts until then, whether or not anybody has tended to it.
                else greatest(
                    stored.changed_at,
                    case when stored.break_glass_ends_at <= clock.now_at then stored.break_glass_ends_at end
                )
            end as began_at
        from holds.flag_definitions as definitions
        cross join clock
        cross join holds.settings
        cross join holds.held_flag_environments() as placed
        left join holds.flag_overrides as stored
            on stored.flag = definitions.flag and stored.environment = placed.environment and stored.restaurant_id is null
        where
            not definitions.is_retired
            and definitions.definition -> 'rollout' -> 'stages' ? placed.environment
            and (definitions.definition ->> 'decided_in' = 'client' or placed.environment = settings.environment)
    ),

    reckoned as (
        select
            held.*,
            held.began_at + make_interval(hours => (held.rollout ->> 'soak_hours')::integer) as soak_ends_at,
            holds.flag_level(held.approved -> 'value', (held.approved ->> 'percentage')::integer)::integer as approved_level,
            holds.flag_level(held.break_glass -> 'value', (held.break_glass ->> 'percentage')::integer)::integer as glass_level
        from held
    )

    select
        reckoned.environment,
        reckoned.flag,
        case
            when reckoned.is_killed then 0
            when reckoned.is_break_glass then reckoned.glass_level
            else reckoned.approved_level
        end,
        reckoned.began_at,
        reckoned.soak_ends_at,
        reckoned.is_set and not reckoned.is_killed and not reckoned.is_break_glass
        and (reckoned.approved_level < 100 or reckoned.soak_ends_at > clock.now_at),
        reckoned.is_killed,
        reckoned.is_break_glass,
        reckoned.approved_level,
        reckoned.rollout
    from reckoned
    cross join clock
$$;

comment on function holds.rollout_stages() is
'Which share of the restaurants each flag with stages is on for in each environment, and since when.';

-- Whether a stage includes a restaurant, and nothing of its own takes it out.
create function holds.is_in_rollout(p_environment text, p_flag text, p_stage integer, p_restaurant_id uuid)
returns boolean
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select
        (p_stage >= 100 or holds.rollout_bucket(p_flag, p_restaurant_id) < p_stage)
        and not exists (
            select from holds.flag_overrides as own
            where
                own.environment = p_environment and own.flag = p_flag and own.restaurant_id = p_restaurant_id
                and (own.is_killed or coalesce(own.break_glass_value, own.value) = 'false')
        )
$$;

-- One guardrail's verdict: it holds; it is broken, and the stage goes back; it waits, for what the stage is not to blame for; it
-- gathers, while the soak goes on and too little has happened yet.
create function holds.rollout_verdict(p_measured jsonb, p_is_soaked boolean)
returns jsonb
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select p_measured || jsonb_build_object('verdict', case
        when judged.value is not null and judged.value >= coalesce(judged.at_least, '-infinity')
            and judged.value <= coalesce(judged.at_most, 'infinity')
            then 'holds'
        -- As many as alerts ask for (dashboards/alerts.py): one guest that got no table is no ratio.
        when judged.value is null or judged.measure = 'request_count'
            or (judged.measure <> 'double_bookings' and judged.sample_count < 20)
            then case when p_is_soaked then 'waits' else 'gathers' end
        when judged.measure in ('firing_alerts', 'pipeline_freshness') then 'waits'
        else 'broken'
    end)
    from (
        select
            p_measured ->> 'measure' as measure,
            (p_measured ->> 'value')::double precision as value,
            coalesce((p_measured ->> 'sample_count')::bigint, 20) as sample_count,
            (p_measured ->> 'at_least')::double precision as at_least,
            (p_measured ->> 'at_most')::double precision as at_most
    ) as judged
$$;

-- What the guardrails of a stage say, as [{measure, span, at_least, at_most, value, sample_count, from, until, verdict, said}].
--   span: stage, all of it; or hour, its last one, so that hours that were good do not outweigh a minute that is not.
create function holds.rollout_guardrails(p_environment text, p_flag text, p_guardrails jsonb, p_is_soaked boolean)
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
        where relnamespace = 'analytics'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'f') and relowner <> current_user::regrole
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

-- A guardrail that does not hold, in words.
create function holds.rollout_words(p_guardrail jsonb)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when p_guardrail ->> 'measure' = 'evidence' then p_guardrail ->> 'said'
        else concat(
            p_guardrail ->> 'measure',
            case p_guardrail ->> 'span' when 'hour' then ' of the last hour' end,
            ' is ', coalesce(trim_scale(round((p_guardrail ->> 'value')::numeric, 4))::text, 'not known'),
            ' (' || nullif(concat_ws(
                ' and ', 'at least ' || trim_scale((p_guardrail ->> 'at_least')::numeric),
                'at most ' || trim_scale((p_guardrail ->> 'at_most')::numeric)
            ), '') || ')',
            ': ' || (p_guardrail ->> 'said'))
    end
$$;

-- Where the rollout of a flag in an environment is, how its guardrails are, and what the next stage still needs; NULL where the
-- flag has no stages there.
--   p_from: what another database says of the environment before this one, as its own rollout_status returned it.
create function holds.rollout_status(p_environment text, p_flag text, p_from jsonb default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := holds.flag_now();
    v_stage record;
    v_guardrails jsonb;
    v_next integer;
    v_before integer;
    v_is_soaked boolean;
    v_missing text[] := '{}';
    v_verdicts text[];
begin
    select * into v_stage from holds.rollout_stages() as stages
    where stages.environment = p_environment and stages.flag = p_flag;
    if not found then
        return null;
    end if;
    select min(steps.step::integer) filter (where steps.step::integer > v_stage.stage),
        coalesce(max(steps.step::integer) filter (where steps.step::integer < v_stage.stage), 0)
    into v_next, v_before
    from jsonb_array_elements_text(v_stage.rollout -> 'stages' -> p_environment) as steps (step);
    v_is_soaked := v_stage.soak_ends_at <= v_now;
    v_guardrails := holds.rollout_guardrails(p_environment, p_flag, v_stage.rollout -> 'guardrails', v_is_soaked);
    v_verdicts := array(select entries.entry ->> 'verdict' from jsonb_array_elements(v_guardrails) as entries (entry));
    if v_stage.is_killed then
        v_missing := v_missing || 'the kill switch is on'::text;
    end if;
    if v_stage.is_break_glass then
        v_missing := v_missing || 'a break-glass change is in force'::text;
    end if;
    if not v_is_soaked then
        v_missing := v_missing || format(
            'the soak of %s %% lasts until %s', v_stage.stage,
            to_char(v_stage.soak_ends_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'));
    end if;
    v_missing := v_missing || array(
        select holds.rollout_words(entries.entry)
        from jsonb_array_elements(v_guardrails) with ordinality as entries (entry, place)
        where entries.entry ->> 'verdict' <> 'holds'
        order by entries.place
    );
    if v_next is not null then
        v_missing := v_missing || holds.rollout_before(p_environment, p_flag, v_stage.rollout, p_from);
    end if;
    return jsonb_build_object(
        'environment', p_environment,
        'flag', p_flag,
        'stages', v_stage.rollout -> 'stages' -> p_environment,
        'stage', v_stage.stage,
        'stage_before', case when v_stage.stage > 0 then v_before end,
        'next_stage', v_next,
        'began_at', v_stage.began_at,
        'soak_ends_at', v_stage.soak_ends_at,
        'is_running', v_stage.is_running,
        'verdict', case
            when v_stage.is_killed then 'killed'
            when v_stage.is_break_glass then 'break-glass'
            when 'broken' = any(v_verdicts) then 'broken'
            when 'waits' = any(v_verdicts) then 'held'
            when not v_is_soaked then 'soaking'
            when v_next is null then 'finished'
            else 'ready'
        end,
        'guardrails', v_guardrails,
        'missing', to_jsonb(v_missing),
        'cohort_count', (select count(*) from holds.flag_cohorts as taking_part where taking_part.flag = p_flag),
        'waiting_change', (
            select max(changes.id) from holds.flag_changes as changes
            where
                changes.environment = p_environment and changes.flag = p_flag and changes.restaurant_id is null
                and changes.state in ('requested', 'approved') and changes.expires_at > v_now
        ),
        'judged_at', v_now,
        'database', holds.database_id(),
        'trail_head', (
            select entries.position || ':' || encode(entries.hash, 'hex')
            from holds.flag_audit as entries
            where entries.position is not null
            order by entries.position desc
            limit 1
        )
    );
end
$$;

comment on function holds.rollout_status(text, text, jsonb) is
'Where the staged rollout of a flag is, how its guardrails are, and what the next stage still needs.';

-- What is missing of the environment that comes before this one: its last stage, soaked. Where this database does not hold that
-- environment, it cannot know; it asks for what the other database said, and whoever hands that in answers for it.
create function holds.rollout_before(p_environment text, p_flag text, p_rollout jsonb, p_from jsonb)
returns text[]
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_order constant text[] := array['dev', 'staging', 'prod'];
    v_before text;
    v_status jsonb;
begin
    select ordered.environment into v_before
    from unnest(v_order) with ordinality as ordered (environment, place)
    where ordered.place < array_position(v_order, p_environment) and p_rollout -> 'stages' ? ordered.environment
    order by ordered.place desc
    limit 1;
    if v_before is null then
        return '{}';
    end if;
    v_status := coalesce(holds.rollout_status(v_before, p_flag), p_from);
    if v_status is null then
        return array[format(
            'what %s says is not known here: holdwatch rollout advance --evidence-from %s=URL', v_before, v_before)];
    end if;
    if v_status ->> 'environment' is distinct from v_before or v_status ->> 'flag' is distinct from p_flag then
        return array[format('the evidence is not of %s in %s', p_flag, v_before)];
    end if;
    if coalesce((v_status ->> 'judged_at')::timestamptz <= holds.flag_now() - interval '7 days', true) then
        return array[format('the evidence from %s is older than 7 days', v_before)];
    end if;
    if v_status ->> 'verdict' is distinct from 'finished' then
        return array[format(
            '%s is %s at %s %%, and has not finished its last stage', v_before, v_status ->> 'verdict', v_status ->> 'stage')];
    end if;
    return '{}';
end
$$;

-- Refuses a change that goes up otherwise than by the next stage, soaked and within its guardrails. Returns the evidence to be
-- kept with it, which is worked out here and now; what somebody hands in under that name is not looked at.
create function holds.rollout_evidence(p_change holds.flag_changes)
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
    select * into v_stage from holds.rollout_stages() as stages
    where stages.environment = p_change.environment and stages.flag = p_change.flag;
    if not found or p_change.is_break_glass then
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

-- As in 0020; where a flag has stages, with the evidence for the next one.
create or replace function holds.drafted_flag_change(
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
    p_draft.evidence := holds.rollout_evidence(p_draft);
    p_draft.unsafe_because := nullif(trim(p_draft.unsafe_because), '');
    p_draft.base_version := holds.flag_version(p_draft.environment, p_draft.flag, p_draft.restaurant_id);
    p_draft.expires_at := holds.flag_now() + p_expires_in;
    perform holds.unsafe_with(p_draft, p_variables);
    return p_draft;
end
$$;

-- As in 0020; the evidence is worked out once more, and a stage that was reached is an event.
create or replace function holds.put_flag_change(p_change holds.flag_changes, p_person text, p_variables jsonb)
returns holds.flag_changes
language plpgsql
set search_path = pg_catalog, pg_temp
-- While this waits for creates to end, every later create waits behind it.
set lock_timeout = '1s'
as $$
declare
    v_version bigint;
begin
    p_change.evidence := holds.rollout_evidence(p_change);
    -- Going back makes nobody strict, and waits for nobody.
    if p_change.flag = 'holds.strictConflicts' and p_change.value is distinct from 'false' and not p_change.is_rollback then
        perform holds.drain_creates();
    end if;
    perform holds.note_flag_change(
        p_change, case when p_change.is_break_glass then 'break-glass' else 'applied' end, p_person, p_change.reason,
        p_variables);
    if p_change.evidence ? 'rollout' then
        perform holds.note_rollout(
            'capacity.rollout.advanced', 'info', p_change.evidence -> 'rollout',
            holds.flag_text(p_change.value, p_change.percentage), p_change.reason, p_person);
    end if;
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
    set state = 'applied', applied_at = holds.flag_now(), applied_version = v_version, evidence = p_change.evidence
    where id = p_change.id
    returning * into p_change;
    perform holds.materialise_flag(
        p_change.flag, p_change.restaurant_id, format('change %s: %s', p_change.id, p_change.reason), p_change.on_overlap);
    perform holds.tell_flag_contradictions(p_change.environment);
    return p_change;
end
$$;

-- Says as an event that a stage was reached, or that guardrails hold it back.
create function holds.note_rollout(
    p_event_type text, p_severity text, p_status jsonb, p_to text, p_reason text, p_person text
)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select holds.emit_for(
        p_status ->> 'environment', gen_random_uuid(), holds.flag_now(), p_event_type, p_severity, null,
        jsonb_strip_nulls(jsonb_build_object(
            'flag', p_status ->> 'flag', 'environment', p_status ->> 'environment',
            'stage', case when p_event_type = 'capacity.rollout.advanced' then p_to else (p_status ->> 'stage') || '%' end,
            'from', (p_status ->> 'stage') || '%', 'to', p_to, 'reason', p_reason, 'changedBy', p_person,
            'evidence', p_status -> 'guardrails'))
    )
$$;

-- Back to the stage before. Under the lock.
create function holds.put_rollback(p_status jsonb, p_person text, p_reason text)
returns holds.flag_changes
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_before integer := (p_status ->> 'stage_before')::integer;
    v_change holds.flag_changes;
begin
    insert into holds.flag_changes (
        environment, flag, value, percentage, reason, unsafe_because, evidence, base_version, is_rollback, state, requested_by,
        requested_login, requested_at, expires_at
    )
    values (
        p_status ->> 'environment', p_status ->> 'flag', to_jsonb(v_before > 0), nullif(v_before, 0), p_reason,
        -- What it is unsafe with can be changed afterwards; what it protects from is happening now.
        'a rollback waits for no other flag', jsonb_build_object('rollback', p_status),
        holds.flag_version(p_status ->> 'environment', p_status ->> 'flag', null), true, 'approved', p_person, session_user,
        holds.flag_now(), holds.flag_now() + interval '1 hour'
    )
    returning * into v_change;
    perform holds.note_flag_change(v_change, 'rolled back', p_person, p_reason);
    perform holds.note_rollout(
        'capacity.rollout.blocked', 'warning', p_status, holds.flag_text(v_change.value, v_change.percentage), p_reason, p_person);
    return holds.put_flag_change(v_change, p_person, '{}');
end
$$;

create function holds.roll_back_flag(
    p_flag text, p_reason text, p_environment text default null, p_acting_for text default null
)
returns holds.flag_changes
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '5s'
as $$
declare
    v_person text := holds.flag_person(p_acting_for);
    v_environment text := coalesce(p_environment, (select settings.environment from holds.settings));
    v_status jsonb;
begin
    if p_reason is null or p_reason ~ '^\s*$' then
        raise exception 'say why' using errcode = '22023', constraint = 'flag_changes_value';
    end if;
    perform holds.lock_flags();
    v_status := holds.rollout_status(v_environment, p_flag);
    if v_status is null or not (v_status ->> 'is_running')::boolean or v_status ->> 'stage_before' is null then
        raise exception 'no stage of % is on its way in %, so there is none to go back from', p_flag, v_environment
            using errcode = '55000', constraint = 'flag_changes_stage',
            hint = 'To set it to less, ask for a change; in an emergency there are holdwatch flags break-glass and, for strict '
                'conflicts, holdwatch enforcement off';
    end if;
    return holds.put_rollback(v_status, v_person, p_reason);
end
$$;

comment on function holds.roll_back_flag(text, text, text, text) is
'Takes a flag that goes up by stages back to the stage before: at once, by one person, on the trail.';

-- Judges every rollout that is on its way, and takes back a stage whose guardrail is broken. Returns what each was found to be:
-- held_by says what holds it back, rolled_back_to what it was taken back to.
--   p_told: what held back each when this was called last, as {"flag environment": held_by}: said as an event when it changes.
create function holds.guard_rollouts(p_told jsonb default '{}')
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
            if v_status ->> 'verdict' = 'broken' and (v_status ->> 'is_running')::boolean then
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

comment on function holds.guard_rollouts(jsonb) is
'Judges every staged rollout that is on its way, and takes back a stage whose guardrail is broken.';

create function holds.flag_cohort_hash(p_flag text)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select encode(sha256(convert_to(
        coalesce(string_agg(taking_part.restaurant_id::text, ',' order by taking_part.restaurant_id), ''), 'UTF8'
    )), 'hex')
    from holds.flag_cohorts as taking_part
    where taking_part.flag = p_flag
$$;

-- Names the restaurants that take part in the stages of a flag; none: all do. Returns how many are named now.
create function holds.set_rollout_cohort(
    p_flag text, p_add uuid[], p_remove uuid[], p_reason text, p_acting_for text default null
)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '5s'
as $$
declare
    v_person text := holds.flag_person(p_acting_for);
    v_environment text := (select environment from holds.settings);
    v_count integer;
begin
    if p_reason is null or p_reason ~ '^\s*$' then
        raise exception 'say why' using errcode = '22023', constraint = 'flag_changes_value';
    end if;
    perform holds.lock_flags();
    if not exists (
        select from holds.flag_definitions
        where flag = p_flag and not is_retired and jsonb_typeof(definition -> 'rollout') = 'object'
    ) then
        raise exception 'the flag % does not go up by stages, so nobody takes part in them', p_flag
            using errcode = '22023', constraint = 'flag_changes_value';
    end if;
    if exists (
        select from holds.flag_overrides
        where flag = p_flag and (percentage is not null or break_glass_percentage is not null)
    ) or exists (
        select from holds.flag_changes
        where flag = p_flag and percentage is not null and state in ('requested', 'approved') and expires_at > holds.flag_now()
    ) then
        raise exception 'a percentage of % is in force or asked for: who takes part stays as it was approved', p_flag
            using errcode = '55000', constraint = 'flag_changes_stage',
            hint = 'It changes where the flag is off or on for everybody, and no stage is asked for.';
    end if;
    delete from holds.flag_cohorts where flag = p_flag and restaurant_id = any(p_remove);
    insert into holds.flag_cohorts (flag, restaurant_id, added_by, added_at)
    select distinct p_flag, named.restaurant_id, v_person, holds.flag_now()
    from unnest(p_add) as named (restaurant_id)
    where named.restaurant_id is not null
    on conflict do nothing;
    select count(*) into v_count from holds.flag_cohorts where flag = p_flag;
    perform holds.note_flag(
        v_environment, p_flag, null, 'cohort', v_person, null, null, p_reason,
        p_details => jsonb_build_object('cohortCount', v_count, 'cohortHash', holds.flag_cohort_hash(p_flag)));
    return v_count;
end
$$;

comment on function holds.set_rollout_cohort(text, uuid[], uuid[], text, text) is
'Names restaurants that take part in the stages of a flag, while none is in force or asked for; on the trail.';

create function holds.list_rollout_cohort(p_flag text)
returns table (restaurant_id uuid, added_by text, added_at timestamptz)
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select taking_part.restaurant_id, taking_part.added_by, taking_part.added_at
    from holds.flag_cohorts as taking_part
    where taking_part.flag = p_flag
    order by taking_part.restaurant_id
$$;

-- Cohorts that are not as the trail's last word has them.
create function holds.flag_cohort_problems()
returns setof text
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select format('the cohort of %s is not as the trail has it', definitions.flag)
    from holds.flag_definitions as definitions
    left join lateral (
        select entries.details ->> 'cohortHash' as hash
        from holds.flag_audit as entries
        where entries.flag = definitions.flag and entries.action = 'cohort'
        order by entries.position desc nulls first
        limit 1
    ) as spoken on true
    where holds.flag_cohort_hash(definitions.flag) <> coalesce(spoken.hash, encode(sha256(''), 'hex'))
$$;

-- As in 0018, with who takes part in percentages.
create or replace function holds.flag_snapshot(p_environment text default null)
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
        'cohorts', (
            select coalesce(jsonb_object_agg(cohorts.flag, cohorts.restaurant_ids), '{}')
            from (
                select taking_part.flag, jsonb_agg(taking_part.restaurant_id) as restaurant_ids
                from holds.flag_cohorts as taking_part
                -- What a process decides may be on for a percentage by a variable of its own.
                where taking_part.flag in (
                    select in_force.flag from holds.flag_values(v_environment) as in_force where in_force.percentage is not null
                    union
                    select definitions.flag from holds.flag_definitions as definitions
                    where definitions.definition ->> 'decided_in' = 'client'
                )
                group by taking_part.flag
            ) as cohorts
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

revoke execute on all functions in schema holds from public;
grant execute on function holds.rollout_stages() to holds_operator, analytics_reader;
grant execute on function holds.is_in_rollout(text, text, integer, uuid) to holds_operator, analytics_reader;
grant execute on function holds.rollout_status(text, text, jsonb) to holds_operator;
grant execute on function holds.roll_back_flag(text, text, text, text) to holds_operator;
grant execute on function holds.guard_rollouts(jsonb) to holds_operator;
grant execute on function holds.set_rollout_cohort(text, uuid[], uuid[], text, text) to holds_operator;
grant execute on function holds.list_rollout_cohort(text) to holds_operator;
grant execute on function holds.flag_cohort_problems() to holds_operator;
