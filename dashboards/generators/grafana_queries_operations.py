# ruff: noqa: S608  the queries are put together from the constants of this file and the catalogue, from nothing else
"""The SQL of what operations do and watch: alerts, changes, maintenance, and the pipeline.

Their rules are those of :mod:`dashboards.generators.grafana_sql`.
"""

from __future__ import annotations

from dashboards.alerts import ALERTS
from dashboards.generators.grafana_sql import (
    CONCERNS_CHOSEN,
    IN_ENVIRONMENT,
    IN_RANGE,
    RANGE_ENDS,
    RANGE_STARTS,
    SLOT,
    literal,
)

OK, BREACHING, MUTED, FIRING, UNKNOWN = range(5)
"""The states of an alert, as numbers that a panel gives words and colours to."""

_UNITS = {"percentunit": "share", "ms": "ms", "s": "s", "short": "number"}

# In the catalogue's order, with the words and pages that the database does not know.
_NAMES = ",\n        ".join(
    f"({place}, '{alert.name}', {literal(alert.title)}, '{_UNITS[alert.signal.unit]}', '{alert.signal.runbook}')"
    for place, alert in enumerate(ALERTS, start=1)
)

_STATE = f"""case
        when verdicts.alert is null then {UNKNOWN}
        when verdicts.is_firing then {FIRING}
        when verdicts.is_breaching and verdicts.is_in_maintenance then {MUTED}
        when verdicts.is_breaching then {BREACHING}
        else {OK}
    end"""


def _of_each_alert(columns: str, view: str, order: str) -> str:
    """Every alert of the catalogue with its verdicts; a row without one where there is none."""
    return f"""select
    {columns}
from (
    values
        {_NAMES}
) as names (place, alert, title, unit, runbook)
left join (select * from analytics.{view} where {IN_ENVIRONMENT}) as verdicts on names.alert = verdicts.alert
order by {order}"""


ALERT_STATES = _of_each_alert(
    f"""names.title as "alert",
    {_STATE} as "state\"""",
    "alert_evaluations",
    "names.place",
)

ALERT_TABLE = _of_each_alert(
    f"""names.title as "alert",
    {_STATE} as "state",
    verdicts.severity as "severity",
    verdicts.value as "value",
    verdicts.threshold as "threshold",
    names.unit as "unit",
    verdicts.sample_count as "sample",
    verdicts.consecutive_breaches as "breaches in a row",
    verdicts.periods_to_fire as "fires at",
    verdicts.bucket_at as "period",
    names.runbook as "runbook\"""",
    "alert_evaluations",
    f"array_position(array[{FIRING}, {UNKNOWN}, {BREACHING}, {MUTED}, {OK}], {_STATE}), names.place",
)

ALERT_HISTORY = f"""select
    verdicts.bucket_at as "time",
    names.title as metric,
    {_STATE} as value
from analytics.alert_history as verdicts
inner join (
    values
        {_NAMES}
) as names (place, alert, title, unit, runbook) on verdicts.alert = names.alert
where verdicts.environment in (${{environment:sqlstring}})
order by verdicts.bucket_at, names.place"""


def alert_state(name: str) -> str:
    """The state of one alert, now."""
    return f"""select {_STATE} as "state"
from analytics.alert_evaluations as verdicts
where
    {IN_ENVIRONMENT}
    and alert = '{name}'"""


def alert_values(name: str) -> str:
    """What one alert went by, over the last two hours."""
    return f"""select
    bucket_at as "time",
    'found' as metric,
    value
from analytics.alert_history
where
    {IN_ENVIRONMENT}
    and alert = '{name}'
order by bucket_at"""


def changes(*kinds: str) -> str:
    """What people did in the time range, the newest first."""
    names = ", ".join(f"'{kind}'" for kind in kinds)
    return f"""select
    occurred_at as "when",
    kind as "kind",
    title as "what",
    case restaurant_key when '(all)' then 'all' else restaurant_key end as "restaurant",
    coalesce(reason, '') as "why",
    coalesce(changed_by, '') as "by"
from analytics.operational_changes
where
    occurred_at between {RANGE_STARTS} and {RANGE_ENDS}
    and {IN_ENVIRONMENT}
    and kind in ({names})
order by occurred_at desc, "what"
limit 200"""


def change_count(*kinds: str) -> str:
    """How many changes there were in the time range."""
    names = ", ".join(f"'{kind}'" for kind in kinds)
    return f"""select count(*) as "changes"
from analytics.operational_changes
where
    occurred_at between {RANGE_STARTS} and {RANGE_ENDS}
    and {IN_ENVIRONMENT}
    and kind in ({names})"""


UNSAFE_FLAGS = f"""select
    rule_name as "rule",
    flags as "flags",
    case restaurant_key when '(all)' then 'all' else restaurant_key end as "restaurant",
    because as "why",
    found_count as "found",
    last_found_at as "last"
from analytics.unsafe_flag_combinations
where {IN_ENVIRONMENT}
order by last_found_at desc, "rule", "restaurant"
limit 100"""

OPEN_CHANGES = f"""select
    change_id as "change",
    waits_for as "waits for",
    flag as "flag",
    case restaurant_key when '(all)' then 'all' else restaurant_key end as "restaurant",
    setting as "to",
    reason as "why",
    requested_by as "by",
    requested_at as "asked",
    expires_at as "until"
from analytics.open_flag_changes
where {IN_ENVIRONMENT}
order by is_break_glass desc, requested_at, change_id
limit 100"""

OPEN_CHANGE_COUNT = f"""select count(*) as "changes"
from analytics.open_flag_changes
where {IN_ENVIRONMENT}"""

CHANGES_BY_DAY = f"""select
    date_trunc('day', occurred_at, 'UTC') as "time",
    kind as metric,
    count(*)::float8 as value
from analytics.operational_changes
where
    occurred_at between date_trunc('day', {RANGE_STARTS}, 'UTC') and {RANGE_ENDS}
    and {IN_ENVIRONMENT}
group by 1, kind
order by 1, kind"""


def change_annotations(kind: str) -> str:
    """The changes of a kind, as marks on every panel over time."""
    return f"""select
    occurred_at as "time",
    concat_ws(': ', title, reason) as text,
    concat_ws(',', kind, changed_by) as tags
from analytics.operational_changes
where
    occurred_at between {RANGE_STARTS} and {RANGE_ENDS}
    and {IN_ENVIRONMENT}
    and {CONCERNS_CHOSEN}
    and kind = '{kind}'
order by occurred_at"""


MAINTENANCE_ANNOTATIONS = f"""select
    starts_at as "time",
    ends_at as timeend,
    reason as text,
    'maintenance' as tags
from analytics.maintenance_periods
where
    starts_at <= {RANGE_ENDS}
    and ends_at >= {RANGE_STARTS}
    and {IN_ENVIRONMENT}
    and {CONCERNS_CHOSEN}
order by starts_at, ends_at"""

MAINTENANCE = f"""select
    case when ends_at < now() then 'over' when starts_at <= now() then 'now' else 'to come' end as "state",
    starts_at as "from",
    ends_at as "until",
    case restaurant_key when '(all)' then 'all' else restaurant_key end as "restaurant",
    reason as "why"
from analytics.maintenance_periods
where {IN_ENVIRONMENT} and ends_at > now() - interval '7 days'
order by starts_at desc
limit 50"""

FRESHNESS = f"""select lag_seconds as "age"
from analytics.pipeline_freshness
where {IN_ENVIRONMENT}"""

REFRESH_LAG = f"""select refresh_lag_seconds as "age"
from analytics.pipeline_freshness
where {IN_ENVIRONMENT}"""

GOOD_RUN_AGE = f"""select extract(epoch from now() - last_run_succeeded_at)::float8 as "age"
from analytics.pipeline_freshness
where {IN_ENVIRONMENT}"""

IS_BLOCKED = f"""select case when is_blocked then 1 else 0 end as "gate"
from analytics.pipeline_freshness
where {IN_ENVIRONMENT}"""

PIPELINE = f"""select
    environment,
    newest_event_at as "newest event",
    lag_seconds as "age",
    last_run_succeeded_at as "last good run",
    last_run_failed_at as "last failed run",
    case when is_blocked then 'blocked' else 'not blocked' end as "gate",
    coalesce(blocked_reason, '') as "why"
from analytics.pipeline_freshness
where {IN_ENVIRONMENT}"""

ROLLUPS = f"""select
    rollups.rollup as "rollup",
    rollups.refreshed_at as "refreshed",
    extract(epoch from now() - rollups.refreshed_at)::float8 as "age"
from (select * from analytics.pipeline_freshness where {IN_ENVIRONMENT}) as freshness
cross join lateral (
    values
        ('counts', freshness.event_counts_refreshed_at),
        ('errors', freshness.error_counts_refreshed_at),
        ('latencies', freshness.latency_sketches_refreshed_at)
) as rollups (rollup, refreshed_at)
order by rollups.refreshed_at nulls first, rollups.rollup"""

RUNS = f"""select
    ended_at as "ended",
    job as "job",
    outcome as "outcome",
    duration_seconds as "took",
    coalesce(reason, '') as "why"
from analytics.pipeline_runs
where {IN_ENVIRONMENT}
order by ended_at desc, event_id
limit 100"""

RUN_DURATIONS = f"""select
    ended_at as "time",
    concat_ws(' ', job, outcome) as metric,
    max(duration_seconds) as value
from analytics.pipeline_runs
where
    ended_at between {RANGE_STARTS} and {RANGE_ENDS}
    and {IN_ENVIRONMENT}
    and duration_seconds is not null
group by ended_at, job, outcome
order by ended_at, metric"""

FAILED_RUNS = f"""select case when count(*) > 0 then count(*) filter (where outcome <> 'succeeded') end as "runs"
from analytics.pipeline_runs
where
    ended_at between {RANGE_STARTS} and {RANGE_ENDS}
    and {IN_ENVIRONMENT}"""

# Its runs belong to no restaurant.
_PIPELINE_ERRORS = f"""
    {IN_RANGE}
    and {IN_ENVIRONMENT}
    and restaurant_key = '(all)'
    and error_class = 'pipeline'"""

PIPELINE_ERRORS_OVER_TIME = f"""select
    {SLOT} as "time",
    source as metric,
    sum(error_count)::float8 as value
from analytics.error_taxonomy
where{_PIPELINE_ERRORS}
group by 1, source
order by 1, metric"""
