with

clock as (
    select * from {{ ref('int_alert_clock') }}
),

newest as (
    select * from {{ ref('live_newest_events') }}
),

-- The environment that this database serves is judged even before its first event.
environments as (
    select
        coalesce(newest.environment, clock.stored_environment) as environment,
        newest.newest_capacity_event_at
    from clock
    full join newest on clock.stored_environment = newest.environment
),

periods as (
    select
        environments.environment,
        environments.newest_capacity_event_at,
        clock.oldest_period_starts_at + begun.periods * clock.period as bucket_at,
        clock.oldest_period_starts_at + (begun.periods + 1) * clock.period as ends_at,
        begun.periods = {{ alert_periods() }} as is_unfinished,
        least(clock.oldest_period_starts_at + (begun.periods + 1) * clock.period, clock.judged_at) as judged_at
    from environments
    cross join clock
    -- Of numbers, since the planner knows how many those are.
    cross join generate_series(0, {{ alert_periods() }}) as begun (periods)
),

final as (
    select
        period.environment,
        period.newest_capacity_event_at,
        period.bucket_at,
        period.ends_at,
        period.is_unfinished,
        period.judged_at,
        {{ is_in_maintenance('period.environment', "'(all)'", 'period.bucket_at', 'period.judged_at') }}
            as is_in_maintenance
    from periods as period
)

select * from final
