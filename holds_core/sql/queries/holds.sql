-- Parameters go as text and answers come as JSON text, so that all clients share one reader and no session setting is relied
-- on (docs/adr/0007). The functions' own parameter types say what the text is.

-- name: create_table_hold
select to_json(holds.create_table_hold(
    p_restaurant_id => %(restaurant_id)s,
    p_table_ids => %(table_ids)s,
    p_starts_at => %(starts_at)s,
    p_ends_at => %(ends_at)s,
    p_idempotency_key => %(idempotency_key)s,
    p_booking_id => %(booking_id)s,
    p_ttl_seconds => %(ttl_seconds)s,
    p_event_id => %(event_id)s,
    p_attempted_at => %(attempted_at)s,
    p_attempt => %(attempt)s,
    p_lock_timeout_ms => %(lock_timeout_ms)s,
    p_event_context => %(event_context)s,
    p_request_fingerprint => %(request_fingerprint)s
))::text;

-- name: confirm_table_hold
select to_json(holds.confirm_table_hold(%(hold_id)s, %(event_id)s, %(occurred_at)s, %(lock_timeout_ms)s))::text;

-- name: extend_table_hold
select to_json(holds.extend_table_hold(
    %(hold_id)s, %(ttl_seconds)s, %(event_id)s, %(occurred_at)s, %(lock_timeout_ms)s
))::text;

-- name: move_table_hold
select to_json(holds.move_table_hold(
    %(hold_id)s, %(table_ids)s, %(starts_at)s, %(ends_at)s, %(event_id)s, %(occurred_at)s, %(lock_timeout_ms)s
))::text;

-- name: release_table_hold
select to_json(holds.release_table_hold(%(hold_id)s, %(event_id)s, %(occurred_at)s, %(lock_timeout_ms)s))::text;

-- name: expire_table_holds
select to_json(holds.expire_table_holds(%(limit)s))::text;

-- name: sweep_table_holds
select ended_holds, ended_windows from holds.sweep_table_holds(%(limit)s);

-- name: find_hold_conflicts
select coalesce(json_agg(found), '[]')::text
from holds.find_hold_conflicts(%(table_ids)s, %(starts_at)s, %(ends_at)s, %(booking_id)s) as found;

-- name: record_event
select to_json(holds.record_event(
    %(event_id)s, %(occurred_at)s, %(event_type)s, %(severity)s, %(source)s, %(restaurant_id)s, %(booking_id)s,
    %(context)s
))::text;

-- name: store_event
select holds.store_event(
    %(event_id)s, %(occurred_at)s, %(event_type)s, %(severity)s, %(source)s, %(restaurant_id)s, %(booking_id)s,
    %(context)s
);

-- name: is_holds_strict_conflicts_enabled
select holds.is_holds_strict_conflicts_enabled();

-- name: tend_event_partitions
select partitions_made, events_readmitted from holds.tend_event_partitions();

-- name: set_hold_conflict_enforcement
select holds.set_hold_conflict_enforcement(%(enabled)s, %(reason)s, %(on_overlap)s);

-- name: set_hold_conflict_rollout
select holds.set_hold_conflict_rollout(%(percentage)s, %(reason)s, %(on_overlap)s);

-- name: set_restaurant_enforcement
select holds.set_restaurant_enforcement(%(restaurant_id)s, %(is_strict)s, %(reason)s, %(on_overlap)s);

-- name: switch_restaurant_enforcement
select holds.switch_restaurant_enforcement(%(restaurant_id)s, %(enabled)s, %(reason)s, %(on_overlap)s);

-- name: set_hold_rate_limit
select holds.set_hold_rate_limit(%(max_holds)s, %(per_seconds)s, %(restaurant_id)s);

-- name: enforcement_status
select *
from holds.enforcement_status();

-- name: restaurants_apart
select *
from holds.restaurants_apart(%(limit)s);

-- name: detect_double_bookings
select holds.detect_double_bookings();

-- name: enforcement_problems
select holds.enforcement_problems();

-- name: guard_problems
select holds.guard_problems();
