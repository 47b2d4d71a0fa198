with

counts as (
    select * from {{ ref('live_error_counts') }}
),

final as (
    select
        bucket_at,
        grain,
        environment,
        {{ restaurant_id_of('restaurant_key') }} as restaurant_id,
        restaurant_key,
        error_class,
        error_code,
        source,
        severity,
        cast(error_count as bigint) as error_count,
        error_count / {{ as_double(
            'sum(error_count) over (partition by bucket_at, grain, environment, restaurant_key)'
        ) }} as error_share
    from counts
)

select * from final
