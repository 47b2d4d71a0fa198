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
        restaurant_key,
        grain,
        environment,
        bucket_at,
        error_class,
        error_code,
        source,
        severity,
        cast(count(*) as integer) as error_count
    from bucketed
    -- Per restaurant by day only.
    where grain = 'day' or restaurant_key = '(all)'
    group by restaurant_key, grain, environment, bucket_at, error_class, error_code, source, severity
)

select * from final
