with

runs as (
    select
        occurred_at,
        environment,
        event_id,
        job,
        event_type,
        reason,
        message,
        duration_ms,
        is_blocked_run
    from {{ ref('stg_holds__events') }}
    -- The words of the index that finds them among all events.
    where event_type in ('pipeline.run.succeeded', 'pipeline.run.failed')
),

final as (
    select
        occurred_at as ended_at,
        environment,
        event_id,
        coalesce(nullif(job, ''), '(none)') as job,
        case
            when event_type = 'pipeline.run.succeeded' then 'succeeded'
            when is_blocked_run then 'blocked'
            else 'failed'
        end as outcome,
        case
            when event_type = 'pipeline.run.failed' then coalesce(nullif(reason, ''), nullif(message, ''))
        end as reason,
        duration_ms / 1000 as duration_seconds
    from runs
)

select * from final
