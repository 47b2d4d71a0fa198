with

objectives as (
    select success_objective from {{ source('holds', 'settings') }}
),

hours as (
    select
        environment,
        bucket_at,
        judged_assignment_count + judged_fault_count as request_count,
        judged_fault_count as fault_count
    from {{ ref('live_event_counts') }}
    where grain = 'hour' and restaurant_key = '(all)'
),

-- Each ends with its bucket.
rolled as (
    {% for hours in [1, 6, 72, 720] %}
        select
            environment,
            bucket_at,
            {{ hours }} as window_hours,
            sum(request_count) over recent as request_count,
            sum(fault_count) over recent as fault_count
        from hours
        window
            recent as (
                partition by environment order by bucket_at
                range between interval '{{ hours - 1 }} hours' preceding and current row
            )
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

final as (
    select
        rolled.bucket_at,
        rolled.environment,
        rolled.window_hours,
        cast(rolled.request_count as bigint) as request_count,
        cast(rolled.fault_count as bigint) as fault_count,
        rolled.fault_count / cast(nullif(rolled.request_count, 0) as float8)
        / (1 - objectives.success_objective) as burn_rate
    from rolled
    cross join objectives
)

select * from final
