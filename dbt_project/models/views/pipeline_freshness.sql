with

events as (
    select
        environment,
        event_type,
        occurred_at,
        recorded_at
    from {{ ref('stg_holds__events') }}
),

newest as (
    select
        environment,
        max(occurred_at) as newest_event_at,
        max(recorded_at) as newest_recorded_at,
        max(occurred_at) filter (where event_type = 'pipeline.run.succeeded') as last_run_succeeded_at,
        max(occurred_at) filter (where event_type = 'pipeline.run.failed') as last_run_failed_at
    from events
    group by environment
),

-- Of each job the newest run that says anything about its gate: one that got through, or one that was stopped there. A
-- run that failed otherwise neither blocks nor unblocks, and the success of one job does not unblock another.
newest_runs as (
    select distinct on (environment, job)
        environment,
        event_type = 'pipeline.run.failed' as is_blocked,
        coalesce(nullif(reason, ''), nullif(message, ''), '(no reason recorded)') as blocked_reason,
        occurred_at
    from {{ ref('stg_holds__events') }}
    where
        event_type in ('pipeline.run.succeeded', 'pipeline.run.failed')
        and (event_type = 'pipeline.run.succeeded' or is_blocked_run)
    order by environment asc, job asc, occurred_at desc, recorded_at desc, event_id asc
),

newest_blocked_runs as (
    select distinct on (environment)
        environment,
        blocked_reason
    from newest_runs
    where is_blocked
    order by environment asc, occurred_at desc, blocked_reason asc
),

-- The environment that this database serves has a row even before its first event.
environments as (
    select environment from newest
    union
    select environment from {{ source('holds', 'settings') }}
),

final as (
    select
        environments.environment,
        newest.newest_event_at,
        newest.newest_recorded_at,
        greatest(extract(epoch from now() - newest.newest_recorded_at), 0)::float8 as lag_seconds,
        newest.last_run_succeeded_at,
        newest.last_run_failed_at,
        newest_blocked_runs.environment is not null as is_blocked,
        newest_blocked_runs.blocked_reason
    from environments
    left join newest on environments.environment = newest.environment
    left join newest_blocked_runs on environments.environment = newest_blocked_runs.environment
)

select * from final
