with

events as (
    select
        id,
        occurred_at,
        recorded_at,
        environment,
        source,
        event_type,
        severity,
        restaurant_id,
        booking_id,
        {{ json_object('context', [
            'timing.totalMs', 'timing.plannerMs', 'retryExhausted', 'code', 'reason', 'message', 'job', 'skipReason',
            'soakId', 'isBlocked', 'isShadow', 'durationMs',
        ]) }} as context,
        ingest_pos
    from {{ source('holds', 'observability_events') }}
),

flattened as (
    select
        id as event_id,
        occurred_at,
        recorded_at,
        environment,
        source,
        event_type,
        severity,
        restaurant_id,
        booking_id,
        {{ json_nonnegative_float('context', 'timing.totalMs') }} as total_ms,
        {{ json_nonnegative_float('context', 'timing.plannerMs') }} as planner_ms,
        {{ json_flag('context', 'retryExhausted') }} as is_retry_exhausted,
        {{ json_text('context', 'code') }} as code,
        {{ json_text('context', 'reason') }} as reason,
        {{ json_text('context', 'message') }} as message,
        {{ json_text('context', 'job') }} as job,
        {{ json_text('context', 'skipReason') }} as skip_reason,
        {{ json_text('context', 'soakId') }} is not null as is_soak,
        {{ json_flag('context', 'isBlocked') }} as is_blocked_run,
        {{ json_flag('context', 'isShadow') }} as is_shadow,
        {{ json_nonnegative_float('context', 'durationMs') }} as duration_ms,
        ingest_pos
    from events
)

select * from flattened
