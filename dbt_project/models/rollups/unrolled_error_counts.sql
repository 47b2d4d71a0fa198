with

events as (
    {{ events_to_read('fct_error_counts', [
        'occurred_at', 'environment', 'restaurant_id', 'error_class', 'error_code', 'source', 'severity',
    ], where='is_error') }}
),

placed as (
    {{ placed_in_buckets('events') }}
),

final as (
    select
        {{ bucket_key(['environment']) }},
        error_class,
        error_code,
        source,
        severity,
        cast(count(*) as integer) as error_count
    from placed
    {{ group_by_buckets(
        ['environment', 'error_class', 'error_code', 'source', 'severity'], grains_of_restaurants=['day']
    ) }}
)

select * from final
