with

events as (
    {{ events_to_read('fct_error_counts', [
        'occurred_at', 'environment', 'restaurant_id', 'error_class', 'error_code', 'source', 'severity',
    ], where='is_error') }}
),

bucketed as (
    {{ in_every_bucket('events') }}
),

final as (
    select
        grain,
        bucket_at,
        environment,
        restaurant_key,
        error_class,
        error_code,
        source,
        severity,
        count(*) as error_count
    from bucketed
    -- Per restaurant by day only.
    where grain = 'day' or restaurant_key = '(all)'
    group by grain, bucket_at, environment, restaurant_key, error_class, error_code, source, severity
)

select * from final
