with

settings as (
    select * from {{ source('holds', 'settings') }}
),

overrides as (
    select
        count(*) filter (where is_strict) as strict_restaurant_count,
        count(*) filter (where not is_strict) as lenient_restaurant_count
    from {{ source('holds', 'restaurant_settings') }}
),

-- Made while they were not strict; few, and in an index of their own.
unenforced as (
    select count(*) as unenforced_window_count
    from {{ ref('stg_holds__hold_windows') }}
    where not is_enforced and released_at is null and is_live
),

final as (
    select
        settings.environment,
        settings.is_strict_conflicts_enabled as is_enabled,
        settings.strict_percentage,
        overrides.strict_restaurant_count,
        overrides.lenient_restaurant_count,
        unenforced.unenforced_window_count,
        case when settings.changed_by is not null then settings.updated_at end as changed_at,
        settings.changed_by,
        settings.change_reason as reason
    from settings
    cross join overrides
    cross join unenforced
)

select * from final
