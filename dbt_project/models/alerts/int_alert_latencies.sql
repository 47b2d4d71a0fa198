{# The P95 of each evaluation period, from the cells of its sketches; what is not to be judged is taken away from them. #}
with

clock as (
    select * from {{ ref('int_alert_clock') }}
),

maintenance as (
    select
        environment,
        restaurant_key,
        starts_at,
        ends_at
    from {{ ref('maintenance_periods') }}
    where ends_at > (select judged_at - interval '29 days' from clock)
),

sketches as (
    select * from {{ ref('live_latency_sketches') }}
    where
        grain = 'minute'
        and phase in ('total', 'soak')
        and restaurant_key = any(array(select '(all)' union select restaurant_key from maintenance))
        and bucket_at >= (select period_starts_at - 25 * period from clock)
        and not (select is_shorter_than_a_minute from clock)
),

newest_events as (
    select * from {{ ref('int_events_classified') }}
    where
        event_type in ('capacity.selector.assignment', 'capacity.selector.skipped')
        and total_ms is not null
        and not is_beside_alerts
        and occurred_at >= (select period_starts_at - 25 * period from clock)
        and (select is_shorter_than_a_minute from clock)
),

cells as (
    select
        sketches.environment,
        sketches.restaurant_key,
        sketches.bucket_at,
        sketches.bucket_at + interval '1 minute' as bucket_ends_at,
        cells.sketch_index,
        case sketches.phase when 'total' then 1 else -1 end * cells.sample_count as sample_count
    from sketches
    cross join lateral unnest(sketches.sketch_indexes, sketches.sketch_counts) as cells (sketch_index, sample_count)
    union all
    select
        newest_events.environment,
        scopes.restaurant_key,
        newest_events.occurred_at as bucket_at,
        newest_events.occurred_at as bucket_ends_at,
        {{ sketch_index('newest_events.total_ms') }} as sketch_index,
        1 as sample_count
    from newest_events
    cross join lateral (values ('(all)'), (newest_events.restaurant_id::text)) as scopes (restaurant_key)
),

weighed as (
    select
        environment,
        date_bin((select period from clock), bucket_at, '2000-01-01 00:00:00+00') as bucket_at,
        sketch_index,
        case
            when exists (
                select from maintenance
                where
                    maintenance.environment = cells.environment
                    and maintenance.restaurant_key = '(all)'
                    and maintenance.starts_at <= cells.bucket_ends_at
                    and maintenance.ends_at > cells.bucket_at
            ) then 0
            when restaurant_key = '(all)' then 1
            when exists (
                select from maintenance
                where
                    maintenance.environment = cells.environment
                    and maintenance.restaurant_key = cells.restaurant_key
                    and maintenance.starts_at <= cells.bucket_ends_at
                    and maintenance.ends_at > cells.bucket_at
            ) then -1
            else 0
        end * sample_count as sample_count
    from cells
),

summed as (
    select
        environment,
        bucket_at,
        sketch_index,
        sum(sample_count) as sample_count
    from weighed
    group by environment, bucket_at, sketch_index
),

ranked as (
    select
        *,
        sum(sample_count) over (partition by environment, bucket_at) as total_count,
        sum(sample_count) over (
            partition by environment, bucket_at order by sketch_index rows unbounded preceding
        ) as counted
    from summed
    where sample_count > 0
),

p95 as (
    select
        environment,
        bucket_at,
        min(case when counted * 100 >= total_count * 95 then sketch_index end) as p95_index,
        max(total_count) as sample_count
    from ranked
    group by environment, bucket_at
),

final as (
    select
        environment,
        bucket_at,
        {{ sketch_value('p95_index') }} as p95_ms,
        sample_count
    from p95
)

select * from final
