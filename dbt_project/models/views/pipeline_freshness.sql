with

newest as (
    select * from {{ ref('live_newest_events') }}
),

-- The environment that this database serves has a row even before its first event.
environments as (
    select environment from newest
    union
    select environment from {{ source('holds', 'settings') }}
),

failed_runs as (
    select
        environment,
        job,
        coalesce(nullif(reason, ''), nullif(message, ''), '(no reason recorded)') as blocked_reason,
        is_blocked_run,
        occurred_at,
        recorded_at
    from {{ ref('stg_holds__events') }}
    where event_type = 'pipeline.run.failed'
),

-- Those that succeeded are many, one every five minutes: the newest is looked up, from the end of the index whose words these
-- are. (Of the events as they are stored: through the staging view all of them would be read first.)
ended as (
    select
        environments.environment,
        (
            select max(runs.occurred_at) from {{ source('holds', 'observability_events') }} as runs
            where runs.event_type = 'pipeline.run.succeeded' and runs.environment = environments.environment
        ) as last_run_succeeded_at,
        (
            select max(failed_runs.occurred_at) from failed_runs
            where failed_runs.environment = environments.environment
        ) as last_run_failed_at
    from environments
),

blocked_runs as (
    select * from failed_runs
    where is_blocked_run
),

-- Until the same job has got through: a run that failed otherwise neither blocks nor unblocks.
newest_blocked_runs as (
    select distinct on (blocked_runs.environment)
        blocked_runs.environment,
        blocked_runs.blocked_reason
    from blocked_runs
    where
        not exists (
            select from {{ ref('stg_holds__events') }} as later
            where
                later.event_type = 'pipeline.run.succeeded'
                and later.environment = blocked_runs.environment
                and later.job is not distinct from blocked_runs.job
                and later.occurred_at >= blocked_runs.occurred_at
                and (later.occurred_at, later.recorded_at) > (blocked_runs.occurred_at, blocked_runs.recorded_at)
        )
    order by blocked_runs.environment asc, blocked_runs.occurred_at desc, blocked_runs.blocked_reason asc
),

refreshes as (
    select
        max(refreshed_at) filter (where rollup = 'fct_event_counts') as event_counts_refreshed_at,
        max(refreshed_at) filter (where rollup = 'fct_error_counts') as error_counts_refreshed_at,
        max(refreshed_at) filter (where rollup = 'fct_latency_sketches') as latency_sketches_refreshed_at,
        min(refreshed_at) as all_refreshed_at
    from {{ ref('rollup_positions') }}
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
