# ruff: noqa: S608  the queries are put together from the constants of this file and the catalogue, from nothing else
"""The SQL of the panels about holds: what they do, conflicts, double bookings, and the switch of strict conflicts.

Their rules are those of :mod:`dashboards.generators.grafana_sql`.
"""

from __future__ import annotations

from dashboards.generators.grafana_sql import ALL_OR_CHOSEN, EACH_CHOSEN, IN_ENVIRONMENT, IN_RANGE, SLOT, series

REFUSED = "conflict refused"
LET_THROUGH = "conflict let through"
"""The values of ``hold_activity.activity`` that are about conflicts."""


def activity_count(activity: str) -> str:
    """How often something happened in the time range: 0 where holds did other things, nothing where none did any."""
    return f"""select
    case when count(*) > 0 then coalesce(sum(event_count) filter (where activity = '{activity}'), 0) end as "{activity}"
from analytics.hold_activity
where
    {IN_RANGE}
    and {IN_ENVIRONMENT}
    and {ALL_OR_CHOSEN}"""


def activities_over_time(*activities: str) -> str:
    """How often each happened, over time."""
    names = ", ".join(f"'{activity}'" for activity in activities)
    return f"""select
    {SLOT} as "time",
    {series("activity")} as metric,
    sum(event_count)::float8 as value
from analytics.hold_activity
where
    {IN_RANGE}
    and {IN_ENVIRONMENT}
    and {ALL_OR_CHOSEN}
    and activity in ({names})
group by 1, restaurant_key, activity
order by 1, metric"""


CONFLICTS_BY_RESTAURANT = f"""select
    restaurant_key as "restaurant",
    (coalesce(sum(event_count) filter (where activity = 'created'), 0))::bigint as "created",
    (coalesce(sum(event_count) filter (where activity = '{REFUSED}'), 0))::bigint as "refused",
    (coalesce(sum(event_count) filter (where activity = '{LET_THROUGH}'), 0))::bigint as "let through",
    (sum(event_count) filter (where activity = '{REFUSED}'))::float8
    / nullif(sum(event_count) filter (where activity in ('created', '{REFUSED}')), 0) as "refused share"
from analytics.hold_activity
where
    {IN_RANGE}
    and {IN_ENVIRONMENT}
    and {EACH_CHOSEN}
group by restaurant_key
having sum(event_count) filter (where activity in ('created', '{REFUSED}', '{LET_THROUGH}')) > 0
order by "let through" desc, "refused" desc, restaurant_key
limit 50"""

# A pair without an environment (the database lost its settings) is shown in each rather than in none.
_PAIRS_HERE = f"({IN_ENVIRONMENT} or environment is null)"

DOUBLE_BOOKING_COUNT = f"""select count(*) as "double bookings"
from analytics.double_bookings
where {_PAIRS_HERE}"""

DOUBLE_BOOKING_COUNT_OF_CHOSEN = f"""select count(*) as "double bookings"
from analytics.double_bookings
where
    {_PAIRS_HERE}
    and {EACH_CHOSEN}"""


def _double_bookings(condition: str) -> str:
    return f"""with pairs as (
    select
        restaurant_key,
        table_id,
        first_hold_id,
        second_hold_id,
        overlap_starts_at,
        overlap_ends_at,
        began_at
    from analytics.double_bookings
    where {condition}
    order by overlap_starts_at, table_id, first_hold_id, second_hold_id
    limit 100
)

select
    'overlap' as "state",
    restaurant_key as "restaurant",
    table_id::text as "table",
    first_hold_id::text as "first hold",
    second_hold_id::text as "second hold",
    overlap_starts_at as "from",
    overlap_ends_at as "until",
    began_at as "since"
from pairs
union all
select 'none: every table has one booking at a time', null, null, null, null, null, null, null
where not exists (select 1 from pairs)"""


DOUBLE_BOOKINGS = _double_bookings(_PAIRS_HERE)

DOUBLE_BOOKINGS_OF_CHOSEN = _double_bookings(f"{_PAIRS_HERE}\n    and {EACH_CHOSEN}")

SWITCH = f"""select case when is_enabled then 1 else 0 end as "switch"
from analytics.hold_enforcement
where {IN_ENVIRONMENT}"""

STRICT_SHARE = f"""select strict_percentage / 100.0::float8 as "of the restaurants"
from analytics.hold_enforcement
where {IN_ENVIRONMENT}"""

UNENFORCED = f"""select unenforced_window_count as "beside the constraint"
from analytics.hold_enforcement
where {IN_ENVIRONMENT}"""

ENFORCEMENT = f"""select
    case when is_enabled then 'on' else 'OFF' end as "switch",
    strict_percentage / 100.0::float8 as "of the restaurants",
    strict_restaurant_count as "strict by name",
    lenient_restaurant_count as "not strict by name",
    unenforced_window_count as "beside the constraint",
    changed_at as "changed",
    coalesce(changed_by, '') as "by",
    coalesce(reason, '') as "why"
from analytics.hold_enforcement
where {IN_ENVIRONMENT}"""
