{# Whoever notices says so again every quarter of an hour, so that the newest hour has all that stand. #}
with

found as (
    select
        occurred_at,
        environment,
        restaurant_id,
        coalesce(context ->> 'rule', '(none)') as rule_name,
        case
            when jsonb_typeof(context -> 'flags') = 'array'
                then array_to_string(array(select jsonb_array_elements_text(context -> 'flags')), ', ')
        end as flags,
        context ->> 'because' as because
    from {{ source('holds', 'observability_events') }}
    -- Both ends, so that the planner takes it for few.
    where
        event_type = 'capacity.flags.contradiction'
        and occurred_at > now() - interval '1 hour'
        and occurred_at <= now() + interval '1 hour'
),

final as (
    select
        environment,
        rule_name,
        coalesce(restaurant_id::text, '(all)') as restaurant_key,
        max(flags) as flags,
        max(because) as because,
        count(*) as found_count,
        max(occurred_at) as last_found_at
    from found
    group by environment, rule_name, restaurant_id
)

select * from final
