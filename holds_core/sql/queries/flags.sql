-- Feature flags. Answers that are read as a whole come as JSON text; see holds.sql.

-- name: sync_flag_definitions
select holds.sync_flag_definitions(%(definitions)s::jsonb);

-- name: flag_snapshot
select holds.flag_snapshot(%(environment)s)::text;

-- name: listen_to_flags
listen holds_flags;

-- name: flag_contradictions
select rule, flags, because, restaurant_id
from holds.flag_contradictions(%(environment)s, %(variables)s::jsonb, %(change)s::jsonb);

-- name: request_flag_change
select * from holds.request_flag_change(
    p_flag => %(flag)s,
    p_value => %(value)s::jsonb,
    p_percentage => %(percentage)s,
    p_reason => %(reason)s,
    p_environment => %(environment)s,
    p_restaurant_id => %(restaurant_id)s,
    p_unsafe_because => %(unsafe_because)s,
    p_on_overlap => %(on_overlap)s,
    p_expires_in => %(expires_in)s,
    p_evidence => %(evidence)s::jsonb,
    p_acting_for => %(acting_for)s,
    p_variables => %(variables)s::jsonb
);

-- name: edit_flag_change
select * from holds.edit_flag_change(
    p_change_id => %(change_id)s,
    p_revision => %(revision)s,
    p_value => %(value)s::jsonb,
    p_percentage => %(percentage)s,
    p_reason => %(reason)s,
    p_unsafe_because => %(unsafe_because)s,
    p_on_overlap => %(on_overlap)s,
    p_expires_in => %(expires_in)s,
    p_evidence => %(evidence)s::jsonb,
    p_acting_for => %(acting_for)s,
    p_variables => %(variables)s::jsonb
);

-- name: approve_flag_change
select * from holds.approve_flag_change(
    p_change_id => %(change_id)s,
    p_revision => %(revision)s,
    p_remark => %(remark)s,
    p_apply => %(apply)s,
    p_acting_for => %(acting_for)s,
    p_variables => %(variables)s::jsonb
);

-- name: apply_flag_change
select * from holds.apply_flag_change(
    p_change_id => %(change_id)s,
    p_revision => %(revision)s,
    p_acting_for => %(acting_for)s,
    p_variables => %(variables)s::jsonb
);

-- name: reject_flag_change
select * from holds.reject_flag_change(%(change_id)s, %(reason)s, %(acting_for)s);

-- name: withdraw_flag_change
select * from holds.withdraw_flag_change(%(change_id)s, %(reason)s, %(acting_for)s);

-- name: break_glass
select * from holds.break_glass(
    p_flag => %(flag)s,
    p_value => %(value)s::jsonb,
    p_percentage => %(percentage)s,
    p_reason => %(reason)s,
    p_lasts => %(lasts)s,
    p_environment => %(environment)s,
    p_restaurant_id => %(restaurant_id)s,
    p_on_overlap => %(on_overlap)s,
    p_acting_for => %(acting_for)s,
    p_variables => %(variables)s::jsonb
);

-- name: review_flag_change
select * from holds.review_flag_change(%(change_id)s, %(remark)s, %(acting_for)s);

-- name: tend_flags
select ended_changes, contradictions
from holds.tend_flags();

-- name: list_flag_changes
select * from holds.list_flag_changes(%(only_open)s, %(flag)s, %(change_id)s, %(limit)s);

-- name: list_flag_overrides
select * from holds.list_flag_overrides(%(environment)s);

-- name: list_flag_audit
select
    place as position, previous_hash, hash, hashed_text, at, environment, flag, restaurant_id, action, change_id,
    revision, person, login, from_setting, to_setting, reason, details
from holds.list_flag_audit(%(after)s);

-- name: list_flag_actors
select login, person, is_service, is_active, changed_by, changed_at
from holds.list_flag_actors();

-- name: set_flag_actor
select holds.set_flag_actor(%(login)s, %(person)s, %(is_service)s, %(is_active)s);

-- name: flag_state_problems
select holds.flag_anchor_problems()
union all
select holds.flag_cohort_problems()
union all
select holds.flag_state_problems();

-- name: rollout_statuses
select holds.rollout_status(placed.environment, placed.flag, %(evidence)s::jsonb)::text
from holds.rollout_stages() as placed
where
    (%(flag)s::text is null or placed.flag = %(flag)s)
    and (%(environment)s::text is null or placed.environment = %(environment)s)
order by placed.flag, array_position(array['dev', 'staging', 'prod'], placed.environment);

-- name: guard_rollouts
select found.status::text
from holds.guard_rollouts(%(told)s::jsonb) as found (status);

-- name: roll_back_flag
select * from holds.roll_back_flag(
    p_flag => %(flag)s,
    p_reason => %(reason)s,
    p_environment => %(environment)s,
    p_acting_for => %(acting_for)s
);

-- name: set_rollout_cohort
select holds.set_rollout_cohort(
    %(flag)s, %(add)s::uuid[], %(remove)s::uuid[], %(reason)s, %(acting_for)s
) as restaurant_count;

-- name: list_rollout_cohort
select restaurant_id
from holds.list_rollout_cohort(%(flag)s);
