with

errors as (
    select * from {{ ref('int_events_bucketed') }}
    where
        is_error
        -- Per restaurant by day only.
        and (grain = 'day' or restaurant_key = '(all)')
),

counted as (
    select
        bucket_at,
        grain,
        environment,
        restaurant_id,
        restaurant_key,
        error_class,
        error_code,
        source,
        severity,
        count(*) as error_count
    from errors
    group by bucket_at, grain, environment, restaurant_id, restaurant_key, error_class, error_code, source, severity
),

final as (
    select
        bucket_at,
        grain,
        environment,
        restaurant_id,
        restaurant_key,
        error_class,
        error_code,
        source,
        severity,
        error_count,
        error_count / (
            sum(error_count) over (partition by bucket_at, grain, environment, restaurant_key)
        )::float8 as error_share
    from counted
)

select * from final
