with

triggers as (
    select * from {{ ref('int_events_bucketed') }}
    -- The types first, the text search last: only these have a kind.
    where
        event_type in ('capacity.rpc.conflict', 'capacity.manual.validate')
        and cutoff_kind is not null
),

final as (
    select
        bucket_at,
        grain,
        environment,
        restaurant_id,
        restaurant_key,
        cutoff_kind,
        count(*) as trigger_count
    from triggers
    group by bucket_at, grain, environment, restaurant_id, restaurant_key, cutoff_kind
)

select * from final
