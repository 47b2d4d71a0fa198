with

events as (
    {{ events_to_read('fct_event_counts', [
        'occurred_at', 'recorded_at', 'environment', 'restaurant_id', 'event_type', 'is_retry_exhausted', 'cutoff_kind',
        'is_error', 'error_class', 'is_fault', 'is_beside_alerts', 'is_shadow',
    ]) }}
),

placed as (
    {{ placed_in_buckets('events') }}
),

final as (
    select
        {{ bucket_key(['environment']) }},
        {{ event_counts() }},
        -- Where pipeline_freshness and the alerts look; in all other rows they would only take up room.
        {% set is_day_of_all = 'grouping(day_at) = 0 and grouping(restaurant_key) = 1' %}
        case when {{ is_day_of_all }} then max(occurred_at) end as newest_event_at,
        case when {{ is_day_of_all }} then max(recorded_at) end as newest_recorded_at,
        case
            when {{ is_day_of_all }} then max(occurred_at) filter (where event_type like 'capacity.%')
        end as newest_capacity_event_at
    from placed
    {{ group_by_buckets(['environment']) }}
)

select * from final
