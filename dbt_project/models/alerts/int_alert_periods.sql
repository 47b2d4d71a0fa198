{#
    The evaluation periods that are looked at: the unfinished one, and two hours (24 periods of the usual 5 minutes) before it. A
    value that wavers between a threshold and its recovery is judged by what came before it; after that long it counts as over.
#}
with

clock as (
    select * from {{ ref('int_alert_clock') }}
),

newest as (
    select
        environment,
        max(newest_capacity_event_at) as newest_capacity_event_at
    from {{ ref('live_event_counts') }}
    where grain = 'day' and restaurant_key = '(all)'
    group by environment
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
        starts.bucket_at,
        starts.bucket_at + clock.period as ends_at,
        starts.bucket_at = clock.period_starts_at as is_unfinished
    from environments
    cross join clock
    cross join lateral generate_series(
        clock.period_starts_at - 24 * clock.period, clock.period_starts_at, clock.period
    ) as starts (bucket_at)
),

final as (
    select
        *,
        exists (
            select from {{ ref('maintenance_periods') }} as maintenance
            where
                maintenance.environment = periods.environment
                and maintenance.restaurant_key = '(all)'
                and maintenance.starts_at < least(periods.ends_at, (select judged_at from clock))
                and maintenance.ends_at > periods.bucket_at
        ) as is_in_maintenance
    from periods
)

select * from final
