with

newest as (
    select * from {{ ref('live_newest_events') }}
),

runs as (
    select
        environment,
        event_type = 'pipeline.run.failed' as is_failed,
        job,
        reason,
        message,
        is_blocked_run,
        event_id,
        occurred_at,
        recorded_at
    from {{ ref('stg_holds__events') }}
    -- The words of the index that finds them among all events.
    where event_type in ('pipeline.run.succeeded', 'pipeline.run.failed')
),

ended as (
    select
        environment,
        max(occurred_at) filter (where not is_failed) as last_run_succeeded_at,
        max(occurred_at) filter (where is_failed) as last_run_failed_at
    from runs
    group by environment
),

-- Of each job the newest run that says anything about its gate: one that got through, or one that was stopped there. A
-- run that failed otherwise neither blocks nor unblocks, and the success of one job does not unblock another.
newest_runs as (
    select distinct on (environment, job)
        environment,
        is_failed as is_blocked,
        coalesce(nullif(reason, ''), nullif(message, ''), '(no reason recorded)') as blocked_reason,
        occurred_at
    from runs
    where not is_failed or is_blocked_run
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

refreshes as (
    select
        max(refreshed_at) filter (where rollup = 'fct_event_counts') as event_counts_refreshed_at,
        max(refreshed_at) filter (where rollup = 'fct_error_counts') as error_counts_refreshed_at,
        max(refreshed_at) filter (where rollup = 'fct_latency_sketches') as latency_sketches_refreshed_at,
        min(refreshed_at) as all_refreshed_at
    from {{ ref('rollup_positions') }}
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
        ended.last_run_succeeded_at,
        ended.last_run_failed_at,
        newest_blocked_runs.environment is not null as is_blocked,
        newest_blocked_runs.blocked_reason,
        refreshes.event_counts_refreshed_at,
        refreshes.error_counts_refreshed_at,
        refreshes.latency_sketches_refreshed_at,
        greatest(extract(epoch from now() - refreshes.all_refreshed_at), 0)::float8 as refresh_lag_seconds
    from environments
    left join newest on environments.environment = newest.environment
    left join ended on environments.environment = ended.environment
    left join newest_blocked_runs on environments.environment = newest_blocked_runs.environment
    cross join refreshes
)

select * from final
