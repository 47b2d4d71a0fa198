{# One row. What is "now" stands here alone, so that everything after it can be tested at any time. #}
select
    now() as judged_at,
    environment as stored_environment,
    success_objective,
    make_interval(secs => alert_period_seconds) as period,
    date_bin(make_interval(secs => alert_period_seconds), now(), '2000-01-01 00:00:00+00') as period_starts_at,
    -- Minutes are the shortest buckets of the rollups; shorter periods are counted from the newest events themselves.
    alert_period_seconds < 60 as is_shorter_than_a_minute
from {{ source('holds', 'settings') }}
