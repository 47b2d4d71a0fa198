{# One row. What is "now" stands here alone, so that everything after it can be tested at any time. #}
with

settings as (
    select
        environment,
        success_objective,
        alert_period_seconds,
        make_interval(secs => alert_period_seconds) as period
    from {{ source('holds', 'settings') }}
    -- There is one row. The planner is told so: else it takes a table that was never analyzed for 500, multiplies those out, and
    -- has all of it compiled first, which takes it half a minute.
    order by environment
    limit 1
),

started as (
    select
        *,
        date_bin(period, now(), '2000-01-01 00:00:00+00') as period_starts_at
    from settings
)

select
    now() as judged_at,
    environment as stored_environment,
    success_objective,
    period,
    period_starts_at,
    -- Two hours of the usual periods. A value that wavers between a threshold and its recovery is judged by what came before
    -- it; after that long it counts as over.
    period_starts_at - {{ alert_periods() }} * period as oldest_period_starts_at,
    -- Minutes are the shortest buckets of the rollups; shorter periods are counted from the newest events themselves.
    alert_period_seconds < 60 as is_shorter_than_a_minute
from started
