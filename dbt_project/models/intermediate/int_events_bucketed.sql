{#
    Each event once per grain (minute, hour, day) and scope (its restaurant, all restaurants), so that every view is one
    plain GROUP BY. The grains are branches of a UNION ALL and the scope a plain column, so that a filter on `grain`,
    `restaurant_key` or `environment` reaches the scan of the events: PostgreSQL does not push filters below GROUPING SETS.
#}
{% set grains = ['minute', 'hour', 'day'] %}

with

events as not materialized (
    select * from {{ ref('int_events_classified') }}
),

bucketed as (
    {% for grain in grains %}
        select
            '{{ grain }}'::text as grain,
            {{ bucket_start(grain, 'occurred_at') }} as bucket_at,
            *
        from events
        where occurred_at >= {{ history_start(grain) }}
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

scoped as (
    select
        bucketed.bucket_at,
        bucketed.grain,
        bucketed.environment,
        scopes.restaurant_id,
        scopes.restaurant_key,
        bucketed.event_id,
        bucketed.source,
        bucketed.event_type,
        bucketed.severity,
        bucketed.total_ms,
        bucketed.planner_ms,
        bucketed.is_retry_exhausted,
        bucketed.cutoff_kind,
        bucketed.is_error,
        bucketed.error_class,
        bucketed.error_code
    from bucketed
    cross join lateral (
        values
        (bucketed.restaurant_id, coalesce(bucketed.restaurant_id::text, '(none)')),
        (null, '(all)')
    ) as scopes (restaurant_id, restaurant_key)
)

select * from scoped
