{#
    What alerts judge by, without what happens in known maintenance. A restaurant's share of all is taken away again while it is in
    maintenance: counts can be subtracted. By the hour, an hour with any maintenance in it counts as one in maintenance.
#}
{# Two ranges, each of which the index knows. #}
{% set is_judged %}
        restaurant_key = any({{ restaurants_beside_maintenance() }})
        and (
            (grain = 'minute' and bucket_at >= {{ alert_clock("judged_at - interval '7 hours'") }})
            or (grain = 'hour' and bucket_at >= {{ alert_clock("judged_at - interval '29 days'") }})
            or grain = 'period'
        )
{% endset %}
{% set scopes = [["'(all)'"], ["coalesce(happened.restaurant_id::text, '(none)')"]] %}

with

rolled_up as (
    select * from {{ ref('fct_event_counts') }}
    where
        {{ is_rolled_up_here('fct_event_counts') }}
        and {{ is_judged }}
),

unrolled_events as (
    {{ events_to_read('fct_event_counts', [
        'occurred_at', 'environment', 'restaurant_id', 'event_type', 'is_retry_exhausted', 'cutoff_kind', 'is_error',
        'error_class', 'is_fault', 'is_beside_alerts', 'is_shadow',
    ], where=happened_within_days('occurred_at', 30)) }}
),

newest_events as (
    select
        occurred_at, environment, restaurant_id, event_type, is_retry_exhausted, cutoff_kind, is_error, error_class,
        is_fault, is_beside_alerts, is_shadow
    from {{ ref('int_events_classified') }}
    where
        {{ alert_clock('is_shorter_than_a_minute') }}
        -- Both ends, so that the planner takes it for few.
        and occurred_at >= {{ alert_clock('oldest_period_starts_at') }}
        and occurred_at <= {{ alert_clock('judged_at') }}
        and {{ happened_within_days('occurred_at', 1) }}
),

-- Only of the restaurants that are asked for, where the unrolled view would count each of them, in every grain.
placed as (
    select
        happened.*,
        buckets.grain,
        buckets.bucket_at,
        scopes.restaurant_key
    from unrolled_events as happened
    {{ cross_join_rows('buckets', ['grain', 'bucket_at'], [
        ["'minute'", bucket_start('minute', 'happened.occurred_at')],
        ["'hour'", bucket_start('hour', 'happened.occurred_at')],
    ]) }}
    {{ cross_join_rows('scopes', ['restaurant_key'], scopes) }}
    union all
    select
        happened.*,
        'period' as grain,
        {{ alert_period_start('happened.occurred_at') }} as bucket_at,
        scopes.restaurant_key
    from newest_events as happened
    {{ cross_join_rows('scopes', ['restaurant_key'], scopes) }}
),

newest as (
    select
        environment,
        grain,
        restaurant_key,
        bucket_at,
        {{ event_counts() }}
    from placed
    where {{ is_judged }}
    group by environment, grain, restaurant_key, bucket_at
),

counts as (
    {% for relation in ['rolled_up', 'newest'] %}
        select
            environment,
            grain,
            restaurant_key,
            bucket_at,
            bucket_at + case grain
                when 'minute' then interval '1 minute'
                when 'hour' then interval '1 hour'
                else {{ alert_clock('period') }}
            end as bucket_ends_at,
            judged_assignment_count,
            judged_fault_count,
            judged_request_count,
            judged_exhausted_count,
            judged_cutoff_count,
            judged_error_count,
            judged_unclassified_count,
            judged_double_booking_count,
            judged_contradiction_count
        from {{ relation }}
        {{ 'union all' if not loop.last }}
    {% endfor %}
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
