{#
    What alerts judge by, without what happens in known maintenance. A restaurant's share of all is taken away again while it is in
    maintenance: counts can be subtracted. By the hour, an hour with any maintenance in it counts as one in maintenance.
#}
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

rolled_up as (
    select
        environment,
        grain,
        restaurant_key,
        bucket_at,
        {% for name in counted_events() if name.startswith('judged_') -%}
        {{ name }}_count{{ "," if not loop.last }}
        {% endfor %}
    from {{ ref('live_event_counts') }}
    where
        grain in ('minute', 'hour')
        and restaurant_key = any(array(select '(all)' union select '(none)' union select restaurant_key from maintenance))
        and bucket_at >= case grain
            when 'minute' then (select judged_at - interval '7 hours' from clock)
            else (select judged_at - interval '29 days' from clock)
        end
),

newest_events as (
    select
        *,
        date_bin((select period from clock), occurred_at, '2000-01-01 00:00:00+00') as bucket_at
    from {{ ref('int_events_classified') }}
    where
        (select is_shorter_than_a_minute from clock)
        and occurred_at >= (select period_starts_at - 25 * period from clock)
),

newest as (
    select
        environment,
        'period' as grain,
        case when grouping(restaurant_id) = 1 then '(all)' else coalesce(restaurant_id::text, '(none)') end as restaurant_key,
        bucket_at,
        {% for name, condition in counted_events().items() if name.startswith('judged_') -%}
        cast(count(*) filter (where {{ condition }}) as integer) as {{ name }}_count{{ "," if not loop.last }}
        {% endfor %}
    from newest_events
    group by grouping sets ((environment, bucket_at, restaurant_id), (environment, bucket_at))
),

counts as (
    select * from rolled_up
    union all
    select * from newest
),

bounded as (
    select
        *,
        bucket_at + case grain
            when 'minute' then interval '1 minute' when 'hour' then interval '1 hour' else (select period from clock)
        end as bucket_ends_at
    from counts
),

weighed as (
    select
        *,
        case
            when exists (
                select from maintenance
                where
                    maintenance.environment = bounded.environment
                    and maintenance.restaurant_key = '(all)'
                    and maintenance.starts_at < bounded.bucket_ends_at
                    and maintenance.ends_at > bounded.bucket_at
            ) then 0
            when restaurant_key = '(all)' then 1
            when exists (
                select from maintenance
                where
                    maintenance.environment = bounded.environment
                    and maintenance.restaurant_key = bounded.restaurant_key
                    and maintenance.starts_at < bounded.bucket_ends_at
                    and maintenance.ends_at > bounded.bucket_at
            ) then -1
            else 0
        end as weight
    from bounded
),

final as (
    select
        environment,
        grain,
        bucket_at,
        sum(weight * judged_assignment_count) as assignment_count,
        sum(weight * judged_fault_count) as fault_count,
        sum(weight * judged_request_count) as request_count,
        coalesce(sum(judged_request_count) filter (where restaurant_key = '(none)'), 0) as unattributed_count,
        sum(weight * judged_exhausted_count) as exhausted_count,
        sum(weight * judged_cutoff_count) as cutoff_count,
        sum(weight * judged_error_count) as error_count,
        sum(weight * judged_unclassified_count) as unclassified_count,
        -- No maintenance makes two parties fit one table.
        sum(judged_double_booking_count) filter (where restaurant_key = '(all)') as double_booking_count,
        sum(judged_contradiction_count) filter (where restaurant_key = '(all)') as contradiction_count
    from weighed
    group by environment, grain, bucket_at
)

select * from final
