-- Known maintenance: `holdwatch maintenance`.

-- name: add_maintenance_window
-- By the database's clock: one that begins now is active at once. A weekly one that is going on now counts.
select
    holds.add_maintenance_window(
        p_environment => %(environment)s::text,
        p_starts_at => coalesce(
            %(starts_at)s::timestamptz,
            clock_timestamp()
            - case when %(weekdays)s::smallint[] is null then interval '0' else %(lasts)s::interval end
        ),
        p_lasts => %(lasts)s::interval,
        p_reason => %(reason)s::text,
        p_restaurant_id => %(restaurant_id)s::uuid,
        p_weekdays => %(weekdays)s::smallint[],
        p_time_zone => %(time_zone)s::text,
        p_ends_at => %(ends_at)s::timestamptz,
        p_begins_at => %(begins_at)s::time
    ) as window_id;

-- name: list_maintenance_windows
select
    id, environment, restaurant_id, starts_at, lasts, weekdays, begins_at, time_zone, ends_at, reason, created_by,
    created_at, ended_by, is_over, active_until, next_starts_at
from holds.list_maintenance_windows(p_with_ended => %(with_ended)s);

-- name: end_maintenance_window
select holds.end_maintenance_window(%(window_id)s) as was_ended;

-- name: in_time_zone
select %(local)s::timestamp at time zone %(time_zone)s as at;
