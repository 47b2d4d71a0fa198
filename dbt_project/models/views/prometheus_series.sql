{#
    One branch per metric: its name here, the view it is from, the column that is its value, and the labels it has besides
    environment and restaurant_key.
#}
{% set latency_labels = {"phase": "phase", "percentile": "percentile::text"} %}
{% set error_labels = {"class": "error_class", "code": "error_code", "source": "source", "severity": "severity"} %}
{% set metrics = [
    ("assignment_success_rate", "assignment_success_rate", "success_ratio", {}),
    ("reservation_latency_ms", "reservation_latency_ms", "latency_ms", latency_labels),
    ("hold_retry_exhaustion", "hold_retry_exhaustion", "exhausted_count", {}),
    ("hold_retry_exhaustion_ratio", "hold_retry_exhaustion", "exhausted_ratio", {}),
    ("hold_retry_exhaustion_events", "hold_retry_exhaustion", "exhausted_event_count", {}),
    ("cutoff_triggers", "cutoff_triggers", "trigger_count", {"kind": "cutoff_kind"}),
    ("error_taxonomy", "error_taxonomy", "error_count", error_labels),
] %}

with

{% for view in metrics | map(attribute=1) | unique %}
    {{ view }}_by_hour as (
        select * from {{ ref(view) }}
        where
            grain = 'hour'
            and bucket_at >= {{ history_start('minute') }}
            -- An event whose clock is ahead must not hide the present behind it.
            and bucket_at <= now()
    ),
{% endfor %}

pairs as (
    select * from {{ ref('double_bookings') }}
),

hourly as (
    {% for metric, view, value_column, labels in metrics %}
        select
            '{{ metric }}' as metric,
            jsonb_build_object(
                {% for label, column in labels.items() %}
                    '{{ label }}', {{ column }},
                {% endfor %}
                'environment', environment,
                'restaurant_key', restaurant_key
            ) as labels,
            {{ value_column }}::float8 as value,
            bucket_at as at
        from {{ view }}_by_hour
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

newest as (
    select distinct on (metric, labels)
        metric,
        labels,
        value,
        at
    from hourly
    order by metric asc, labels asc, at desc
),

-- Counted now, and 0 rather than missing: an alert must be able to tell none from not known.
double_booked as (
    select
        'double_bookings' as metric,
        jsonb_build_object('environment', environment, 'restaurant_key', '(all)') as labels,
        (select count(*) from pairs)::float8 as value,
        now() as at
    from {{ source('holds', 'settings') }}
    union all
    select
        'double_bookings' as metric,
        jsonb_build_object('environment', environment, 'restaurant_key', restaurant_key) as labels,
        count(*)::float8 as value,
        now() as at
    from pairs
    group by environment, restaurant_key
),

final as (
    select * from newest
    union all
    select * from double_booked
)

select * from final
