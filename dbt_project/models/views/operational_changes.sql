with

changes as (
    select
        occurred_at,
        environment,
        event_type,
        restaurant_id,
        booking_id,
        context
    from {{ source('holds', 'observability_events') }}
    -- The words of the index that finds them among all events.
    where
        event_type in (
            'deploy.finished', 'capacity.enforcement.changed', 'capacity.flags.changed', 'capacity.rollout.advanced',
            'capacity.rollout.blocked'
        )
),

final as (
    select
        occurred_at,
        environment,
        coalesce(restaurant_id::text, '(all)') as restaurant_key,
        case event_type
            when 'deploy.finished' then 'deploy'
            when 'capacity.enforcement.changed' then 'enforcement'
            when 'capacity.flags.changed' then 'flag'
            else 'rollout'
        end as kind,
        case event_type
            when 'deploy.finished'
                then concat_ws(' ', coalesce(context ->> 'service', 'a service'), context ->> 'version', 'was deployed')
            when 'capacity.enforcement.changed'
                then case
                    when context ->> 'percentage' is not null
                        then concat('strict conflicts are for ', context ->> 'percentage', ' % of the restaurants')
                    when context ? 'isStrict' and context ->> 'isStrict' is null
                        then 'strict conflicts of a restaurant were left to the rollout'
                    when context ? 'isStrict'
                        then
                            'strict conflicts of a restaurant were switched '
                            || case when {{ json_flag('context', 'isStrict') }} then 'on' else 'OFF' end
                    else
                        'strict conflicts were switched '
                        || case when {{ json_flag('context', 'enabled') }} then 'on' else 'OFF' end
                end
            when 'capacity.flags.changed'
                then coalesce(context ->> 'flag', 'a flag') || ' ' || coalesce(context ->> 'action', 'was changed')
            when 'capacity.rollout.advanced'
                then concat_ws(' ', coalesce(context ->> 'flag', 'a rollout'), 'went on to', context ->> 'stage')
            else concat_ws(
                ' ',
                coalesce(context ->> 'flag', 'a rollout'),
                case when context ->> 'to' is not null then 'was rolled back to' else 'was held back at' end,
                coalesce(context ->> 'to', context ->> 'stage')
            )
        end as title,
        context ->> 'reason' as reason,
        coalesce(context ->> 'changedBy', context ->> 'requestedBy', context ->> 'deployedBy') as changed_by
    from changes
)

select * from final
