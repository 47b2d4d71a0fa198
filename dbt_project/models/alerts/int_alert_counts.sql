{#
    What alerts judge by, without what happens in known maintenance. A restaurant's share of all is taken away again while it is in
    maintenance: counts can be subtracted. By the hour, an hour with any maintenance in it counts as one in maintenance.
#}
with

rolled_up as (
    select * from {{ ref('live_event_counts') }}
    where
        grain in ('minute', 'hour')
        and restaurant_key = any({{ restaurants_beside_maintenance() }})
        and bucket_at
        >= {{ alert_clock('judged_at') }} - case grain when 'minute' then interval '7 hours' else interval '29 days' end
),

newest_events as (
    select
        *,
        {{ alert_period_start('occurred_at') }} as bucket_at
    from {{ ref('int_events_classified') }}
    where
        {{ alert_clock('is_shorter_than_a_minute') }}
        -- Both ends, so that the planner takes it for few.
        and occurred_at >= {{ alert_clock('oldest_period_starts_at') }}
        and occurred_at <= {{ alert_clock('judged_at') }}
),

newest as (
    select
        environment,
        bucket_at,
        case
            when grouping(restaurant_id) = 1 then '(all)' else coalesce(restaurant_id::text, '(none)')
        end as restaurant_key,
        {{ event_counts() }}
    from newest_events
    group by grouping sets ((environment, bucket_at, restaurant_id), (environment, bucket_at))
),

counts as (
    select
        environment,
        grain,
        restaurant_key,
        bucket_at,
        bucket_at + case grain when 'minute' then interval '1 minute' else interval '1 hour' end as bucket_ends_at,
        judged_assignment_count,
        judged_fault_count,
        judged_request_count,
        judged_exhausted_count,
        judged_cutoff_count,
        judged_error_count,
        judged_unclassified_count,
        judged_double_booking_count,
        judged_contradiction_count
    from rolled_up
    union all
    select
        environment,
        'period' as grain,
        restaurant_key,
        bucket_at,
        bucket_at + {{ alert_clock('period') }} as bucket_ends_at,
        judged_assignment_count,
        judged_fault_count,
        judged_request_count,
        judged_exhausted_count,
        judged_cutoff_count,
        judged_error_count,
        judged_unclassified_count,
        judged_double_booking_count,
        judged_contradiction_count
    from newest
),

weighed as (
    select
        *,
        {{ weight_beside_maintenance('counts', 'bucket_at', 'bucket_ends_at') }} as weight
    from counts
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
        -- No maintenance makes two parties fit one table, and that of the environment not two flags fit each other.
        sum(judged_double_booking_count) filter (where restaurant_key = '(all)') as double_booking_count,
        sum(case restaurant_key when '(all)' then 1 else weight end * judged_contradiction_count) as contradiction_count
    from weighed
    group by environment, grain, bucket_at
)

select * from final
