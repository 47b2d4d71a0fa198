{# Occurrences rather than windows: a weekly window has one row for each of its weeks. #}
select
    window_id,
    environment,
    restaurant_id,
    coalesce(restaurant_id::text, '(all)') as restaurant_key,
    starts_at,
    ends_at,
    reason
from holds.maintenance_occurrences(now() - interval '90 days', now() + interval '14 days')
